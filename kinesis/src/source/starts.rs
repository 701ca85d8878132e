//! Where each listed shard begins: by its name and a sequence number, by what it descends from, or by the start rules.
//!
//! Positions of shards are what somebody noted who read the stream before, up to there and in the order of the service:
//! parents before children. So a shard that is not named is read from its beginning if it descends from one that is, and
//! not at all if one that is descends from it; all others begin where the rules say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use weir_runtime::source::{ShardListing, StartPosition};

use super::calls::shard_info;
use crate::client::ShardDescription;
use crate::protocol::id::SequenceNumber;
use crate::protocol::position::{BadPattern, ReadFrom, Start, StartRules};

/// Where reading of one shard begins, as people say it: the sequence number is judged when the job is submitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShardStart {
    /// At the record of this sequence number.
    At(String),
    /// Behind the record of this sequence number.
    After(String),
}

/// What people said about where to begin.
#[derive(Debug, Clone, Default)]
pub(super) struct Starts {
    pub(super) rules: Vec<(String, Start)>,
    pub(super) named: BTreeMap<String, ShardStart>,
}

/// The same, judged.
#[derive(Debug)]
pub(super) struct JudgedStarts {
    rules: StartRules,
    named: BTreeMap<String, ReadFrom>,
}

/// What follows for the shards of one listing.
#[derive(Debug, Default)]
pub(super) struct StartPlan {
    pub(super) shards: Vec<ShardListing>,
    /// Not to be read, now or when they are listed again.
    pub(super) left_out: BTreeSet<String>,
    /// Whether some shard begins at the pinned time.
    pub(super) needs_now: bool,
    pub(super) notes: Vec<String>,
}

impl Starts {
    /// # Errors
    /// A pattern or a sequence number that is none, in words.
    pub(super) fn judge(&self) -> Result<JudgedStarts, String> {
        let mut rules = StartRules::new();
        for (pattern, start) in &self.rules {
            rules.add(pattern, *start).map_err(|error: BadPattern| error.to_string())?;
        }
        let named = self.named.iter().map(|(shard, start)| {
            let position = match start {
                ShardStart::At(number) => SequenceNumber::parse(number).map(ReadFrom::At),
                ShardStart::After(number) => SequenceNumber::parse(number).map(ReadFrom::After),
            };
            Ok((shard.clone(), position.map_err(|error| format!("position of {shard}: {error}"))?))
        });
        Ok(JudgedStarts { rules, named: named.collect::<Result<_, String>>()? })
    }
}

impl JudgedStarts {
    /// What to do with the shards of a stream, `latest` being `t0_ms`.
    ///
    /// # Errors
    /// A position of a shard that the stream does not have, or that is not of its shard, in words.
    pub(super) fn plan(&self, shards: &[ShardDescription], t0_ms: i64) -> Result<StartPlan, String> {
        let family = Family::of(shards);
        let mut plan = StartPlan::default();
        let (mut begun_later, mut behind) = (0, 0);
        for (name, position) in &self.named {
            if family.listed.contains_key(name.as_str()) {
                continue;
            }
            if !family.is_parent(name) {
                return Err(format!("a position names {name}, which is no shard of the stream"));
            }
            // It has aged out. Its reader finds that, and what it became, and notes the gap.
            plan.shards.push(listing(name, Vec::new(), false, position));
        }
        for shard in shards {
            let info = shard_info(shard);
            let position = match self.named.get(&*info.id) {
                Some(position) => match place_in(shard, position)? {
                    Place::At(position) => position,
                    Place::Done => {
                        let _ = plan.left_out.insert(shard.id.clone());
                        continue;
                    }
                },
                None if family.descends(&shard.id, |parent| self.named.contains_key(parent)) => ReadFrom::TrimHorizon,
                None if self.named.keys().any(|named| family.descends(named, |parent| *parent == shard.id)) => {
                    behind += 1;
                    let _ = plan.left_out.insert(shard.id.clone());
                    continue;
                }
                None => {
                    let start = self.rules.start_of(&shard.id);
                    plan.needs_now |= start == Start::Latest;
                    begun_later += usize::from(start != Start::TrimHorizon);
                    start.resolve(t0_ms)
                }
            };
            plan.shards.push(listing(&info.id, info.parents, shard.last_sequence.is_none(), &position));
        }
        let count = shards.len();
        if begun_later > 0 {
            plan.notes.push(format!(
                "{begun_later} of {count} shards are read from a time on; what they hold from before it is not read \
                 (\"oldest\" reads all they hold)"
            ));
        }
        if behind > 0 {
            plan.notes.push(format!(
                "{behind} of {count} shards are not read: they are parents of shards whose positions are given"
            ));
        }
        Ok(plan)
    }
}

