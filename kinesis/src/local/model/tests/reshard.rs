//! Splits, merges, uniform scaling, and what readers and listings see of them.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const DELAY: i64 = 500;
/// Half of all hash keys.
const HALF: u128 = 1 << 127;

fn with_shards(shards: u32, settings: ModelSettings) -> Model {
    let mut model = Model::new(ModelSettings { create_delay_ms: 0, ..settings });
    model.create_stream(T0, CreateStreamRequest::provisioned("s", shards)).unwrap();
    model
}

fn id(number: u32) -> String {
    ShardId::new(number).to_string()
}

fn listed(model: &mut Model, now_ms: i64, filter: ShardFilter) -> Vec<ShardDescription> {
    let request = ListShardsRequest { filter: Some(filter), ..ListShardsRequest::of("s") };
    let answer = model.list_shards(now_ms, request).unwrap();
    assert_eq!(answer.next_token, None);
    answer.shards
}

fn numbers(shards: &[ShardDescription]) -> Vec<u32> {
    shards.iter().map(|shard| shard.id.number()).collect()
}

/// Panics unless the ranges cover every hash key exactly once.
#[track_caller]
fn assert_covers_once(shards: &[ShardDescription]) {
    let mut ranges: Vec<_> = shards.iter().map(|shard| (shard.range.first, shard.range.last)).collect();
    ranges.sort_unstable();
    let mut next = Some(0);
    for (first, last) in &ranges {
        assert_eq!(Some(*first), next, "{ranges:?}");
        next = last.checked_add(1);
    }
    assert_eq!(next, None, "{ranges:?}");
}

fn put_at(model: &mut Model, now_ms: i64, hash_key: u128, data: &'static str) -> Placed {
    let hash_key = hash_key.to_string();
    let entry = PutEntry { explicit_hash_key: Some(&hash_key), ..entry("k", data) };
    model.put_record(now_ms, "s", entry, None).unwrap().unwrap()
}

fn status(model: &mut Model, now_ms: i64) -> StreamStatus {
    model.describe_stream_summary(now_ms, "s").unwrap().status
}

#[test]
fn split_takes_effect_when_the_delay_has_passed_and_writes_go_on_meanwhile() {
    let mut model = with_shards(2, ModelSettings::default());
    let at = HALF / 3;
    model.split_shard(T0, "s", &id(0), &at.to_string()).unwrap();

    assert_eq!(status(&mut model, T0 + DELAY - 1), StreamStatus::Updating);
    let before = put_at(&mut model, T0 + DELAY - 1, 0, "before");
    assert_eq!(before.shard, ShardId::new(0));
    assert_eq!(numbers(&listed(&mut model, T0 + DELAY - 1, ShardFilter::FromTrimHorizon)), [0, 1]);

    assert_eq!(status(&mut model, T0 + DELAY), StreamStatus::Active);
    let shards = listed(&mut model, T0 + DELAY, ShardFilter::FromTrimHorizon);
    assert_eq!(numbers(&shards), [0, 1, 2, 3]);
    assert_eq!((shards[2].range.first, shards[2].range.last), (0, at - 1));
    assert_eq!((shards[3].range.first, shards[3].range.last), (at, HALF - 1));
    for child in &shards[2..] {
        assert_eq!((child.parent, child.adjacent_parent), (Some(ShardId::new(0)), None));
        assert_eq!(child.last_sequence, None);
        assert!(child.first_sequence > shards[0].last_sequence.unwrap());
    }
    assert!(shards[0].last_sequence.unwrap() > before.sequence);
    assert_eq!(model.describe_stream_summary(T0 + DELAY, "s").unwrap().open_shards, 3);

    assert_eq!(put_at(&mut model, T0 + DELAY, at - 1, "low").shard, ShardId::new(2));
    assert_eq!(put_at(&mut model, T0 + DELAY, at, "high").shard, ShardId::new(3));
    assert_eq!(put_at(&mut model, T0 + DELAY, HALF, "other").shard, ShardId::new(1));
}

