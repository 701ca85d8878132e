//! A throttled shard slows its own lanes only: the writer against a stream of several shards, in virtual time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::{Batcher, BatcherSettings, PutAction, PutId, PutInput, PutRecord};
use crate::protocol::hash_key::hash_key_of;
use crate::protocol::shard_map::OpenShard;
use crate::protocol::{ErrorKind, HashKeyRange, Moment};

const ROUND_TRIP: Duration = Duration::from_millis(10);
const THROTTLED: &str = "ProvisionedThroughputExceededException";

/// A shard that takes so many records a second, with a second's worth at once.
struct Shard {
    id: String,
    range: HashKeyRange,
    records_per_s: Option<u64>,
    full_at: Moment,
    taken: usize,
    last_taken: Moment,
    refused: usize,
}

impl Shard {
    fn of(index: usize, first: u128, last: u128) -> Shard {
        Shard {
            id: format!("shardId-{index}"),
            range: HashKeyRange { first, last },
            records_per_s: None,
            full_at: Moment::ZERO,
            taken: 0,
            last_taken: Moment::ZERO,
            refused: 0,
        }
    }

    fn takes(&mut self, now: Moment) -> bool {
        let cost = match self.records_per_s {
            None => Duration::ZERO,
            Some(0) => Duration::MAX,
            Some(rate) => Duration::from_secs(1) / u32::try_from(rate).unwrap(),
        };
        let spent = self.full_at.max(now);
        let taken =
            cost == Duration::ZERO || (cost < Duration::MAX && spent.since(now) + cost <= Duration::from_secs(1));
        if taken {
            self.full_at = spent + cost;
            (self.taken, self.last_taken) = (self.taken + 1, now);
        } else {
            self.refused += 1;
        }
        taken
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Wake,
    Listed,
    Answer(usize),
    Change(usize),
}

/// What changes a stream at a moment.
type Change = Box<dyn FnOnce(&mut Vec<Shard>)>;

struct World {
    shards: Vec<Shard>,
    listing: Option<ErrorKind>,
    listings: usize,
    now: Moment,
    events: BinaryHeap<Reverse<(Moment, Event)>>,
    changes: Vec<Option<Change>>,
    calls: Vec<Option<(PutId, Vec<PutRecord>)>>,
    taken: BTreeMap<String, Vec<u32>>,
    words: Vec<String>,
    given_up: usize,
}

impl World {
    fn of(shards: u128) -> World {
        let width = u128::MAX / shards;
        let last = |index| if index == shards - 1 { u128::MAX } else { (index + 1) * width - 1 };
        World {
            shards: (0..shards)
                .map(|index| Shard::of(usize::try_from(index).unwrap(), index * width, last(index)))
                .collect(),
            listing: None,
            listings: 0,
            now: Moment::ZERO,
            events: BinaryHeap::new(),
            changes: Vec::new(),
            calls: Vec::new(),
            taken: BTreeMap::new(),
            words: Vec::new(),
            given_up: 0,
        }
    }

    fn at(&mut self, millis: u64, change: impl FnOnce(&mut Vec<Shard>) + 'static) {
        self.events.push(Reverse((Moment::from_millis(millis), Event::Change(self.changes.len()))));
        self.changes.push(Some(Box::new(change)));
    }

    fn perform(&mut self, actions: Vec<PutAction>) {
        for action in actions {
            match action {
                PutAction::Put { id, records } => {
                    self.events.push(Reverse((self.now + ROUND_TRIP, Event::Answer(self.calls.len()))));
                    self.calls.push(Some((id, records)));
                }
                PutAction::ListShards => self.events.push(Reverse((self.now + ROUND_TRIP, Event::Listed))),
                PutAction::WakeAt(at) => self.events.push(Reverse((at, Event::Wake))),
                PutAction::Trouble(words) => self.words.push(words),
                PutAction::GiveUp(_) => self.given_up += 1,
                other => panic!("{other:?}"),
            }
        }
    }