fn listing(name: &str, parents: Vec<Arc<str>>, open: bool, position: &ReadFrom) -> ShardListing {
    let position = StartPosition(Arc::from(position.to_string()));
    ShardListing { name: Arc::from(name), parents, open, position }
}

enum Place {
    At(ReadFrom),
    /// Nothing of the shard is left to read.
    Done,
}

/// A position, held against the numbers that its shard has.
fn place_in(shard: &ShardDescription, position: &ReadFrom) -> Result<Place, String> {
    let (ReadFrom::At(number) | ReadFrom::After(number)) = position else {
        return Ok(Place::At(position.clone()));
    };
    let first = SequenceNumber::parse(&shard.first_sequence).ok();
    let last = shard.last_sequence.as_deref().and_then(|last| SequenceNumber::parse(last).ok());
    let range = || match &last {
        Some(last) => format!("{} to {last}", shard.first_sequence),
        None => format!("{} or greater", shard.first_sequence),
    };
    if first.as_ref().is_some_and(|first| number < first) || last.as_ref().is_some_and(|last| number > last) {
        return Err(format!("position of {}: {number} is not of this shard, whose numbers are {}", shard.id, range()));
    }
    // The ends of a shard are numbers that no record needs to have.
    if matches!(position, ReadFrom::At(_)) && first.as_ref() == Some(number) {
        return Ok(Place::At(ReadFrom::TrimHorizon));
    }
    if matches!(position, ReadFrom::After(_)) && last.as_ref() == Some(number) {
        return Ok(Place::Done);
    }
    Ok(Place::At(position.clone()))
}

/// Who came from whom, as far as a listing says it.
struct Family<'a> {
    listed: BTreeMap<&'a str, Vec<&'a str>>,
}

impl<'a> Family<'a> {
    fn of(shards: &'a [ShardDescription]) -> Family<'a> {
        let parents = |shard: &'a ShardDescription| {
            let both = shard.parent.as_deref().into_iter().chain(shard.adjacent_parent.as_deref());
            both.collect()
        };
        Family { listed: shards.iter().map(|shard| (shard.id.as_str(), parents(shard))).collect() }
    }

    fn is_parent(&self, shard: &str) -> bool {
        self.listed.values().flatten().any(|parent| *parent == shard)
    }