#[test]
fn merge_names_both_parents_as_the_caller_ordered_them() {
    let mut model = with_shards(3, ModelSettings::default());
    model.merge_shards(T0, "s", &id(2), &id(1)).unwrap();
    let now = T0 + DELAY;
    let shards = listed(&mut model, now, ShardFilter::AtLatest);
    assert_eq!(numbers(&shards), [0, 3]);
    assert_eq!((shards[1].parent, shards[1].adjacent_parent), (Some(ShardId::new(2)), Some(ShardId::new(1))));
    assert_eq!((shards[1].range.first, shards[1].range.last), (even_range(1, 3).first, u128::MAX));
    for parent in [1, 2] {
        let first = model.get_shard_iterator(now, "s", &id(parent), IteratorPosition::TrimHorizon).unwrap();
        let page = model.get_records(now, &first, None).unwrap();
        assert_eq!(page.next_iterator, None);
        let children: Vec<_> = page.child_shards.iter().map(|child| (child.id, child.parents.clone())).collect();
        assert_eq!(children, [(ShardId::new(3), vec![ShardId::new(2), ShardId::new(1)])]);
    }
}

#[test]
fn parent_ends_later_than_its_records_even_without_a_delay() {
    let mut model = with_shards(1, ModelSettings { update_delay_ms: 0, ..ModelSettings::default() });
    put_at(&mut model, T0, 0, "last");
    model.split_shard(T0, "s", &id(0), &HALF.to_string()).unwrap();
    assert_eq!(status(&mut model, T0), StreamStatus::Active);
    // Whoever reads from the moment of the split misses nothing by not reading the parent.
    assert_eq!(numbers(&listed(&mut model, T0, ShardFilter::AtTimestamp(T0))), [0]);
    assert_eq!(numbers(&listed(&mut model, T0, ShardFilter::AtTimestamp(T0 + 1))), [1, 2]);
    put_at(&mut model, T0, 0, "first");
    let stamps: Vec<_> = model.all_records("s").map(|(shard, record)| (shard.number(), record.arrival_ms)).collect();
    assert_eq!(stamps, [(0, T0), (1, T0 + 1)]);
}

#[test]
fn closed_shard_ends_with_its_last_records_or_on_an_extra_page_as_set() {
    for (shard_end, pages) in [(ShardEnd::WithLastRecords, 1), (ShardEnd::OnExtraPage, 2)] {
        let mut model = with_shards(1, ModelSettings { shard_end, ..ModelSettings::default() });
        put_at(&mut model, T0, 0, "last");
        model.split_shard(T0, "s", &id(0), &HALF.to_string()).unwrap();
        let now = T0 + DELAY;
        let mut next = Some(iterator(&mut model, now, IteratorPosition::TrimHorizon));
        let mut seen = Vec::new();
        while let Some(at) = next {
            let page = model.get_records(now, &at, None).unwrap();
            assert_eq!(page.millis_behind_latest, 0);
            let children: Vec<_> = page.child_shards.iter().map(|child| child.id.number()).collect();
            seen.push((texts(&page).len(), children));
            next = page.next_iterator;
        }
        let last = seen.pop().unwrap();
        assert_eq!(seen.len() + 1, pages, "{shard_end:?}");
        assert_eq!(last, (2 - pages, vec![1, 2]));
        assert!(seen.iter().all(|page| *page == (1, vec![])));
        // Behind its end there is only the end.
        let latest = iterator(&mut model, now, IteratorPosition::Latest);
        assert_eq!(model.get_records(now, &latest, None).unwrap().next_iterator, None);
    }
    let ends: BTreeSet<_> = (0..20).map(|n| ShardEnd::BySeed.is_on_extra_page(7, ShardId::new(n))).collect();
    assert_eq!(ends.len(), 2, "by seed, some shards end one way and some the other");
}

#[test]
fn open_shard_has_no_end() {
    let mut model = with_shards(2, ModelSettings { shard_end: ShardEnd::WithLastRecords, ..ModelSettings::default() });
    model.split_shard(T0, "s", &id(0), &1_000.to_string()).unwrap();
    let open = model.get_shard_iterator(T0 + DELAY, "s", &id(1), IteratorPosition::TrimHorizon).unwrap();
    let page = model.get_records(T0 + DELAY, &open, None).unwrap();
    assert!(page.next_iterator.is_some() && page.child_shards.is_empty());
}

