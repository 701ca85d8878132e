//! Reading a TOML table so that every complaint names file, line, key and what was expected.
//!
//! serde's derived readers lose the line of a key once a table is chosen by its `type`, and answer
//! an unknown key with a list only; a job file is what people write by hand, so it is read here,
//! over the spans that the `toml` crate keeps.

use std::ops::RangeInclusive;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    failure::Failure,
    text::{duration, nearest::nearest},
};

/// A job file's text with its name, for pointing into it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Document<'a> {
    /// As the person named it.
    pub file: &'a str,
    /// The whole text.
    pub text: &'a str,
}

impl Document<'_> {
    /// A complaint about what stands at byte `offset`.
    pub(super) fn fail(&self, offset: usize, problem: impl std::fmt::Display) -> Failure {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        Failure::usage(format!("{}:{line}: {problem}", self.file))
    }
}

/// One table of the file: its header as written, where it is, and its keys.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table<'a> {
    doc: &'a Document<'a>,
    name: &'a str,
    offset: usize,
    map: &'a DeTable<'a>,
}

impl<'a> Table<'a> {
    /// The file's outermost table.
    pub(super) fn root(doc: &'a Document<'a>, map: &'a DeTable<'a>) -> Table<'a> {
        Table { doc, name: "the job file", offset: 0, map }
    }

    /// Refuses every key that is not in `known`: first of all, since a key mistyped is otherwise
    /// answered with a complaint that the right one is missing.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Failure> {
        let mut keys: Vec<_> = self.map.keys().collect();
        keys.sort_by_key(|key| key.span().start);
        for key in keys {
            let name: &str = key.get_ref();
            if !known.contains(&name) {
                let name = name.escape_debug().to_string();
                let expected = format!("expected one of {}", known.join(", "));
                let cure = match nearest(&name, known.iter().copied()) {
                    Some(right) => format!("did you mean `{right}`? ({expected})"),
                    None => expected,
                };
                let problem = format!("unknown key `{name}` in {}: {cure}", self.name);
                return Err(self.doc.fail(key.span().start, problem));
            }
        }
        Ok(())
    }

    /// The value of `key`, if the table has it.
    pub(super) fn get(&self, key: &'static str) -> Option<Item<'a>> {
        let (at, value) = self.map.iter().find(|(name, _)| name.get_ref() == key)?;
        Some(Item { doc: self.doc, table: self.name, key, offset: at.span().start, value: value.get_ref() })
    }

    /// The value of `key`; `example` is shown when it is missing.
    pub(super) fn need(&self, key: &'static str, example: &str) -> Result<Item<'a>, Failure> {
        self.get(key).ok_or_else(|| {
            let problem = format!("{} lacks the key `{key}`: write, for example, {example}", self.name);
            self.doc.fail(self.offset, problem)
        })
    }

    /// Every key with its value, as they stand in the file: of a table whose keys people choose.
    pub(super) fn entries(&self) -> Vec<Item<'a>> {
        let mut entries: Vec<Item<'a>> = self
            .map
            .iter()
            .map(|(at, value)| Item {
                doc: self.doc,
                table: self.name,
                key: at.get_ref(),
                offset: at.span().start,
                value: value.get_ref(),
            })
            .collect();
        entries.sort_by_key(|item| item.offset);
        entries
    }

    /// A complaint about the table as a whole.
    pub(super) fn fail(&self, problem: impl std::fmt::Display) -> Failure {
        self.doc.fail(self.offset, format!("{}: {problem}", self.name))
    }
}

/// One key's value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item<'a> {
    doc: &'a Document<'a>,
    table: &'a str,
    key: &'a str,
    offset: usize,
    value: &'a DeValue<'a>,
}

