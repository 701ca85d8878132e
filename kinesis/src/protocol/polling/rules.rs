//! The rules of reading a shard, one by one, and all of them at once against a shard that fails at random.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::fake_shard::{FakeShard, Faults, Put, SERVICE_MS, SHARD, child, child_of_range};
use super::{Action, Answer, Input, IteratorFrom, Notice, PAGE_ITEMS_MAX, Polling, PollingSettings, Turn};
use crate::protocol::id::SequenceNumber;
use crate::protocol::pacing::{CALL_INTERVAL, READ_BYTES_PER_S};
use crate::protocol::position::ReadFrom;
use crate::protocol::service_clock::{ServiceClock, Timing};
use crate::protocol::{ErrorKind, Moment};
use crate::record::{RecordBatch, RecordBatchBuilder};

/// A reader and its two clocks, told what happens step by step. Calls take no time unless `sent` says so.
struct Reader {
    machine: Polling,
    clock: ServiceClock,
    now: Moment,
    sent: Moment,
    notices: Vec<Notice>,
    action: Action,
}

impl Reader {
    fn at(position: ReadFrom) -> Reader {
        let settings = PollingSettings { margin_ms: 0, ..PollingSettings::default() };
        let mut reader = Reader {
            machine: Polling::new(settings, Arc::from(SHARD), position),
            clock: ServiceClock::new(),
            now: Moment::from_millis(1_000),
            sent: Moment::from_millis(1_000),
            notices: Vec::new(),
            action: Action::Finished,
        };
        reader.tell(Input::Wake);
        reader
    }

    /// One that has its first iterator and asks for records.
    fn reading() -> Reader {
        let mut reader = Reader::at(ReadFrom::TrimHorizon);
        assert_eq!(reader.action, Action::FetchIterator(IteratorFrom::TrimHorizon));
        reader.tell(Input::Iterator("i0".to_owned()));
        assert_eq!(reader.action, records_from("i0"));
        reader
    }

    fn tell(&mut self, input: Input) {
        let Turn { notices, action } = self.machine.on(input, self.now, &mut self.clock);
        self.notices = notices;
        self.action = action;
    }

    /// How long it sleeps before the next call; then it is that call's turn.
    fn sleep_ms(&mut self) -> u64 {
        let Action::Sleep { until } = self.action else { panic!("not asleep: {:?}", self.action) };
        let slept = until.since(self.now);
        self.now = until;
        self.sent = until;
        self.tell(Input::Wake);
        u64::try_from(slept.as_millis()).unwrap()
    }

    fn fail(&mut self, kind: ErrorKind) {
        self.tell(Input::Failed { kind, message: "because".to_owned() });
    }

    fn answer(&mut self, batch: RecordBatch, next: Option<&str>, behind_ms: Option<u64>) {
        self.answer_with(batch, next, behind_ms, Some(SERVICE_MS), vec![]);
    }

    fn answer_with(
        &mut self,
        batch: RecordBatch,
        next: Option<&str>,
        behind_ms: Option<u64>,
        date_ms: Option<i64>,
        children: Vec<crate::protocol::ShardInfo>,
    ) {
        let timing = Timing { sent: self.sent, received: self.now, date_ms };
        let next_iterator = next.map(str::to_owned);
        self.tell(Input::Records(Answer { batch, next_iterator, behind_ms, children, timing }));
    }

    fn evidence(&self) -> Option<i64> {
        self.notices.iter().find_map(|notice| match notice {
            Notice::Evidence { time_ms } => Some(*time_ms),
            _ => None,
        })
    }

    fn troubled(&self) -> bool {
        self.notices.iter().any(|notice| matches!(notice, Notice::Trouble(_)))
    }
}

fn records_from(iterator: &str) -> Action {
    Action::FetchRecords { iterator: iterator.to_owned(), limit: 10_000 }
}