#[test]
fn wrong_split_is_refused_in_the_service_s_words() {
    let mut model = with_shards(3, ModelSettings { shard_limit: 4, ..ModelSettings::default() });
    let mut split = |now_ms, shard: &str, key: &str| model.split_shard(now_ms, "s", shard, key);
    for key in ["1", "113427455640312821154458202477256070484", "340282366920938463463374607431768211456"] {
        refused(
            split(T0, &id(0), key),
            ErrorCode::InvalidArgument,
            &format!(
                "NewStartingHashKey {key} used in SplitShard() on shard shardId-000000000000 in stream s under account \
                 000000000000 is not both greater than one plus the shard's StartingHashKey 0 and less than the \
                 shard's EndingHashKey 113427455640312821154458202477256070484."
            ),
        );
    }
    refused(
        split(T0, "shardId-5", "2"),
        ErrorCode::ResourceNotFound,
        "Could not find shard shardId-000000000005 in stream s under account 000000000000.",
    );
    refused(split(T0, "first", "2"), ErrorCode::ResourceNotFound, "Could not find shard first in stream s");
    let both = split(T0, "no shard", "02").unwrap_err();
    assert!(both.message.starts_with("2 validation errors detected: Value '02' at 'newStartingHashKey'"), "{both}");

    split(T0, &id(0), "2").unwrap();
    refused(
        split(T0 + 1, &id(1), "113427455640312821154458202477256070500"),
        ErrorCode::ResourceInUse,
        "Stream s under account 000000000000 not ACTIVE, instead in state UPDATING",
    );
    let over = split(T0 + DELAY, &id(1), "113427455640312821154458202477256070500");
    refused(over, ErrorCode::LimitExceeded, "Current shard count for the account: 4. Limit: 4.");
    refused(model.split_shard(T0, "t", &id(0), "2"), ErrorCode::ResourceNotFound, "Stream t under account");
}

#[test]
fn closed_shard_is_neither_split_nor_merged() {
    let mut model = with_shards(2, ModelSettings::default());
    model.split_shard(T0, "s", &id(0), &2.to_string()).unwrap();
    let now = T0 + DELAY;
    let gone = "Shard shardId-000000000000 in stream s under account 000000000000 has already been merged or split, and \
                thus is not eligible for merging or splitting.";
    refused(model.split_shard(now, "s", &id(0), "2"), ErrorCode::InvalidArgument, gone);
    refused(model.merge_shards(now, "s", &id(0), &id(1)), ErrorCode::InvalidArgument, gone);
    refused(model.merge_shards(now, "s", &id(1), &id(0)), ErrorCode::InvalidArgument, gone);
}

#[test]
fn shards_that_do_not_touch_are_not_merged() {
    let mut model = with_shards(3, ModelSettings::default());
    for (one, other) in [(0, 2), (2, 0), (1, 1)] {
        refused(
            model.merge_shards(T0, "s", &id(one), &id(other)),
            ErrorCode::InvalidArgument,
            &format!(
                "Shards {} and {} in stream s under account 000000000000 are not an adjacent pair of shards eligible \
                 for merging",
                id(one),
                id(other)
            ),
        );
    }
    refused(model.merge_shards(T0, "s", &id(0), &id(7)), ErrorCode::ResourceNotFound, "Could not find shard");
}

#[test]
fn stream_on_demand_is_not_resharded_by_its_users() {
    let mut model = model();
    let request = CreateStreamRequest { stream: "s", mode: StreamMode::OnDemand, ..CreateStreamRequest::default() };
    model.create_stream(T0, request).unwrap();
    let words = "Request is invalid. Stream s under account 000000000000 is in On-Demand mode.";
    refused(model.split_shard(T0, "s", &id(0), "2"), ErrorCode::Validation, words);
    refused(model.merge_shards(T0, "s", &id(0), &id(1)), ErrorCode::Validation, words);
    refused(model.update_shard_count(T0, "s", 2), ErrorCode::Validation, words);
}

#[test]
fn two_shards_scale_to_three_even_ones_by_two_splits_and_a_merge() {
    let mut model = with_shards(2, ModelSettings::default());
    let update = model.update_shard_count(T0, "s", 3).unwrap();
    assert_eq!(update, ShardCountUpdate { current: 2, target: 3 });
    assert_eq!(status(&mut model, T0 + 2 * DELAY - 1), StreamStatus::Updating);
    assert_eq!(numbers(&listed(&mut model, T0 + DELAY, ShardFilter::AtLatest)), [2, 3, 4, 5]);
    let now = T0 + 2 * DELAY;
    assert_eq!(status(&mut model, now), StreamStatus::Active);
    let shards = listed(&mut model, now, ShardFilter::AtLatest);
    let ranges: Vec<_> = shards.iter().map(|shard| (shard.id.number(), shard.range)).collect();
    assert_eq!(ranges, [(2, even_range(0, 3)), (5, even_range(2, 3)), (6, even_range(1, 3))]);
    assert_eq!((shards[2].parent, shards[2].adjacent_parent), (Some(ShardId::new(3)), Some(ShardId::new(4))));
}