    /// Until all is written; fails the test after `patience`.
    fn run(&mut self, writer: &mut Batcher, patience: Duration) {
        let actions = writer.on(PutInput::Flush, self.now);
        self.perform(actions);
        while !writer.is_empty() {
            let Reverse((at, event)) = self.events.pop().expect("what waits is woken, or on its way");
            self.now = self.now.max(at);
            assert!(self.now.since(Moment::ZERO) < patience, "{} records left", writer.pending());
            let input = match event {
                Event::Wake => PutInput::Wake,
                Event::Listed => self.listed(),
                Event::Answer(index) => self.answered(index),
                Event::Change(index) => {
                    (self.changes[index].take().unwrap())(&mut self.shards);
                    continue;
                }
            };
            let actions = writer.on(input, self.now);
            self.perform(actions);
        }
    }

    fn listed(&mut self) -> PutInput {
        self.listings += 1;
        if let Some(kind) = self.listing {
            return PutInput::ShardsUnknown { kind, message: "not allowed".to_owned() };
        }
        let open = |shard: &Shard| OpenShard { id: shard.id.as_str().into(), range: shard.range };
        PutInput::Shards(self.shards.iter().map(open).collect())
    }

    fn answered(&mut self, index: usize) -> PutInput {
        let (id, records) = self.calls[index].take().unwrap();
        let outcomes = records.into_iter().map(|record| {
            let hash_key = record.hash_key.unwrap_or_else(|| hash_key_of(&record.key));
            let takes = |shard: &&mut Shard| shard.range.first <= hash_key && hash_key <= shard.range.last;
            let shard = self.shards.iter_mut().find(takes).unwrap();
            if !shard.takes(self.now) {
                return Err(THROTTLED.to_owned());
            }
            let number = u32::from_be_bytes(record.data[..4].try_into().unwrap());
            self.taken.entry(record.key).or_default().push(number);
            Ok(shard.id.clone())
        });
        PutInput::Answered { id, outcomes: outcomes.collect() }
    }
}

/// So many records over so many keys; what each key was given.
fn given(writer: &mut Batcher, records: u32, keys: u32) -> BTreeMap<String, Vec<u32>> {
    let mut given = BTreeMap::<String, Vec<u32>>::new();
    for number in 0..records {
        let key = format!("key-{}", number % keys);
        writer.push(&key, None, Bytes::copy_from_slice(&number.to_be_bytes()), Moment::ZERO).unwrap();
        given.entry(key).or_default().push(number);
    }
    given
}

fn writer() -> Batcher {
    Batcher::new(BatcherSettings { seed: 7, ..BatcherSettings::default() })
}

// Shard 0 takes nothing for 20 s; the 3 000 records for the others are in after some 6 calls.
#[test]
fn shard_that_takes_nothing_holds_up_no_other_and_is_asked_seldom() {
    let (mut writer, mut world) = (writer(), World::of(4));
    world.shards[0].records_per_s = Some(0);
    world.at(20_000, |shards| shards[0].records_per_s = None);
    let given = given(&mut writer, 4_000, 1_000);
    world.run(&mut writer, Duration::from_secs(30));
    assert_eq!(world.taken, given);
    let others = world.shards[1..].iter().map(|shard| shard.last_taken).max().unwrap();
    assert!(others <= Moment::from_millis(500), "the others were done at {others:?}");
    // Each of its 250 or so keys once at first and once when the shards are known, then a few a look.
    assert!(world.shards[0].refused < 750, "{} records were refused in 20 s", world.shards[0].refused);
    assert_eq!(world.listings, 1);
}

// Shard 0 takes 200 a second, as if others wrote there too; its 1 000 records take about 4 s after the first 200.
#[test]
fn throttled_shard_gets_what_it_takes_while_the_others_go_on() {
    let (mut writer, mut world) = (writer(), World::of(4));
    world.shards[0].records_per_s = Some(200);
    let given = given(&mut writer, 4_000, 1_000);
    world.run(&mut writer, Duration::from_secs(60));
    assert_eq!(world.taken, given);
    let others = world.shards[1..].iter().map(|shard| shard.last_taken).max().unwrap();
    assert!(others <= Moment::from_millis(500), "the others were done at {others:?}");
    let Shard { taken, refused, last_taken, .. } = &world.shards[0];
    assert!(*last_taken <= Moment::from_millis(12_000), "{taken} records in {last_taken:?}");
    assert!(refused < taken, "{refused} refused of {taken}");
}

// Shard 0 takes nothing for ever: of its 1 000 records all are given up soon after their second.
#[test]
fn records_for_a_shard_that_takes_nothing_are_given_up_together_after_their_time() {
    let retry_for = Some(Duration::from_secs(1));
    let mut writer = Batcher::new(BatcherSettings { retry_for, seed: 7, ..BatcherSettings::default() });
    let mut world = World::of(4);
    world.shards[0].records_per_s = Some(0);
    let mut given = given(&mut writer, 4_000, 1_000);
    world.run(&mut writer, Duration::from_secs(4));
    let shard = world.shards[0].range;
    given.retain(|key, _| !(shard.first..=shard.last).contains(&hash_key_of(key)));
    assert_eq!(world.taken, given);
    let taken: usize = given.values().map(Vec::len).sum();
    assert_eq!((world.given_up, writer.counters().given_up), (4_000 - taken, (4_000 - taken) as u64));
}

#[test]
fn split_is_learnt_from_answers_and_only_the_child_that_throttles_is_slowed() {
    let (mut writer, mut world) = (writer(), World::of(2));
    // Known by a throttled record before the split.
    world.shards[0].records_per_s = Some(0);
    world.at(1_000, |shards| {
        let HashKeyRange { first, last } = shards[0].range;
        let middle = first + (last - first) / 2;
        shards[0] = Shard::of(2, first, middle);
        shards.push(Shard::of(3, middle + 1, last));
        shards[0].records_per_s = Some(0);
    });
    world.at(30_000, |shards| shards[0].records_per_s = None);
    let given = given(&mut writer, 4_000, 1_000);
    world.run(&mut writer, Duration::from_secs(40));
    assert_eq!(world.taken, given);
    assert!((2..=3).contains(&world.listings), "{} listings", world.listings);
    let child = &world.shards[2];
    assert!(child.last_taken <= Moment::from_millis(12_000), "child 3 was done at {:?}", child.last_taken);
}

#[test]
fn writer_that_may_not_list_shards_says_so_once_and_slows_down_as_a_whole() {
    let (mut writer, mut world) = (writer(), World::of(2));
    world.listing = Some(ErrorKind::AccessDenied);
    world.shards[0].records_per_s = Some(300);
    let given = given(&mut writer, 2_000, 500);
    world.run(&mut writer, Duration::from_secs(60));
    assert_eq!(world.taken, given);
    let said = "ListShards: not allowed; without it a throttled shard slows down all that is put";
    assert_eq!((world.listings, world.words.iter().filter(|words| *words == said).count()), (1, 1));
}

#[test]
fn nothing_is_listed_while_nothing_is_throttled() {
    let (mut writer, mut world) = (writer(), World::of(2));
    let given = given(&mut writer, 2_000, 500);
    world.run(&mut writer, Duration::from_secs(5));
    assert_eq!((world.taken, world.listings), (given, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, ..ProptestConfig::default() })]

