//! The logger's format template: text with places for what a row holds, parsed once.
//!
//! `At {end:%H:%M:%S:%3f} Kinesis got {value:,} tweets per second`. A place is a field's name in
//! braces, with a colon and a format where one is wanted; `{{` and `}}` stand for the braces.

use std::fmt;

use super::{grouped, local_time, nearest::nearest};

/// What a job writes: results of windows, or items as they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowKind {
    /// Has start, end, key, value, partial and firing.
    Window,
    /// Has key and value.
    Item,
}

impl RowKind {
    fn fields(self) -> &'static [&'static str] {
        match self {
            RowKind::Window => &["start", "end", "key", "value", "partial", "firing"],
            RowKind::Item => &["key", "value"],
        }
    }
}

/// One row to be shown: borrowed from whatever holds it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    /// Window start in ms; unused for items.
    pub start_ms: i64,
    /// Window end in ms; unused for items.
    pub end_ms: i64,
    /// The key; empty when there is none.
    pub key: &'a str,
    /// The value.
    pub value: Value<'a>,
    /// Whether the window may lack records.
    pub partial: bool,
    /// 0 for the on-time firing, then 1, 2, …
    pub firing: u32,
}

/// A row's value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'a> {
    /// A count.
    Number(u64),
    /// An item's text.
    Text(&'a str),
}

/// A parsed template. Showing a row cannot fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Start(Option<String>),
    End(Option<String>),
    Key,
    /// Grouped by thousands and padded to the width where one is given.
    Value(Option<usize>),
    Partial,
    Firing,
}

/// What is wrong with a template, and where: `column` counts characters from 1.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadTemplate {
    column: usize,
    problem: String,
}

impl fmt::Display for BadTemplate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "format template, column {}: {}", self.column, self.problem)
    }
}

impl Template {
    /// Parses `text` for rows of `kind`; every field and time format in it is checked here.
    pub(crate) fn parse(text: &str, kind: RowKind) -> Result<Template, BadTemplate> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(character) = rest.chars().next() {
            let column = text[..text.len() - rest.len()].chars().count() + 1;
            let fail = |problem: String| BadTemplate { column, problem };
            if rest.starts_with("{{") || rest.starts_with("}}") {
                literal.push(character);
                rest = &rest[2..];
            } else if character == '}' {
                return Err(fail("`}` closes nothing: write `}}` for the brace itself".into()));
            } else if character == '{' {
                let Some(close) = rest.find('}') else {
                    return Err(fail("`{` is not closed: write `{{` for the brace itself".into()));
                };
                if !literal.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut literal)));
                }
                parts.push(place(&rest[1..close], kind).map_err(fail)?);
                rest = &rest[close + 1..];
            } else {
                literal.push(character);
                rest = &rest[character.len_utf8()..];
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Template { parts })
    }

    /// What a logger without a format shows.
    pub(crate) fn plain(kind: RowKind) -> Template {
        let text = match kind {
            RowKind::Window => "{start} to {end} {key} {value:,}",
            RowKind::Item => "{key} {value}",
        };
        Template::parse(text, kind).expect("the templates above are right")
    }

    /// Fills the template with a row.
    pub(crate) fn show(&self, row: &Row<'_>) -> String {
        let mut line = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => line.push_str(text),
                Part::Start(format) => line.push_str(&time(row.start_ms, format.as_deref())),
                Part::End(format) => line.push_str(&time(row.end_ms, format.as_deref())),
                Part::Key => line.push_str(row.key),
                Part::Value(width) => match (row.value, width) {
                    (Value::Number(number), Some(width)) => line.push_str(&grouped(number, *width)),
                    (Value::Number(number), None) => line.push_str(&number.to_string()),
                    (Value::Text(text), _) => line.push_str(text),
                },
                Part::Partial => line.push_str(if row.partial { "partial" } else { "" }),
                Part::Firing => line.push_str(&row.firing.to_string()),
            }
        }
        line
    }
}

fn time(millis: i64, format: Option<&str>) -> String {
    match format {
        Some(format) => local_time::format_local(millis, format).expect("the format was tried when parsed"),
        None => local_time::show_local(millis),
    }
}