impl<'a> Item<'a> {
    /// The key.
    pub(super) fn key(&self) -> &'a str {
        self.key
    }

    /// A complaint about this value.
    pub(super) fn fail(&self, problem: impl std::fmt::Display) -> Failure {
        self.doc.fail(self.offset, format!("key `{}` in {}: {problem}", self.key, self.table))
    }

    /// A complaint that it is of another type than `expected`. Shows the type and never the
    /// value, which may be a secret in the wrong quotes.
    fn wrong_type(&self, expected: &str) -> Failure {
        let got = match self.value {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number with decimals",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.fail(format!("expected {expected}, got {got}"))
    }

    /// A text that is not empty.
    pub(super) fn text(&self) -> Result<&'a str, Failure> {
        match self.value {
            DeValue::String(text) if text.is_empty() => Err(self.fail("is empty")),
            DeValue::String(text) => Ok(text),
            _ => Err(self.wrong_type("a text in quotes")),
        }
    }

    /// A text in quotes, or a date as TOML writes it.
    pub(super) fn text_or_date(&self) -> Result<String, Failure> {
        match self.value {
            DeValue::Datetime(date) => Ok(date.to_string()),
            _ => self.text().map(str::to_owned),
        }
    }

    /// A duration, in ms.
    pub(super) fn millis(&self) -> Result<i64, Failure> {
        match self.value {
            DeValue::String(text) => duration::parse_millis(text).map_err(|bad| self.fail(bad)),
            _ => Err(self.wrong_type("a duration in quotes, such as \"500ms\" or \"3s\"")),
        }
    }

    /// A whole number within `range`.
    pub(super) fn integer(&self, range: RangeInclusive<u64>) -> Result<u64, Failure> {
        let DeValue::Integer(number) = self.value else {
            return Err(self.wrong_type("a whole number"));
        };
        match u64::from_str_radix(number.as_str(), number.radix()) {
            Ok(value) if range.contains(&value) => Ok(value),
            _ => Err(self.fail(format!(
                "{} is out of range, expected {} to {}",
                number.as_str(),
                range.start(),
                range.end()
            ))),
        }
    }

    /// A part of one, `least` to 1.
    pub(super) fn part(&self, least: f64) -> Result<f64, Failure> {
        let number: Option<f64> = match self.value {
            DeValue::Float(number) => number.as_str().parse().ok(),
            DeValue::Integer(number) => number.as_str().parse().ok(),
            _ => return Err(self.wrong_type("a number")),
        };
        match number {
            Some(part) if (least..=1.0).contains(&part) => Ok(part),
            _ => Err(self.fail(format!("is out of range, expected a part, {least} to 1"))),
        }
    }

    /// One of a few words, each with what it stands for.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Result<T, Failure> {
        let text = self.text()?;
        if let Some((_, meaning)) = choices.iter().find(|(word, _)| *word == text) {
            return Ok(*meaning);
        }
        let words: Vec<_> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        let shown = text.escape_debug().to_string();
        let expected = format!("expected {}", words.join(" or "));
        Err(match nearest(&shown, choices.iter().map(|(word, _)| *word)) {
            Some(word) if choices.len() > 1 => {
                self.fail(format!("got \"{shown}\", did you mean \"{word}\"? ({expected})"))
            }
            _ => self.fail(format!("got \"{shown}\", {expected}")),
        })
    }

    /// A table, named `name` in complaints.
    pub(super) fn table(&self, name: &'a str) -> Result<Table<'a>, Failure> {
        match self.value {
            DeValue::Table(map) => Ok(Table { doc: self.doc, name, offset: self.offset, map }),
            _ => Err(self.wrong_type(&format!("the table {name}"))),
        }
    }

    /// A list of tables, each named `name` in complaints.
    pub(super) fn tables(&self, name: &'a str, example: &str) -> Result<Vec<Table<'a>>, Failure> {
        let expected = format!("a list of tables, such as {example}");
        let DeValue::Array(items) = self.value else {
            return Err(self.wrong_type(&expected));
        };
        items
            .iter()
            .map(|item: &Spanned<DeValue<'a>>| match item.get_ref() {
                DeValue::Table(map) => Ok(Table { doc: self.doc, name, offset: item.span().start, map }),
                _ => Err(self.wrong_type(&expected)),
            })
            .collect()
    }
}