#[test]
fn scaling_is_done_in_one_go_if_nobody_looked_meanwhile() {
    let mut model = with_shards(2, ModelSettings::default());
    model.update_shard_count(T0, "s", 3).unwrap();
    let shards = listed(&mut model, T0 + HOUR, ShardFilter::AtLatest);
    assert_eq!(numbers(&shards), [2, 5, 6]);
    // Its rounds happened when they were due.
    assert_eq!(numbers(&listed(&mut model, T0 + HOUR, ShardFilter::AtTimestamp(T0 + DELAY))), [2, 3, 4, 5]);
    assert_eq!(numbers(&listed(&mut model, T0 + HOUR, ShardFilter::AtTimestamp(T0 + 2 * DELAY))), [2, 5, 6]);
}

#[test]
fn scaling_stays_within_half_and_double_and_ten_times_a_day() {
    let mut model = with_shards(5, ModelSettings { update_delay_ms: 0, shard_limit: 12, ..ModelSettings::default() });
    let mut scale = |now_ms, target| model.update_shard_count(now_ms, "s", target);
    refused(
        scale(T0, 11),
        ErrorCode::LimitExceeded,
        "UpdateShardCount cannot scale up over double your current open shard count. Current open shard count: 5, \
         Target shard count: 11",
    );
    refused(
        scale(T0, 2),
        ErrorCode::LimitExceeded,
        "UpdateShardCount cannot scale down below half your current open shard count. Current open shard count: 5, \
         Target shard count: 2",
    );
    refused(scale(T0, 0), ErrorCode::Validation, "at 'targetShardCount' failed to satisfy constraint");
    refused(scale(T0, 10_001), ErrorCode::LimitExceeded, "cannot be greater than 10000");
    scale(T0, 10).unwrap();
    refused(scale(T0, 13), ErrorCode::LimitExceeded, "Limit: 12. Number of additional shards that would have");
    for _ in 0..9 {
        scale(T0, 10).unwrap();
    }
    refused(scale(T0 + 24 * HOUR - 1, 5), ErrorCode::LimitExceeded, "scaled 10 times in the last 24 hours");
    scale(T0 + 24 * HOUR, 5).unwrap();
}

#[test]
fn closed_shard_is_gone_when_all_it_held_has_aged_and_its_children_still_name_it() {
    let mut model = with_shards(2, ModelSettings::default());
    put_at(&mut model, T0, 0, "old");
    model.split_shard(T0, "s", &id(0), &2.to_string()).unwrap();
    let closed = T0 + DELAY;
    let last = closed + 24 * HOUR;
    assert_eq!(numbers(&listed(&mut model, last, ShardFilter::FromTrimHorizon)), [0, 1, 2, 3]);
    let stale = iterator(&mut model, last, IteratorPosition::TrimHorizon);
    assert_eq!(model.get_records(last, &stale, None).unwrap().child_shards.len(), 2);

    let now = last + 1;
    let shards = listed(&mut model, now, ShardFilter::FromTrimHorizon);
    assert_eq!(numbers(&shards), [1, 2, 3]);
    assert_eq!(shards[1].parent, Some(ShardId::new(0)));
    assert_covers_once(&shards);
    let described = model.describe_stream(now, "s", None, None).unwrap();
    assert_eq!(numbers(&described.shards), [1, 2, 3]);
    let iterator = model.get_shard_iterator(now, "s", &id(0), IteratorPosition::TrimHorizon);
    refused(iterator, ErrorCode::ResourceNotFound, "Shard shardId-000000000000 in stream s");
    refused(model.get_records(now, &stale, None), ErrorCode::ResourceNotFound, "does not exist");
    // Behind the gap that it left, shards are found as before.
    assert_eq!(put_at(&mut model, now, 0, "new").shard, ShardId::new(2));
    model.merge_shards(now, "s", &id(3), &id(1)).unwrap();
    assert_eq!(numbers(&listed(&mut model, now + DELAY, ShardFilter::AtLatest)), [2, 4]);
}