fn batch(records: &[(u64, i64)]) -> RecordBatch {
    let mut builder = RecordBatchBuilder::new();
    for (sequence, arrival_ms) in records {
        builder.push("k", b"x", &sequence.to_string(), *arrival_ms).unwrap();
    }
    builder.finish()
}

fn after(sequence: u64) -> ReadFrom {
    ReadFrom::After(SequenceNumber::parse(&sequence.to_string()).unwrap())
}

#[test]
fn pinned_start_is_asked_for_by_its_timestamp() {
    assert_eq!(Reader::at(ReadFrom::AtTimestamp(77)).action, Action::FetchIterator(IteratorFrom::AtTimestamp(77)));
}

#[cfg(feature = "sabotage")]
#[test]
fn planted_bug_asks_for_the_latest_instead() {
    use crate::protocol::sabotage::{Sabotage, plant};
    plant(Some(Sabotage::LatestNotPinned));
    let action = Reader::at(ReadFrom::AtTimestamp(77)).action;
    plant(None);
    assert_eq!(action, Action::FetchIterator(IteratorFrom::Latest));
}

#[test]
fn answer_with_records_is_followed_at_once_within_the_pace() {
    let mut reader = Reader::reading();
    reader.answer(batch(&[(1, 5)]), Some("i1"), Some(0));
    assert_eq!((reader.sleep_ms(), &reader.action), (200, &records_from("i1")));
}

#[test]
fn empty_but_behind_walks_on_within_the_pace_and_proves_nothing() {
    let mut reader = Reader::reading();
    for _ in 0..5 {
        reader.answer(batch(&[]), Some("i1"), Some(60_000));
        assert!(matches!(reader.notices[..], [Notice::Lagging { behind_ms: 60_000 }]), "{:?}", reader.notices);
        assert_eq!(reader.sleep_ms(), 200);
    }
}

#[test]
fn idle_interval_grows_to_a_second_and_snaps_back() {
    let mut reader = Reader::reading();
    for whole_ms in [200, 300, 450, 675, 1_000, 1_000] {
        reader.answer(batch(&[]), Some("i"), Some(0));
        let slept = reader.sleep_ms();
        // The first may not be shorter than the quota allows, whatever the jitter.
        let least_ms = if whole_ms == 200 { 200 } else { whole_ms * 9 / 10 };
        assert!((least_ms..=whole_ms).contains(&slept), "{slept} of {whole_ms} ms");
    }
    reader.answer(batch(&[(1, 5)]), Some("i"), Some(0));
    assert_eq!(reader.sleep_ms(), 200);
    reader.answer(batch(&[]), Some("i"), Some(0));
    assert_eq!(reader.sleep_ms(), 200);
}

#[test]
fn ten_mebibytes_cost_five_seconds() {
    let mut reader = Reader::reading();
    let mut builder = RecordBatchBuilder::new();
    builder.push("", &vec![0; 10 * 1024 * 1024], "1", 5).unwrap();
    reader.answer(builder.finish(), Some("i1"), Some(9));
    assert_eq!(reader.sleep_ms(), 5_000);
}

// ours      1000 sent ......... 1070 answered: empty, 0 behind, Date = SERVICE_MS
// evidence  the service's clock at 1000, not at 1070
#[test]
fn evidence_is_the_moment_the_request_was_sent() {
    let mut reader = Reader::reading();
    reader.now = Moment::from_millis(1_070);
    reader.answer(batch(&[]), Some("i1"), Some(0));
    assert_eq!(reader.evidence(), Some(SERVICE_MS - 70));
}

#[test]
fn margin_is_taken_off_evidence() {
    let mut reader = Reader::reading();
    reader.machine.settings.margin_ms = 1_000;
    reader.answer(batch(&[]), Some("i1"), Some(0));
    assert_eq!(reader.evidence(), Some(SERVICE_MS - 1_000));
}