    #[test]
    fn whatever_shards_take_and_become_nothing_is_lost_repeated_or_reordered(
        shards in 1u128..9, rates in prop::collection::vec(prop_oneof![Just(None), (20u64..500).prop_map(Some)], 8),
        splits in prop::collection::btree_map(0u64..5_000, any::<prop::sample::Index>(), 0..5),
        records in 1u32..3_000, keys in 1u32..400, loose: bool, seed: u64,
    ) {
        let order = if loose { super::KeyOrder::WhileNothingFails } else { super::KeyOrder::Kept };
        let mut writer = Batcher::new(BatcherSettings { order, seed, ..BatcherSettings::default() });
        let mut world = World::of(shards);
        world.shards.iter_mut().zip(&rates).for_each(|(shard, rate)| shard.records_per_s = *rate);
        for (number, (at_ms, index)) in splits.into_iter().enumerate() {
            let rate = rates[number];
            world.at(at_ms, move |shards| {
                let index = index.index(shards.len());
                let HashKeyRange { first, last } = shards[index].range;
                let middle = first + (last - first) / 2;
                shards[index] = Shard::of(100 + 2 * number, first, middle);
                shards[index].records_per_s = rate;
                shards.push(Shard::of(101 + 2 * number, middle + 1, last));
            });
        }
        let given = given(&mut writer, records, keys);
        world.run(&mut writer, Duration::from_secs(3_600));
        if loose {
            world.taken.values_mut().for_each(|numbers| numbers.sort_unstable());
        }
        prop_assert_eq!(&world.taken, &given);
        let repeated: BTreeSet<u32> = world.taken.values().flatten().copied().collect();
        prop_assert_eq!(repeated.len(), records as usize);
    }
}