#[test]
fn listing_begun_before_a_split_goes_on_where_it_was() {
    let mut model = with_shards(4, ModelSettings::default());
    let first = ListShardsRequest { max_results: Some(3), ..ListShardsRequest::of("s") };
    let page = model.list_shards(T0, first).unwrap();
    assert_eq!(numbers(&page.shards), [0, 1, 2]);
    model.split_shard(T0, "s", &id(1), &even_range(1, 4).first.saturating_add(9).to_string()).unwrap();
    let token = page.next_token.unwrap();
    let rest = ListShardsRequest { next_token: Some(&token), ..ListShardsRequest::default() };
    assert_eq!(numbers(&model.list_shards(T0 + DELAY, rest).unwrap().shards), [3, 4, 5]);
}

#[test]
fn filters_give_what_is_documented() {
    let mut model = with_shards(2, ModelSettings::default());
    model.merge_shards(T0, "s", &id(0), &id(1)).unwrap();
    let (now, closed) = (T0 + HOUR, T0 + DELAY);
    let mut ids = |filter| numbers(&listed(&mut model, now, filter));
    assert_eq!(ids(ShardFilter::AtLatest), [2]);
    assert_eq!(ids(ShardFilter::AtTrimHorizon), [0, 1]);
    assert_eq!(ids(ShardFilter::FromTrimHorizon), [0, 1, 2]);
    assert_eq!(ids(ShardFilter::AfterShardId(ShardId::new(0))), [1, 2]);
    assert_eq!(ids(ShardFilter::AtTimestamp(closed - 1)), [0, 1]);
    assert_eq!(ids(ShardFilter::AtTimestamp(closed)), [2]);
    assert_eq!(ids(ShardFilter::AtTimestamp(0)), [0, 1], "before the stream there is its beginning");
    assert_eq!(ids(ShardFilter::FromTimestamp(closed)), [0, 1, 2], "closed at it counts in");
    assert_eq!(ids(ShardFilter::FromTimestamp(closed + 1)), [2]);
    assert_eq!(ids(ShardFilter::FromTimestamp(0)), [0, 1, 2]);
}

/// One thing that happens in a random life of a stream.
#[derive(Clone, Debug)]
enum Event {
    /// Split the open shard at this place in the list, at this part of its range of 1000.
    Split(usize, u64),
    /// Merge the open shard at this place with the next.
    Merge(usize),
    Scale(i64),
    Put(u128),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (any::<usize>(), 1_u64..999).prop_map(|(at, part)| Event::Split(at, part)),
        3 => any::<usize>().prop_map(Event::Merge),
        1 => (1_i64..12).prop_map(Event::Scale),
        6 => any::<u128>().prop_map(Event::Put),
    ]
}

fn live(model: &mut Model, now_ms: i64, event: &Event) {
    let open = listed(model, now_ms, ShardFilter::AtLatest);
    // Refusals (UPDATING, too narrow, too far, too often) are part of life.
    match *event {
        Event::Split(at, part) => {
            let shard = &open[at % open.len()];
            let width = shard.range.last - shard.range.first;
            let at = shard.range.first + width / 1_000 * u128::from(part);
            let _ = model.split_shard(now_ms, "s", &shard.id.to_string(), &at.to_string());
        }
        Event::Merge(at) => {
            let mut open = open;
            open.sort_unstable_by_key(|shard| shard.range.first);
            if let [one, other] = open.iter().skip(at % open.len()).take(2).collect::<Vec<_>>()[..] {
                let _ = model.merge_shards(now_ms, "s", &other.id.to_string(), &one.id.to_string());
            }
        }
        Event::Scale(target) => {
            let _ = model.update_shard_count(now_ms, "s", target);
        }
        Event::Put(hash_key) => {
            put_at(model, now_ms, hash_key, "d");
        }
    }
}