#[test]
fn answer_with_records_is_no_evidence_even_at_the_tip() {
    let mut reader = Reader::reading();
    reader.answer(batch(&[(1, 5)]), Some("i1"), Some(0));
    assert_eq!(reader.evidence(), None);
}

#[test]
fn answer_without_lag_or_without_next_iterator_is_no_evidence() {
    let mut reader = Reader::reading();
    reader.answer(batch(&[]), Some("i1"), None);
    assert_eq!(reader.evidence(), None);
    reader.sleep_ms();
    reader.answer_with(batch(&[]), None, Some(0), Some(SERVICE_MS), vec![child("shardId-000000000001")]);
    assert_eq!(reader.evidence(), None);
}

#[test]
fn endpoint_without_date_gives_no_evidence_and_is_named_once() {
    let mut reader = Reader::reading();
    let mut troubles = 0;
    for _ in 0..3 {
        reader.answer_with(batch(&[]), Some("i"), Some(0), None, vec![]);
        assert_eq!(reader.evidence(), None);
        troubles += usize::from(reader.troubled());
        reader.sleep_ms();
    }
    assert_eq!(troubles, 1);
}

#[test]
fn expired_iterator_is_renewed_at_once_after_the_last_record_and_counted() {
    let mut reader = Reader::reading();
    reader.answer(batch(&[(41, 5), (42, 6)]), Some("i1"), Some(0));
    reader.sleep_ms();
    reader.fail(ErrorKind::ExpiredIterator);
    let after = IteratorFrom::After(SequenceNumber::parse("42").unwrap());
    assert_eq!(reader.action, Action::FetchIterator(after));
    assert!(!reader.troubled(), "an expired iterator is normal");
    assert_eq!(reader.machine.counters().iterators_expired, 1);
}

#[test]
fn expired_iterator_before_the_first_record_is_renewed_at_the_pinned_start() {
    let mut reader = Reader::at(ReadFrom::AtTimestamp(77));
    reader.tell(Input::Iterator("i0".to_owned()));
    reader.now = Moment::from_millis(400_000);
    reader.fail(ErrorKind::ExpiredIterator);
    assert_eq!(reader.action, Action::FetchIterator(IteratorFrom::AtTimestamp(77)));
}

#[test]
fn throttled_reader_waits_a_second_or_more_and_keeps_its_iterator() {
    let mut reader = Reader::reading();
    let mut last = 0;
    for _ in 0..4 {
        reader.fail(ErrorKind::Throttled);
        assert!(reader.troubled());
        let slept = reader.sleep_ms();
        assert!((1_000..=8_000).contains(&slept) && slept * 2 >= last, "{slept} ms after {last} ms");
        assert_eq!(reader.action, records_from("i0"));
        last = slept;
    }
    assert_eq!(reader.machine.counters().throttled, 4);
}

#[test]
fn passing_error_is_retried_for_as_long_as_it_takes() {
    let mut reader = Reader::reading();
    for attempt in 0..200 {
        reader.fail([ErrorKind::Connection, ErrorKind::Unavailable, ErrorKind::Timeout][attempt % 3]);
        let slept = reader.sleep_ms();
        assert!((200..=5_000).contains(&slept), "{slept} ms");
        assert_eq!(reader.action, records_from("i0"));
    }
}

#[test]
fn permanent_error_fails_with_shard_and_call() {
    let mut reader = Reader::at(ReadFrom::TrimHorizon);
    reader.fail(ErrorKind::AccessDenied);
    let Action::Failed { kind, message } = &reader.action else { panic!("{:?}", reader.action) };
    assert_eq!(*kind, ErrorKind::AccessDenied);
    assert_eq!(message, "shardId-000000000000: GetShardIterator: because");
}