    /// Whether some ancestor of `shard` is wanted. Each is looked at once: O(ancestors).
    fn descends(&self, shard: &str, wanted: impl Fn(&str) -> bool) -> bool {
        let mut seen = BTreeSet::new();
        let mut ahead: Vec<&str> = self.listed.get(shard).cloned().unwrap_or_default();
        while let Some(parent) = ahead.pop() {
            if wanted(parent) {
                return true;
            }
            if seen.insert(parent) {
                ahead.extend(self.listed.get(parent).into_iter().flatten());
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers 100 to 199, and as long as it is closed.
    fn shard(id: &str, parents: [Option<&str>; 2], closed: bool) -> ShardDescription {
        ShardDescription {
            id: id.to_owned(),
            parent: parents[0].map(str::to_owned),
            adjacent_parent: parents[1].map(str::to_owned),
            first_hash: 0,
            last_hash: u128::MAX,
            first_sequence: "100".to_owned(),
            last_sequence: closed.then(|| "199".to_owned()),
        }
    }

    // a -> b, c;  b, c -> d;  e beside them
    fn stream() -> Vec<ShardDescription> {
        vec![
            shard("a", [None, None], true),
            shard("b", [Some("a"), None], true),
            shard("c", [Some("a"), None], true),
            shard("d", [Some("b"), Some("c")], false),
            shard("e", [None, None], false),
        ]
    }

    fn judged(rules: &[(&str, Start)], named: &[(&str, ShardStart)]) -> JudgedStarts {
        let starts = Starts {
            rules: rules.iter().map(|(pattern, start)| ((*pattern).to_owned(), *start)).collect(),
            named: named.iter().map(|(shard, start)| ((*shard).to_owned(), start.clone())).collect(),
        };
        starts.judge().expect("they are right")
    }

    fn positions(plan: &StartPlan) -> Vec<(&str, &str)> {
        plan.shards.iter().map(|shard| (&*shard.name, &*shard.position.0)).collect()
    }

    fn after(number: &str) -> ShardStart {
        ShardStart::After(number.to_owned())
    }

    fn at(number: &str) -> ShardStart {
        ShardStart::At(number.to_owned())
    }

    // A closed shard may hold records of between T0 and its end, so it is read too, from T0.
    #[test]
    fn every_listed_shard_starts_by_its_rule_with_latest_pinned() {
        let plan = judged(&[("b|d", Start::Latest)], &[]).plan(&stream(), 77).unwrap();
        let oldest = "trim-horizon";
        let expected =
            [("a", oldest), ("b", "at-timestamp 77"), ("c", oldest), ("d", "at-timestamp 77"), ("e", oldest)];
        assert_eq!(positions(&plan), expected);
        assert_eq!(plan.shards.iter().map(|shard| shard.parents.len()).collect::<Vec<_>>(), [0, 1, 1, 2, 0]);
        assert_eq!(plan.shards.iter().map(|shard| shard.open).collect::<Vec<_>>(), [false, false, false, true, true]);
        assert!(plan.needs_now && plan.left_out.is_empty());
        assert_eq!(plan.notes.len(), 1);
        assert!(plan.notes[0].starts_with("2 of 5 shards are read from a time on; "), "{:?}", plan.notes);
    }

    #[test]
    fn nothing_is_said_if_everything_is_read() {
        assert!(judged(&[], &[]).plan(&stream(), 77).unwrap().notes.is_empty());
    }

    // Whoever noted positions of b and c had read a to its end, and had not begun d; of e nothing is known.
    #[test]
    fn shard_that_is_not_named_follows_from_its_family_or_else_the_rules() {
        let named = [("b", after("150")), ("c", at("160"))];
        let plan = judged(&[(".*", Start::Latest)], &named).plan(&stream(), 77).unwrap();
        let expected = [("b", "after 150"), ("c", "at 160"), ("d", "trim-horizon"), ("e", "at-timestamp 77")];
        assert_eq!(positions(&plan), expected);
        assert_eq!(plan.left_out.iter().collect::<Vec<_>>(), ["a"]);
        assert!(plan.notes[1].starts_with("1 of 5 shards are not read: they are parents"), "{:?}", plan.notes);
    }

    #[test]
    fn ends_of_a_shard_are_its_beginning_and_nothing_left() {
        let plan = judged(&[], &[("b", at("100")), ("c", after("199"))]).plan(&stream(), 77).unwrap();
        assert_eq!(positions(&plan), [("b", "trim-horizon"), ("d", "trim-horizon"), ("e", "trim-horizon")]);
        assert_eq!(plan.left_out.iter().collect::<Vec<_>>(), ["a", "c"]);
    }

    // Its reader will find it gone.
    #[test]
    fn named_shard_that_has_aged_out_is_read_for_its_gap_and_its_children_from_their_beginning() {
        let plan = judged(&[(".*", Start::Latest)], &[("a", after("150"))]).plan(&stream()[1..], 77).unwrap();
        let oldest = "trim-horizon";
        let expected = [("a", "after 150"), ("b", oldest), ("c", oldest), ("d", oldest), ("e", "at-timestamp 77")];
        assert_eq!(positions(&plan), expected);
        assert!(!plan.shards[0].open);
    }

    #[test]
    fn position_that_cannot_be_is_refused_in_words() {
        let refused = |named: &[(&str, ShardStart)]| judged(&[], named).plan(&stream(), 77).unwrap_err();
        assert_eq!(refused(&[("x", at("5"))]), "a position names x, which is no shard of the stream");
        assert_eq!(
            refused(&[("b", after("99"))]),
            "position of b: 99 is not of this shard, whose numbers are 100 to 199"
        );
        assert_eq!(
            refused(&[("e", at("7"))]),
            "position of e: 7 is not of this shard, whose numbers are 100 or greater"
        );
        let malformed = Starts { named: [("b".to_owned(), at("0x7"))].into(), ..Starts::default() };
        assert_eq!(malformed.judge().unwrap_err(), "position of b: not a sequence number: \"0x7\"");
    }
}
