//! Where reading begins: what people ask for, by rule, and what a shard's reader is told.
//!
//! `LATEST` is a wish, never a position: asked for anew it skips what came between. It is resolved once, to `T0`, and
//! from then on is [`ReadFrom::AtTimestamp`]. Children of a shard that is read are read from their beginning.

use std::fmt;
use std::str::FromStr;

use regex::Regex;

use super::id::SequenceNumber;

/// Where people want reading to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the oldest record that the stream still holds.
    TrimHorizon,
    /// With what arrives from now on; *now* is resolved once for all shards.
    Latest,
    /// With the first record that arrived at this time or later, in ms since 1970.
    AtTimestamp(i64),
}

/// Which shards start where: the first rule whose pattern matches the whole shard id decides, else the oldest record.
#[derive(Debug, Clone, Default)]
pub struct StartRules {
    rules: Vec<(Regex, Start)>,
}

/// A start rule whose pattern is no regular expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bad shard pattern {pattern:?}: {reason}")]
pub struct BadPattern {
    /// The pattern as given.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}

impl StartRules {
    /// No rules: every shard from its oldest record.
    pub fn new() -> StartRules {
        StartRules::default()
    }

    /// Adds a rule behind those already there. `pattern` must match the whole shard id.
    pub fn add(&mut self, pattern: &str, start: Start) -> Result<(), BadPattern> {
        let whole = Regex::new(pattern)
            // Compiled alone first: wrapped, a stray `)` could close our group and pass.
            .and_then(|_| Regex::new(&format!("^(?:{pattern})$")))
            .map_err(|error| BadPattern { pattern: pattern.to_owned(), reason: last_line(&error.to_string()) })?;
        self.rules.push((whole, start));
        Ok(())
    }

    /// Where `shard` starts.
    pub fn start_of(&self, shard: &str) -> Start {
        self.rules.iter().find(|(pattern, _)| pattern.is_match(shard)).map_or(Start::TrimHorizon, |(_, start)| *start)
    }

    /// Whether some rule asks for `LATEST`, so that `T0` is needed.
    pub fn needs_now(&self) -> bool {
        self.rules.iter().any(|(_, start)| *start == Start::Latest)
    }
}

/// Regex errors draw the pattern over several lines; the last one says what is wrong.
fn last_line(text: &str) -> String {
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

impl Start {
    /// What a reader is told, `LATEST` being `t0_ms`, the service's clock at first start, in ms since 1970.
    pub fn resolve(self, t0_ms: i64) -> ReadFrom {
        match self {
            Start::TrimHorizon => ReadFrom::TrimHorizon,
            Start::Latest => ReadFrom::AtTimestamp(t0_ms),
            Start::AtTimestamp(ms) => ReadFrom::AtTimestamp(ms),
        }
    }
}

/// Where a shard is read from: a start that means the same whenever it is asked for.
///
/// Its text form is what the runtime stores and gives back: `trim-horizon`, `at-timestamp 1795395060708`, `at 4957…`, `after 4957…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadFrom {
    /// The oldest record that the shard still holds.
    TrimHorizon,
    /// The first record that arrived at this time or later, in ms since 1970.
    AtTimestamp(i64),
    /// This record.
    At(SequenceNumber),
    /// The record after this one.
    After(SequenceNumber),
}

/// Text that names no position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a position in a shard: {0:?}; expected trim-horizon, at-timestamp MS, at SEQUENCE or after SEQUENCE")]
pub struct NotAPosition(String);

impl fmt::Display for ReadFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadFrom::TrimHorizon => f.write_str("trim-horizon"),
            ReadFrom::AtTimestamp(ms) => write!(f, "at-timestamp {ms}"),
            ReadFrom::At(sequence) => write!(f, "at {sequence}"),
            ReadFrom::After(sequence) => write!(f, "after {sequence}"),
        }
    }
}

impl FromStr for ReadFrom {
    type Err = NotAPosition;

    fn from_str(text: &str) -> Result<ReadFrom, NotAPosition> {
        let refused = || NotAPosition(text.chars().take(160).collect());
        match text.split_once(' ') {
            None if text == "trim-horizon" => Ok(ReadFrom::TrimHorizon),
            Some(("at-timestamp", ms)) => ms.parse().map(ReadFrom::AtTimestamp).map_err(|_| refused()),
            Some(("at", sequence)) => SequenceNumber::parse(sequence).map(ReadFrom::At).map_err(|_| refused()),
            Some(("after", sequence)) => SequenceNumber::parse(sequence).map(ReadFrom::After).map_err(|_| refused()),
            _ => Err(refused()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(rules: &[(&str, Start)]) -> StartRules {
        let mut all = StartRules::new();
        for (pattern, start) in rules {
            all.add(pattern, *start).unwrap();
        }
        all
    }

    #[test]
    fn first_matching_rule_wins_and_no_match_means_the_oldest_record() {
        let rules = rules(&[("shardId-0+1", Start::AtTimestamp(7)), ("shardId-0+[12]", Start::Latest)]);
        assert_eq!(rules.start_of("shardId-000000000001"), Start::AtTimestamp(7));
        assert_eq!(rules.start_of("shardId-000000000002"), Start::Latest);
        assert_eq!(rules.start_of("shardId-000000000003"), Start::TrimHorizon);
        assert!(rules.needs_now());
    }

    #[test]
    fn pattern_must_match_the_whole_id() {
        let rules = rules(&[("shardId-00|00001", Start::Latest)]);
        assert_eq!(
            rules.start_of("shardId-000000000001"),
            Start::TrimHorizon,
            "each alternative is anchored at both ends"
        );
        assert_eq!(rules.start_of("00001"), Start::Latest);
    }

    #[test]
    fn bad_pattern_is_named_with_its_reason() {
        for pattern in ["shardId-(", "a)|(b"] {
            let error = StartRules::new().add(pattern, Start::Latest).unwrap_err();
            assert!(error.to_string().starts_with(&format!("bad shard pattern {pattern:?}: un")), "{error}");
        }
    }

    #[test]
    fn latest_becomes_the_pinned_time() {
        assert_eq!(Start::Latest.resolve(1_795_395_060_708), ReadFrom::AtTimestamp(1_795_395_060_708));
        assert_eq!(Start::TrimHorizon.resolve(5), ReadFrom::TrimHorizon);
        assert_eq!(Start::AtTimestamp(3).resolve(5), ReadFrom::AtTimestamp(3));
    }

    #[test]
    fn text_form_comes_back_as_it_went() {
        let after =
            ReadFrom::After(SequenceNumber::parse("49590338271490256608559692538361571095921575989136588898").unwrap());
        for (position, text) in [
            (ReadFrom::TrimHorizon, "trim-horizon"),
            (ReadFrom::AtTimestamp(-5), "at-timestamp -5"),
            (ReadFrom::At(SequenceNumber::parse("7").unwrap()), "at 7"),
            (after, "after 49590338271490256608559692538361571095921575989136588898"),
        ] {
            assert_eq!(position.to_string(), text);
            assert_eq!(text.parse::<ReadFrom>().unwrap(), position);
        }
        for text in
            ["", "latest", "after", "after x", "at", "at x", "at-timestamp", "at-timestamp 1.5", "trim-horizon 1"]
        {
            assert!(text.parse::<ReadFrom>().is_err(), "{text:?}");
        }
    }
}