#[test]
fn invalid_iterator_is_renewed_once_then_the_reader_fails() {
    let mut reader = Reader::reading();
    reader.fail(ErrorKind::InvalidArgument);
    reader.sleep_ms();
    assert_eq!(reader.action, Action::FetchIterator(IteratorFrom::TrimHorizon));
    reader.tell(Input::Iterator("i1".to_owned()));
    reader.fail(ErrorKind::InvalidArgument);
    assert!(matches!(reader.action, Action::Failed { .. }), "{:?}", reader.action);
}

#[test]
fn position_past_retention_reads_on_from_the_oldest_record_and_notes_the_gap() {
    let mut reader = Reader::at(after(7));
    reader.fail(ErrorKind::InvalidArgument);
    assert!(matches!(reader.notices[..], [Notice::Gap { .. }]));
    reader.sleep_ms();
    assert_eq!(reader.action, Action::FetchIterator(IteratorFrom::TrimHorizon));
}

#[test]
fn refused_start_time_is_never_replaced_by_the_oldest_record() {
    let mut reader = Reader::at(ReadFrom::AtTimestamp(77));
    let mut tries = 0;
    loop {
        reader.fail(ErrorKind::InvalidArgument);
        tries += 1;
        if matches!(reader.action, Action::Failed { .. }) {
            break;
        }
        reader.sleep_ms();
        assert_eq!(reader.action, Action::FetchIterator(IteratorFrom::AtTimestamp(77)));
    }
    assert_eq!(tries, 7);
}

/// Lists until the machine does something else.
fn list(reader: &mut Reader, shards: &[crate::protocol::ShardInfo]) -> usize {
    let mut listings = 0;
    while reader.action == Action::ListShards {
        listings += 1;
        reader.tell(Input::Shards(shards.to_vec()));
        if matches!(reader.action, Action::Sleep { .. }) {
            reader.sleep_ms();
        }
    }
    listings
}

#[test]
fn aged_out_shard_ends_with_a_gap_and_missing_stream_fails() {
    let children = [child_of_range("shardId-000000000001", 0, 9), child_of_range("shardId-000000000002", 10, 19)];
    let mut reader = Reader::reading();
    reader.answer(batch(&[(41, 5)]), Some("i1"), Some(0));
    reader.sleep_ms();
    reader.fail(ErrorKind::NotFound);
    assert_eq!(list(&mut reader, &children), 3, "one listing may be behind");
    let [Notice::Gap { after: Some(after), .. }, Notice::Drained { children: seen }] = &reader.notices[..] else {
        panic!("{:?}", reader.notices)
    };
    assert_eq!((after.as_str(), seen.len()), ("41", 2));
    assert_eq!(reader.action, Action::Finished);

    let mut reader = Reader::reading();
    reader.fail(ErrorKind::NotFound);
    reader.fail(ErrorKind::NotFound);
    assert!(matches!(reader.action, Action::Failed { kind: ErrorKind::NotFound, .. }));
}

#[test]
fn aged_out_shard_whose_children_nobody_knows_is_abandoned_and_not_at_the_end_of_time() {
    let mut reader = Reader::reading();
    reader.fail(ErrorKind::NotFound);
    let grandchild = crate::protocol::ShardInfo { parents: vec![], ..child("shardId-000000000007") };
    list(&mut reader, &[grandchild]);
    assert!(matches!(reader.notices[..], [Notice::Gap { after: None, .. }, Notice::Abandoned]), "{:?}", reader.notices);
}

#[test]
fn closed_shard_hands_on_its_last_records_before_its_children() {
    let mut reader = Reader::reading();
    let children = vec![child("shardId-000000000001"), child("shardId-000000000002")];
    reader.answer_with(batch(&[(1, 5)]), None, Some(0), Some(SERVICE_MS), children.clone());
    let [Notice::Records(_), Notice::Drained { children: seen }] = &reader.notices[..] else {
        panic!("{:?}", reader.notices)
    };
    assert_eq!((*seen).clone(), children);
    assert_eq!(reader.action, Action::Finished);
}