/// Reads what stands between two braces.
fn place(inside: &str, kind: RowKind) -> Result<Part, String> {
    let (name, format) = match inside.split_once(':') {
        Some((name, format)) => (name.trim(), Some(format)),
        None => (inside.trim(), None),
    };
    let known = kind.fields();
    if !known.contains(&name) {
        let meant = match nearest(name, known.iter().copied()) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("expected one of {}", known.join(", ")),
        };
        return Err(format!("unknown field `{}`: {meant}", name.escape_debug()));
    }
    match (name, format) {
        ("start", format) => Ok(Part::Start(time_format(format)?)),
        ("end", format) => Ok(Part::End(time_format(format)?)),
        ("value", None) => Ok(Part::Value(None)),
        ("value", Some(format)) if kind == RowKind::Window => number_format(format).map(Part::Value),
        ("key", None) => Ok(Part::Key),
        ("partial", None) => Ok(Part::Partial),
        ("firing", None) => Ok(Part::Firing),
        (name, _) => Err(format!("`{name}` takes no format here: write `{{{name}}}`")),
    }
}

fn time_format(format: Option<&str>) -> Result<Option<String>, String> {
    let Some(format) = format else {
        return Ok(None);
    };
    match local_time::format_local(0, format) {
        Ok(shown) if !shown.is_empty() => Ok(Some(format.to_owned())),
        Ok(_) => Err("the time format is empty: write one such as %H:%M:%S:%3f".into()),
        Err(problem) => Err(format!("bad time format `{}`: {problem}", format.escape_debug())),
    }
}

/// `,` groups; `,4` groups and fills with zeros to four characters.
fn number_format(format: &str) -> Result<Option<usize>, String> {
    let wrong = || {
        let shown = format.escape_debug();
        format!(
            "bad number format `{shown}`: write `,` to group by thousands, or `,4` to fill with zeros to 4 characters too"
        )
    };
    let digits = format.strip_prefix(',').ok_or_else(wrong)?;
    if digits.is_empty() {
        return Ok(Some(0));
    }
    match digits.parse::<usize>() {
        Ok(width) if width <= 64 => Ok(Some(width)),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Row, RowKind, Template, Value};

    const ROW: Row<'static> = Row {
        start_ms: 1_795_395_059_708,
        end_ms: 1_795_395_060_708,
        key: "7",
        value: Value::Number(1_234),
        partial: true,
        firing: 2,
    };

    fn shown(text: &str) -> String {
        Template::parse(text, RowKind::Window).expect("a right template").show(&ROW)
    }

    fn said(text: &str, kind: RowKind) -> String {
        Template::parse(text, kind).expect_err("a wrong template").to_string()
    }

    #[test]
    fn the_tutorials_line_is_shown() {
        let line = shown("At {end:%M:%S:%3f} Kinesis got {value:,} tweets per second");
        assert_eq!(line, "At 51:00:708 Kinesis got 1,234 tweets per second");
    }

    #[test]
    fn every_field_is_shown() {
        assert_eq!(shown("{start:%S} {end:%S} {key} {value} {partial} {firing}"), "59 00 7 1234 partial 2");
        assert_eq!(shown("{value:,8}"), "0001,234");
        assert_eq!(shown("{{{key}}} é"), "{7} é");
        assert!(shown("{end}").contains(":00.708"));
    }

    #[test]
    fn mistakes_are_named_with_their_column() {
        let window = RowKind::Window;
        assert_eq!(said("é {ent:%H}", window), "format template, column 3: unknown field `ent`: did you mean `end`?");
        assert_eq!(
            said("{tweets}", window),
            "format template, column 1: unknown field `tweets`: expected one of start, end, key, value, partial, firing"
        );
        assert_eq!(
            said("a {end", window),
            "format template, column 3: `{` is not closed: write `{{` for the brace itself"
        );
        assert_eq!(
            said("a }", window),
            "format template, column 3: `}` closes nothing: write `}}` for the brace itself"
        );
        assert!(said("{end:%!}", window).starts_with("format template, column 1: bad time format `%!`: "));
        assert_eq!(
            said("{end:}", window),
            "format template, column 1: the time format is empty: write one such as %H:%M:%S:%3f"
        );
        assert!(said("{value:5}", window).contains("bad number format `5`"));
        assert!(said("{key:,}", window).contains("`key` takes no format here: write `{key}`"));
        assert!(said("{end}", RowKind::Item).contains("expected one of key, value"));
    }
}