proptest! {
    /// What clients build on: whichever moment is asked for, its shards cover every hash key exactly once.
    #[test]
    fn filters_at_a_moment_cover_every_hash_key_once(
        events in prop::collection::vec((event(), 0_i64..3 * HOUR), 1..60),
        update_delay_ms in prop::sample::select(vec![0, 1, DELAY, HOUR]),
        moments in prop::collection::vec(0_i64..200 * HOUR, 10),
    ) {
        let mut model = with_shards(3, ModelSettings { update_delay_ms, ..ModelSettings::default() });
        let mut now = T0;
        for (event, elapsed_ms) in &events {
            live(&mut model, now, event);
            assert_covers_once(&listed(&mut model, now, ShardFilter::AtTrimHorizon));
            assert_covers_once(&listed(&mut model, now, ShardFilter::AtLatest));
            now += elapsed_ms;
        }
        for back_ms in moments {
            assert_covers_once(&listed(&mut model, now, ShardFilter::AtTimestamp(now - back_ms)));
        }
    }

    #[test]
    fn scaling_ends_with_even_shards_whatever_there_was(
        events in prop::collection::vec(event(), 0..12),
        factor in 50_i64..=200,
    ) {
        let mut model = with_shards(3, ModelSettings { update_delay_ms: 0, ..ModelSettings::default() });
        for event in events.iter().filter(|event| !matches!(event, Event::Scale(_))) {
            live(&mut model, T0, event);
        }
        let open = i64::try_from(listed(&mut model, T0, ShardFilter::AtLatest).len()).unwrap();
        let target = (open * factor).div_euclid(100).max((open + 1) / 2);
        model.update_shard_count(T0, "s", target).unwrap();
        let mut ranges: Vec<_> =
            listed(&mut model, T0, ShardFilter::AtLatest).iter().map(|shard| shard.range).collect();
        ranges.sort_unstable_by_key(|range| range.first);
        let count = u32::try_from(target).unwrap();
        prop_assert_eq!(ranges, (0..count).map(|index| even_range(index, count)).collect::<Vec<_>>());
    }

    /// A reader that walks parents before children sees each record once, and each hash key's records in order.
    #[test]
    fn walk_from_parents_to_children_sees_each_record_once_in_order_of_its_key(
        events in prop::collection::vec((event(), 0_i64..2_000), 1..80),
        seed in 0_u64..1_000,
        update_delay_ms in prop::sample::select(vec![0, 1, DELAY]),
    ) {
        let settings = ModelSettings { seed: Some(seed), update_delay_ms, empty_page_one_in: 5, ..ModelSettings::default() };
        let mut model = with_shards(2, settings);
        let mut now = T0;
        let mut put: Vec<(u128, SequenceNumber)> = Vec::new();
        for (event, elapsed_ms) in &events {
            match *event {
                // Few hash keys, so that each has a history.
                Event::Put(hash_key) => {
                    let hash_key = hash_key % 7 * (u128::MAX / 7);
                    put.push((hash_key, put_at(&mut model, now, hash_key, "d").sequence));
                }
                _ => live(&mut model, now, event),
            }
            now += elapsed_ms;
        }
        now += HOUR;
        let mut waiting: Vec<(ShardId, Vec<ShardId>)> = listed(&mut model, now, ShardFilter::AtTrimHorizon)
            .iter()
            .map(|shard| (shard.id, Vec::new()))
            .collect();
        let mut done = BTreeSet::new();
        let mut seen = Vec::new();
        while let Some(at) = waiting.iter().position(|(_, parents)| parents.iter().all(|p| done.contains(p))) {
            let (shard, _) = waiting.remove(at);
            let start = IteratorPosition::TrimHorizon;
            let mut next = Some(model.get_shard_iterator(now, "s", &shard.to_string(), start).unwrap());
            while let Some(at) = next {
                let page = model.get_records(now, &at, Some(3)).unwrap();
                seen.extend(page.records.clone().map(|record| record.sequence));
                for child in &page.child_shards {
                    if !waiting.iter().any(|(id, _)| *id == child.id) {
                        waiting.push((child.id, child.parents.clone()));
                    }
                }
                let at_tip = page.millis_behind_latest == 0 && page.child_shards.is_empty();
                next = page.next_iterator.clone().filter(|_| !at_tip || page.records.len() > 0);
            }
            prop_assert!(done.insert(shard), "{shard} was read twice");
        }
        prop_assert!(waiting.is_empty(), "{waiting:?}");
        let key_of: BTreeMap<_, _> = put.iter().map(|(key, sequence)| (*sequence, *key)).collect();
        let by_key = |all: &mut dyn Iterator<Item = SequenceNumber>| -> BTreeMap<u128, Vec<SequenceNumber>> {
            let mut by_key = BTreeMap::<_, Vec<_>>::new();
            all.for_each(|sequence| by_key.entry(key_of[&sequence]).or_default().push(sequence));
            by_key
        };
        let expected = by_key(&mut put.iter().map(|(_, sequence)| *sequence));
        prop_assert_eq!(by_key(&mut seen.into_iter()), expected);
    }
}