#[test]
fn children_that_the_answer_does_not_name_all_are_looked_up_until_all_are_known() {
    let stranger =
        crate::protocol::ShardInfo { id: Arc::from("shardId-9"), parents: vec![Arc::from("shardId-8")], range: None };
    let own = crate::protocol::ShardInfo { parents: vec![], ..child(SHARD) };
    let (low, high) = (child_of_range("shardId-000000000001", 0, 9), child_of_range("shardId-000000000002", 10, 19));
    for children in [vec![], vec![stranger.clone()], vec![low.clone()]] {
        let mut reader = Reader::reading();
        reader.answer_with(batch(&[]), None, Some(0), None, children);
        assert_eq!(reader.action, Action::ListShards);
        let mut said = 0;
        for _ in 0..20 {
            reader.tell(Input::Shards(vec![own.clone(), stranger.clone(), low.clone()]));
            said += usize::from(reader.troubled());
            assert!(!reader.notices.iter().any(|notice| matches!(notice, Notice::Drained { .. })), "half of a split");
            reader.sleep_ms();
            assert_eq!(reader.action, Action::ListShards, "the listing may be behind");
        }
        assert_eq!(said, 16, "from the fifth on it is said");
        reader.tell(Input::Shards(vec![stranger.clone(), high.clone(), low.clone()]));
        assert!(matches!(&reader.notices[..], [Notice::Drained { children }] if children.len() == 2));
    }
}

#[test]
fn closed_shard_that_aged_out_before_its_children_were_named_waits_for_none_that_is_gone() {
    let own = crate::protocol::ShardInfo { parents: vec![], ..child(SHARD) };
    let grandchild = crate::protocol::ShardInfo {
        parents: vec![Arc::from("shardId-000000000002")],
        ..child("shardId-000000000007")
    };
    let low = child_of_range("shardId-000000000001", 0, 9);
    for named in [vec![], vec![low]] {
        let mut reader = Reader::reading();
        reader.answer_with(batch(&[(41, 5)]), None, Some(0), None, vec![]);
        let listing: Vec<_> = named.iter().chain([&grandchild]).cloned().collect();
        // Two without it, one with it, and then it is gone: a single listing may be behind.
        for shards in [&listing, &listing, &vec![own.clone()], &listing, &listing] {
            assert_eq!(reader.action, Action::ListShards);
            reader.tell(Input::Shards(shards.clone()));
            assert!(reader.notices.iter().all(|notice| matches!(notice, Notice::Trouble(_))), "{:?}", reader.notices);
            reader.sleep_ms();
        }
        reader.tell(Input::Shards(listing));
        let [Notice::Gap { after: Some(after), what }, end] = &reader.notices[..] else {
            panic!("{:?}", reader.notices)
        };
        assert_eq!(after.as_str(), "41");
        assert_eq!(
            *what,
            format!(
                "{SHARD}: the shard was read to its end, but aged out of the listings before they named all of its children: \
                 what those held that are not named ({} are) is missing",
                named.len()
            )
        );
        let expected = if named.is_empty() { Notice::Abandoned } else { Notice::Drained { children: named } };
        assert_eq!(format!("{end:?}"), format!("{expected:?}"));
        assert_eq!(reader.action, Action::Finished);
    }
}

#[test]
fn iterators_that_expire_again_and_again_are_said_and_slowed_down() {
    let mut reader = Reader::reading();
    reader.fail(ErrorKind::ExpiredIterator);
    assert!(!reader.troubled(), "one is normal");
    let mut slept_ms = 0;
    for _ in 0..10 {
        if matches!(reader.action, Action::Sleep { .. }) {
            slept_ms += reader.sleep_ms();
        }
        reader.tell(Input::Iterator("i".to_owned()));
        reader.fail(ErrorKind::ExpiredIterator);
        assert!(reader.troubled());
    }
    assert!(slept_ms > 10_000, "{slept_ms} ms");
}

#[test]
fn records_later_than_the_stop_are_held_back_and_the_position_stays_before_them() {
    let mut reader = Reader::reading();
    reader.machine.stop_at(100);
    // stamps:            90     100    101 (held back)  99
    reader.answer(batch(&[(1, 90), (2, 100), (3, 101), (4, 99)]), Some("i1"), Some(0));
    assert!(
        matches!(reader.notices.pop(), Some(Notice::Withheld { highest_ms: 101 })),
        "what is held back still says how far the shard has come"
    );
    let Some(Notice::Records(emission)) = reader.notices.pop() else { panic!() };
    let (_, pages) = emission.into_parts();
    assert_eq!((pages[0].indices.as_slice(), &pages[0].position), (&[0, 1, 3][..], &after(2)));
    reader.sleep_ms();
    reader.answer(batch(&[(5, 100)]), Some("i2"), Some(0));
    let Some(Notice::Records(emission)) = reader.notices.pop() else { panic!() };
    assert_eq!(emission.into_parts().1[0].position, after(2), "frozen");
    reader.sleep_ms();
    reader.answer(batch(&[(6, 200)]), Some("i3"), Some(0));
    assert!(
        matches!(reader.notices[..], [Notice::Withheld { highest_ms: 200 }]),
        "no record to pass on: {:?}",
        reader.notices
    );
    reader.sleep_ms();
    reader.answer(batch(&[]), Some("i4"), Some(0));
    assert!(reader.evidence().is_some(), "polling goes on for the evidence");
    assert_eq!(reader.machine.counters().withheld, 2);
}

#[test]
fn big_answer_is_passed_on_in_pages_each_with_its_position() {
    let mut reader = Reader::reading();
    let records: Vec<(u64, i64)> = (1..=2_500).map(|n| (n, 5)).collect();
    reader.answer(batch(&records), Some("i1"), Some(0));
    let Some(Notice::Records(emission)) = reader.notices.pop() else { panic!() };
    let (_, pages) = emission.into_parts();
    let shape: Vec<(usize, ReadFrom)> = pages.iter().map(|page| (page.indices.len(), page.position.clone())).collect();
    assert_eq!(shape, [(PAGE_ITEMS_MAX, after(1_024)), (PAGE_ITEMS_MAX, after(2_048)), (452, after(2_500))]);
}

#[test]
fn page_is_bounded_by_bytes_but_holds_at_least_one_record() {
    let mut reader = Reader::reading();
    let mut builder = RecordBatchBuilder::new();
    for (sequence, bytes) in [(1, 200_000), (2, 100_000), (3, 900_000), (4, 10)] {
        builder.push("", &vec![0; bytes], &sequence.to_string(), 5).unwrap();
    }
    reader.answer(builder.finish(), Some("i1"), Some(0));
    let Some(Notice::Records(emission)) = reader.notices.pop() else { panic!() };
    let pages: Vec<Vec<u32>> = emission.into_parts().1.into_iter().map(|page| page.indices).collect();
    assert_eq!(pages, [vec![0], vec![1], vec![2], vec![3]]);
}

prop_compose! {
    fn puts()(gaps in prop::collection::vec((0u64..900, 0u64..30, prop_oneof![9 => 0usize..2_000, 1 => 0usize..400_000]), 0..150)) -> Vec<Put> {
        let mut at_ms = 0;
        gaps.into_iter().map(|(gap, skew_ms, bytes)| {
            at_ms += gap;
            Put { at_ms, skew_ms: skew_ms.min(at_ms), bytes }
        }).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn closed_shard_is_read_whole_once_and_in_order_whatever_fails(
        puts in puts(), failing_percent in 0u8..60, hollow_percent in 0u8..50, end_on_last_page: bool, seed: u64,
    ) {
        let last_ms = puts.last().map_or(0, |put| put.at_ms);
        let mut shard = FakeShard::new(puts, Faults { failing_percent, hollow_percent, end_on_last_page }, seed);
        shard.closed_at_ms = Some(last_ms + 500);
        let settings = PollingSettings { seed, margin_ms: 0, ..PollingSettings::default() };
        let (trace, _) = shard.read(settings, ReadFrom::TrimHorizon, 10_000_000);
        prop_assert_eq!(&trace.sequences, &(0..shard.puts.len()).collect::<Vec<_>>());
        prop_assert_eq!(trace.drained.map(|children| children.len()), Some(2));
        prop_assert_eq!((trace.failed, trace.gaps), (None, 0));
    }

    // What is stamped is readable at once here, up to 30 ms of skew: so that is the margin.
    #[test]
    fn evidence_never_exceeds_the_services_clock_nor_a_record_to_come(
        puts in puts(), failing_percent in 0u8..40, hollow_percent in 0u8..50, seed: u64,
    ) {
        let mut shard = FakeShard::new(puts, Faults { failing_percent, hollow_percent, end_on_last_page: false }, seed);
        let settings = PollingSettings { seed, margin_ms: 30, ..PollingSettings::default() };
        let (trace, _) = shard.read(settings, ReadFrom::TrimHorizon, 200_000);
        prop_assert_eq!(trace.sequences.len(), shard.puts.len());
        prop_assert!(!trace.evidence.is_empty());
        for (time_ms, sent_truth_ms, passed_on) in &trace.evidence {
            prop_assert!(*time_ms <= sent_truth_ms - 30, "{time_ms} > {sent_truth_ms} - 30");
            for index in *passed_on..shard.puts.len() {
                prop_assert!(shard.stamp_ms(index) >= *time_ms, "record {index} at {} came behind evidence {time_ms}", shard.stamp_ms(index));
            }
        }
        prop_assert!(trace.evidence.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn pace_never_exceeds_five_calls_nor_two_mebibytes_a_second(
        sizes in prop::collection::vec(0usize..900_000, 1..120), failing_percent in 0u8..50, seed: u64,
    ) {
        let puts = sizes.into_iter().map(|bytes| Put { at_ms: 0, skew_ms: 0, bytes }).collect();
        let mut shard = FakeShard::new(puts, Faults { failing_percent, ..Faults::default() }, seed);
        shard.page_records = 11;
        let settings = PollingSettings { seed, ..PollingSettings::default() };
        let (trace, _) = shard.read(settings, ReadFrom::TrimHorizon, 120_000);
        for pair in trace.sent.windows(2) {
            prop_assert!(pair[1].since(pair[0]) >= CALL_INTERVAL, "{pair:?}");
        }
        for (sent, bytes) in &trace.calls {
            let cost = Duration::from_secs_f64(*bytes as f64 / READ_BYTES_PER_S as f64);
            if let Some(next) = trace.sent.iter().find(|next| *next > sent) {
                prop_assert!(next.since(*sent) + Duration::from_micros(1) >= cost, "{bytes} bytes, then {:?}", next.since(*sent));
            }
        }
    }

    #[test]
    fn reader_resumed_at_any_page_loses_and_repeats_nothing(count in 1usize..3_000, cut in 0usize..6, seed: u64) {
        let puts = (0..count).map(|_| Put { at_ms: 0, skew_ms: 0, bytes: 300 }).collect();
        let mut shard = FakeShard::new(puts, Faults { failing_percent: 10, ..Faults::default() }, seed);
        shard.page_records = 700;
        let settings = PollingSettings { seed, ..PollingSettings::default() };
        let (first, machine) = shard.read(settings, ReadFrom::TrimHorizon, 300 * cut as u64 + 1);
        let (rest, _) = shard.read(settings, machine.position().to_string().parse().unwrap(), 100_000);
        let all: Vec<usize> = first.sequences.into_iter().chain(rest.sequences).collect();
        prop_assert_eq!(all, (0..count).collect::<Vec<_>>());
    }
}
