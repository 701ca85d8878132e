//! The rules of writing, one by one, and all of them at once against a stream that refuses at random.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::{
    Batcher, BatcherSettings, Cause, GivenUp, KeyOrder, PUT_RECORDS_MAX, PutAction, PutId, PutInput, PutRecord,
};
use crate::protocol::{ErrorKind, Moment};

fn ms(millis: u64) -> Moment {
    Moment::from_millis(millis)
}

fn writer() -> Batcher {
    Batcher::new(BatcherSettings::default())
}

fn push(writer: &mut Batcher, records: &[(&str, &str)], now: Moment) {
    for (key, data) in records {
        writer.push(key, None, Bytes::copy_from_slice(data.as_bytes()), now).unwrap();
    }
}

/// The only action: a call, and the data it carries.
fn put(actions: Vec<PutAction>) -> (PutId, Vec<String>) {
    match <[PutAction; 1]>::try_from(actions) {
        Ok([PutAction::Put { id, records }]) => (id, texts(&records)),
        other => panic!("expected one call: {other:?}"),
    }
}

fn texts(records: &[PutRecord]) -> Vec<String> {
    records.iter().map(|record| String::from_utf8(record.data.to_vec()).unwrap()).collect()
}

fn answered(id: PutId, refused: &[bool]) -> PutInput {
    let code = "ProvisionedThroughputExceededException";
    let outcomes =
        refused.iter().map(|refused| if *refused { Err(code.to_owned()) } else { Ok(String::new()) }).collect();
    PutInput::Answered { id, outcomes }
}

fn failed(id: PutId, kind: ErrorKind) -> PutInput {
    PutInput::Failed { id, kind, message: "because".to_owned() }
}

// 0 ms: a, 40 ms: b, 100 ms: both go, though nothing came since
#[test]
fn tail_goes_when_its_oldest_record_has_lingered() {
    let mut writer = writer();
    push(&mut writer, &[("1", "a")], ms(0));
    assert_eq!(writer.on(PutInput::Wake, ms(0)), [PutAction::WakeAt(ms(100))]);
    push(&mut writer, &[("2", "b")], ms(40));
    assert_eq!(writer.on(PutInput::Wake, ms(40)), [PutAction::WakeAt(ms(100))]);
    let (id, records) = put(writer.on(PutInput::Wake, ms(100)));
    assert_eq!(records, ["a", "b"]);
    assert!(writer.on(answered(id, &[false, false]), ms(110)).is_empty());
    assert!(writer.is_empty());
}

#[test]
fn full_batch_goes_at_once_and_holds_500_records() {
    let mut writer = writer();
    for number in 0..PUT_RECORDS_MAX + 1 {
        writer.push(&number.to_string(), None, Bytes::from_static(b"x"), ms(0)).unwrap();
    }
    let actions = writer.on(PutInput::Wake, ms(0));
    let [PutAction::Put { records, .. }, PutAction::WakeAt(at)] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!((records.len(), *at), (500, ms(100)));
}

#[test]
fn batch_is_bounded_by_bytes_and_a_larger_record_travels_alone() {
    let settings = BatcherSettings { put_bytes_max: 1_000, record_bytes_max: 5_000, ..BatcherSettings::default() };
    let mut writer = Batcher::new(settings);
    for (key, bytes) in [("a", 599), ("b", 399), ("c", 4_000), ("d", 10)] {
        writer.push(key, None, Bytes::from(vec![0; bytes]), ms(0)).unwrap();
    }
    let actions = writer.on(PutInput::Flush, ms(0));
    let sizes: Vec<Vec<usize>> = actions
        .iter()
        .map(|action| match action {
            PutAction::Put { records, .. } => records.iter().map(|record| record.data.len()).collect(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(sizes, [vec![599, 399], vec![4_000]], "two calls at a time");
}

#[test]
fn record_waits_for_the_one_of_its_key_before_it() {
    let mut writer = writer();
    push(&mut writer, &[("1", "a1"), ("2", "b1"), ("1", "a2")], ms(0));
    let (first, records) = put(writer.on(PutInput::Flush, ms(0)));
    assert_eq!(records, ["a1", "b1"], "a2 would overtake a1 if that were refused");
    let (_, records) = put(writer.on(answered(first, &[false, false]), ms(10)));
    assert_eq!(records, ["a2"]);
}

// 0 ms: a1 and a2, both of key 1: a1 goes at once and a2 at its answer. Then a3 alone lingers, as nothing waits for it.
#[test]
fn record_that_another_of_its_key_waits_for_does_not_linger() {
    let mut writer = writer();
    push(&mut writer, &[("2", "b1"), ("1", "a1"), ("1", "a2"), ("1", "a3")], ms(0));
    let (first, records) = put(writer.on(PutInput::Wake, ms(0)));
    assert_eq!(records, ["b1", "a1"]);
    let (second, records) = put(writer.on(answered(first, &[false, false]), ms(10)));
    assert_eq!(records, ["a2"]);
    let actions = writer.on(answered(second, &[false]), ms(20));
    assert_eq!(actions, [PutAction::WakeAt(ms(100))]);

    let mut loose = Batcher::new(BatcherSettings { order: KeyOrder::WhileNothingFails, ..BatcherSettings::default() });
    push(&mut loose, &[("1", "a1"), ("1", "a2")], ms(0));
    assert_eq!(loose.on(PutInput::Wake, ms(0)), [PutAction::WakeAt(ms(100))], "both may travel together");
}

// 10 ms: answered. 20 ms: refused for its credentials, put again soon, refused again, then every half minute.
#[test]
fn refused_credentials_are_had_anew_soon_and_then_waited_for() {
    let wake = |actions: &[PutAction]| match actions.last() {
        Some(PutAction::WakeAt(at)) => *at,
        other => panic!("{other:?}"),
    };
    let mut writer = writer();
    push(&mut writer, &[("1", "a")], ms(0));
    let (id, _) = put(writer.on(PutInput::Flush, ms(0)));
    let _ = writer.on(answered(id, &[false]), ms(10));
    push(&mut writer, &[("1", "b")], ms(20));
    let (id, _) = put(writer.on(PutInput::Flush, ms(20)));
    let soon = wake(&writer.on(failed(id, ErrorKind::Credentials), ms(20)));
    assert!(soon <= ms(120), "{soon:?}");
    let (id, _) = put(writer.on(PutInput::Wake, soon));
    let late = wake(&writer.on(failed(id, ErrorKind::Credentials), soon));
    assert_eq!(late.since(soon), Duration::from_secs(30));
}

#[test]
fn records_of_a_key_with_hash_keys_apart_do_not_wait_for_each_other() {
    let mut writer = writer();
    for (hash_key, data) in [(None, "a1"), (Some(7), "b1"), (Some(8), "c1"), (Some(7), "b2"), (None, "a2")] {
        writer.push("1", hash_key, Bytes::from_static(data.as_bytes()), ms(0)).unwrap();
    }
    let actions = writer.on(PutInput::Flush, ms(0));
    let [PutAction::Put { id, records }] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!(texts(records), ["a1", "b1", "c1"]);
    assert_eq!(records.iter().map(|record| record.hash_key).collect::<Vec<_>>(), [None, Some(7), Some(8)]);
    writer.on(answered(*id, &[false, true, false]), ms(10));
    let (_, records) = put(writer.on(PutInput::Wake, ms(5_000)));
    assert_eq!(records, ["a2", "b1"], "b1 was refused, and b2 waits for it");
}

#[test]
fn refused_record_goes_again_before_later_ones_of_its_key_and_alone_of_its_call() {
    let mut writer = writer();
    push(&mut writer, &[("1", "a1"), ("2", "b1"), ("1", "a2")], ms(0));
    let (first, _) = put(writer.on(PutInput::Flush, ms(0)));
    let actions = writer.on(answered(first, &[true, false]), ms(10));
    let [PutAction::Trouble(said), PutAction::ListShards, PutAction::WakeAt(at)] = &actions[..] else {
        panic!("{actions:?}")
    };
    assert_eq!(said, "PutRecords: 1 of 2 records put again: ProvisionedThroughputExceededException");
    assert!(at.since(ms(10)) >= Duration::from_millis(25) && at.since(ms(10)) <= Duration::from_millis(50));
    let (second, records) = put(writer.on(PutInput::Wake, *at));
    assert_eq!(records, ["a1"]);
    let (_, records) = put(writer.on(answered(second, &[false]), ms(200)));
    assert_eq!(records, ["a2"]);
    assert_eq!((writer.counters().records_put, writer.counters().records_throttled), (2, 1));
}

#[test]
fn records_of_a_key_may_share_a_call_if_order_is_kept_only_while_nothing_fails() {
    let mut writer = Batcher::new(BatcherSettings { order: KeyOrder::WhileNothingFails, ..BatcherSettings::default() });
    push(&mut writer, &[("1", "a1"), ("2", "b1"), ("1", "a2")], ms(0));
    let (first, records) = put(writer.on(PutInput::Flush, ms(0)));
    assert_eq!(records, ["a1", "a2", "b1"]);
    push(&mut writer, &[("1", "a3")], ms(5));
    assert!(writer.on(PutInput::Flush, ms(5)).is_empty(), "but not two calls at a time");
    let actions = writer.on(answered(first, &[true, false, true]), ms(10));
    let PutAction::WakeAt(at) = actions[2] else { panic!("{actions:?}") };
    let (_, records) = put(writer.on(PutInput::Wake, at));
    assert_eq!(records, ["a1", "a3", "b1"]);
}

#[test]
fn throttled_writer_slows_down_and_recovers() {
    let mut writer = writer();
    push(&mut writer, &[("1", "a")], ms(0));
    let (mut id, _) = put(writer.on(PutInput::Flush, ms(0)));
    let mut now = ms(0);
    for _ in 0..12 {
        let actions = writer.on(answered(id, &[true]), now);
        let Some(PutAction::WakeAt(at)) = actions.last() else { panic!("{actions:?}") };
        assert!(at.since(now) <= Duration::from_secs(5));
        now = *at;
        id = put(writer.on(PutInput::Wake, now)).0;
    }
    assert!(writer.on(answered(id, &[false]), now).is_empty());
    push(&mut writer, &[("1", "b")], now);
    let actions = writer.on(PutInput::Flush, now);
    let [PutAction::WakeAt(at)] = actions[..] else { panic!("{actions:?}") };
    assert_eq!(at.since(now), Duration::from_millis(2_500), "half of 5 s after one answer without refusals");
}

#[test]
fn failed_call_goes_again_and_what_may_be_repeated_is_counted() {
    for (kind, repeated) in [(ErrorKind::Timeout, 2), (ErrorKind::Throttled, 0)] {
        let mut writer = writer();
        push(&mut writer, &[("1", "a"), ("2", "b")], ms(0));
        let (id, _) = put(writer.on(PutInput::Flush, ms(0)));
        let actions = writer.on(failed(id, kind), ms(10));
        let [PutAction::Trouble(_), PutAction::WakeAt(at)] = actions[..] else { panic!("{actions:?}") };
        assert_eq!(put(writer.on(PutInput::Wake, at)).1, ["a", "b"]);
        assert_eq!(writer.counters().maybe_repeated, repeated, "{kind}");
    }
}

#[test]
fn answer_that_does_not_fit_its_call_counts_as_a_failure() {
    let mut writer = writer();
    push(&mut writer, &[("1", "a"), ("2", "b")], ms(0));
    let (id, _) = put(writer.on(PutInput::Flush, ms(0)));
    writer.on(answered(id, &[false]), ms(10));
    assert_eq!((writer.pending(), writer.counters().maybe_repeated), (2, 2));
}

#[test]
fn permanent_error_is_said_once_and_ends_the_writer() {
    let mut writer = writer();
    push(&mut writer, &[("1", "a")], ms(0));
    let (id, _) = put(writer.on(PutInput::Flush, ms(0)));
    let message = "PutRecords: because".to_owned();
    assert_eq!(
        writer.on(failed(id, ErrorKind::NotFound), ms(10)),
        [PutAction::Failed { kind: ErrorKind::NotFound, message }]
    );
    assert!(writer.on(PutInput::Flush, ms(20)).is_empty());
    assert!(!writer.ready());
}

/// Answers calls as a stream does that refuses a call for any of `guilty`, until nothing is left; what it took, and what
/// was given up.
fn against_guilty(writer: &mut Batcher, guilty: &[&str]) -> (Vec<String>, Vec<GivenUp>, usize) {
    let (mut taken, mut given_up, mut calls) = (Vec::new(), Vec::new(), 0);
    let mut actions = VecDeque::from(writer.on(PutInput::Flush, ms(0)));
    while let Some(action) = actions.pop_front() {
        match action {
            PutAction::Put { id, records } => {
                calls += 1;
                let texts = texts(&records);
                let input = if texts.iter().any(|text| guilty.contains(&text.as_str())) {
                    failed(id, ErrorKind::InvalidArgument)
                } else {
                    taken.extend(texts);
                    answered(id, &vec![false; records.len()])
                };
                actions.extend(writer.on(input, ms(0)));
            }
            PutAction::GiveUp(record) => given_up.push(record),
            PutAction::Trouble(_) => {}
            other => panic!("{other:?}"),
        }
    }
    (taken, given_up, calls)
}

// 64 records, one at fault: 1 call, then a pair for each halving, 6 in all
#[test]
fn record_at_fault_for_its_calls_refusal_is_found_and_the_others_go() {
    let mut writer = writer();
    for number in 0..64 {
        writer.push(&number.to_string(), None, Bytes::from(number.to_string()), ms(0)).unwrap();
    }
    push(&mut writer, &[("41", "behind")], ms(0));
    let (mut taken, given_up, calls) = against_guilty(&mut writer, &["41"]);
    assert_eq!(calls, 1 + 2 * 6 + 1);
    taken.sort_unstable();
    assert_eq!(
        (taken.len(), taken.contains(&"41".to_owned()), taken.contains(&"behind".to_owned())),
        (64, false, true)
    );
    let [found] = &given_up[..] else { panic!("{given_up:?}") };
    assert_eq!((found.record.key.as_str(), found.reason.as_str()), ("41", "PutRecords: because"));
    assert_eq!(found.attempts, 7);
    assert!(writer.is_empty());
    assert_eq!(writer.counters().unwritable, 1);
}

// the first record of all is refused; whether it is to blame shows when another is taken
#[test]
fn record_refused_alone_is_guilty_once_another_call_is_answered() {
    let mut writer = writer();
    push(&mut writer, &[("1", "bad")], ms(0));
    let (id, _) = put(writer.on(PutInput::Flush, ms(0)));
    push(&mut writer, &[("1", "a2"), ("2", "b")], ms(0));
    let actions = writer.on(failed(id, ErrorKind::InvalidArgument), ms(10));
    let PutAction::Put { id, records } = &actions[0] else { panic!("{actions:?}") };
    assert_eq!(texts(records), ["b"]);
    let actions = writer.on(answered(*id, &[false]), ms(20));
    let [PutAction::GiveUp(bad), PutAction::Put { records, .. }] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!((bad.record.data.as_ref(), texts(records)), (b"bad".as_ref(), vec!["a2".to_owned()]));
}

fn limited(retry_for_ms: u64) -> Batcher {
    let retry_for = Some(Duration::from_millis(retry_for_ms));
    Batcher::new(BatcherSettings { retry_for, ..BatcherSettings::default() })
}

fn given_up(actions: &[PutAction]) -> Vec<&GivenUp> {
    actions
        .iter()
        .filter_map(|action| match action {
            PutAction::GiveUp(given_up) => Some(given_up),
            _ => None,
        })
        .collect()
}

// 0 ms: a1, b1; 400 ms: a2; 900 ms: a3. Refused at 500, at 1 499 and, after its second is over, at 1 700 ms
#[test]
fn record_is_given_up_when_it_is_refused_after_its_time_and_a_younger_one_behind_it_is_tried_on() {
    let mut writer = limited(1_000);
    push(&mut writer, &[("1", "a1"), ("2", "b1")], ms(0));
    let (id, _) = put(writer.on(PutInput::Flush, ms(0)));
    push(&mut writer, &[("1", "a2")], ms(400));
    assert!(given_up(&writer.on(answered(id, &[true, false]), ms(500))).is_empty());
    push(&mut writer, &[("1", "a3")], ms(900));
    let (id, records) = put(writer.on(PutInput::Wake, ms(1_000)));
    assert_eq!(records, ["a1"]);
    let actions = writer.on(answered(id, &[true]), ms(1_499));
    assert!(given_up(&actions).is_empty(), "its key has failed for 999 ms");
    let (id, _) = put(writer.on(PutInput::Wake, ms(1_700)));
    let actions = writer.on(answered(id, &[true]), ms(1_700));
    let [a1, a2] = given_up(&actions)[..] else { panic!("{actions:?}") };
    assert_eq!((a1.record.data.as_ref(), a1.attempts, a1.cause), (b"a1".as_ref(), 3, Cause::TriedTooLong));
    let reason = "not in the stream after 1700 ms: PutRecords: ProvisionedThroughputExceededException";
    assert_eq!((a1.reason.as_str(), a1.given), (reason, ms(0)));
    assert_eq!((a2.record.data.as_ref(), a2.attempts), (b"a2".as_ref(), 0), "1.3 s old, of a key that fails");
    let (_, records) = put(writer.on(PutInput::Wake, ms(2_000)));
    assert_eq!(records, ["a3"]);
    assert_eq!((writer.counters().given_up, writer.counters().records_put), (2, 1));
}

#[test]
fn old_record_whose_key_is_taken_is_tried_on() {
    let mut writer = limited(1_000);
    push(&mut writer, &[("1", "a1"), ("1", "a2")], ms(0));
    let (id, _) = put(writer.on(PutInput::Flush, ms(0)));
    let (id, _) = put(writer.on(answered(id, &[false]), ms(5_000)));
    let actions = writer.on(answered(id, &[true]), ms(5_010));
    assert!(given_up(&actions).is_empty(), "{actions:?}");
    assert!(matches!(actions.last(), Some(PutAction::WakeAt(_))), "{actions:?}");
}

#[test]
fn failed_calls_use_up_a_records_time_as_refusals_do() {
    let mut writer = limited(0);
    push(&mut writer, &[("1", "a"), ("2", "b")], ms(0));
    let (id, _) = put(writer.on(PutInput::Flush, ms(0)));
    let actions = writer.on(failed(id, ErrorKind::Timeout), ms(10));
    assert_eq!((given_up(&actions).len(), writer.is_empty(), writer.counters().given_up), (2, true, 2));
}

#[test]
fn refusal_of_every_record_before_any_call_was_answered_is_of_the_settings() {
    for records in [1, 2, 500] {
        let mut writer = writer();
        for number in 0..records {
            writer.push(&number.to_string(), None, Bytes::from_static(b"x"), ms(0)).unwrap();
        }
        let mut actions = VecDeque::from(writer.on(PutInput::Flush, ms(0)));
        let (mut calls, mut failures) = (0, Vec::new());
        while let Some(action) = actions.pop_front() {
            match action {
                PutAction::Put { id, .. } => {
                    calls += 1;
                    actions.extend(writer.on(failed(id, ErrorKind::InvalidArgument), ms(0)));
                }
                PutAction::Trouble(_) | PutAction::ListShards => {}
                PutAction::Failed { kind, message } => failures.push((kind, message)),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(failures, [(ErrorKind::InvalidArgument, "PutRecords: because".to_owned())]);
        assert!(calls < 25, "{calls} calls for {records} records");
    }
}

#[test]
fn writer_is_not_ready_beyond_its_bounds_and_ready_again_below() {
    let settings = BatcherSettings { pending_records_max: 3, ..BatcherSettings::default() };
    let mut writer = Batcher::new(settings);
    push(&mut writer, &[("1", "a"), ("2", "b"), ("3", "c")], ms(0));
    assert!(!writer.ready());
    let (id, _) = put(writer.on(PutInput::Flush, ms(0)));
    assert!(!writer.ready(), "what is on its way still counts");
    writer.on(answered(id, &[false, false, false]), ms(10));
    assert!(writer.ready());

    let mut writer = Batcher::new(BatcherSettings { pending_bytes_max: 100, ..BatcherSettings::default() });
    writer.push("k", None, Bytes::from(vec![0; 100]), ms(0)).unwrap();
    assert!(!writer.ready());
}

#[test]
fn unwritable_record_is_refused_and_disturbs_nothing() {
    let mut writer = writer();
    assert!(writer.push("", None, Bytes::new(), ms(0)).is_err());
    assert!(writer.push("k", None, Bytes::from(vec![0; 1024 * 1024]), ms(0)).is_err());
    writer.push("k", None, Bytes::from(vec![0; 1024 * 1024 - 1]), ms(0)).unwrap();
    assert_eq!((writer.pending(), writer.counters().unwritable), (1, 2));
}

/// A stream that takes, refuses and fails at random, with calls answered in any order.
struct FakeStream {
    rng: fastrand::Rng,
    refusing_percent: u8,
    failing_percent: u8,
    /// Of so many records, numbered from 0, the last makes its call invalid.
    guilty_every: u32,
    given_up: Vec<u32>,
    /// Numbers of the records, by key, in the order taken.
    taken: BTreeMap<String, Vec<u32>>,
    under_way: Vec<(PutId, Vec<PutRecord>)>,
}

impl FakeStream {
    fn perform(&mut self, actions: Vec<PutAction>, order: KeyOrder) -> Option<Moment> {
        let mut wake = None;
        for action in actions {
            match action {
                PutAction::Put { id, records } => {
                    assert!((1..=PUT_RECORDS_MAX).contains(&records.len()));
                    let busy = self.under_way.iter().flat_map(|(_, records)| records);
                    assert!(busy.clone().all(|busy| records.iter().all(|record| record.key != busy.key)));
                    if order == KeyOrder::Kept {
                        let keys: BTreeSet<&String> = records.iter().map(|record| &record.key).collect();
                        assert_eq!(keys.len(), records.len(), "one record of a key in a call");
                    }
                    self.under_way.push((id, records));
                }
                PutAction::WakeAt(at) => wake = Some(at),
                PutAction::Trouble(_) | PutAction::ListShards => {}
                PutAction::GiveUp(given_up) => self.given_up.push(number(&given_up.record)),
                PutAction::Failed { message, .. } => panic!("{message}"),
            }
        }
        wake
    }

    /// Finishes some call under way.
    fn answer(&mut self) -> PutInput {
        let (id, records) = self.under_way.swap_remove(self.rng.usize(0..self.under_way.len()));
        if records.iter().any(|record| is_guilty(number(record), self.guilty_every)) {
            return failed(id, ErrorKind::InvalidArgument);
        }
        if self.rng.u8(0..100) < self.failing_percent {
            // Timed out: it may have landed, in part.
            for record in &records {
                if self.rng.bool() {
                    self.take(record);
                }
            }
            return failed(id, ErrorKind::Timeout);
        }
        let refused: Vec<bool> = records
            .iter()
            .map(|record| {
                let refused = self.rng.u8(0..100) < self.refusing_percent;
                if !refused {
                    self.take(record);
                }
                refused
            })
            .collect();
        answered(id, &refused)
    }

    fn take(&mut self, record: &PutRecord) {
        self.taken.entry(record.key.clone()).or_default().push(number(record));
    }
}

fn number(record: &PutRecord) -> u32 {
    u32::from_be_bytes(record.data[..4].try_into().unwrap())
}

fn is_guilty(number: u32, every: u32) -> bool {
    every > 0 && number % every == every - 1
}

/// Pushes `records` (key, bytes, pause in ms), flushes, and gives what the stream took and should have taken.
fn write_all(
    records: &[(u8, usize, u64)],
    settings: BatcherSettings,
    refusing_percent: u8,
    failing_percent: u8,
) -> (FakeStream, BTreeMap<String, Vec<u32>>, Batcher) {
    write_all_but(0, records, settings, refusing_percent, failing_percent)
}

/// As `write_all`, with records that make their calls invalid.
fn write_all_but(
    guilty_every: u32,
    records: &[(u8, usize, u64)],
    settings: BatcherSettings,
    refusing_percent: u8,
    failing_percent: u8,
) -> (FakeStream, BTreeMap<String, Vec<u32>>, Batcher) {
    let mut stream = FakeStream {
        rng: fastrand::Rng::with_seed(settings.seed),
        refusing_percent,
        failing_percent,
        guilty_every,
        given_up: Vec::new(),
        taken: BTreeMap::new(),
        under_way: Vec::new(),
    };
    let mut writer = Batcher::new(settings);
    let (mut now, mut wake, mut given) = (Moment::ZERO, None::<Moment>, BTreeMap::<String, Vec<u32>>::new());
    for (number, (key, bytes, pause_ms)) in (0u32..).zip(records) {
        let until = now + Duration::from_millis(*pause_ms);
        while let Some(at) = wake.filter(|at| *at <= until) {
            now = now.max(at);
            wake = stream.perform(writer.on(PutInput::Wake, now), settings.order);
        }
        now = until;
        if !stream.under_way.is_empty() && stream.rng.bool() {
            let answer = stream.answer();
            // The push below asks again when to wake.
            stream.perform(writer.on(answer, now), settings.order);
        }
        let mut data = number.to_be_bytes().to_vec();
        data.resize(4 + bytes, 0);
        writer.push(&key.to_string(), None, Bytes::from(data), now).unwrap();
        given.entry(key.to_string()).or_default().push(number);
        wake = stream.perform(writer.on(PutInput::Wake, now), settings.order);
    }
    wake = stream.perform(writer.on(PutInput::Flush, now), settings.order);
    while !writer.is_empty() {
        if stream.under_way.is_empty() {
            now = wake.expect("what waits is woken, or on its way");
            wake = stream.perform(writer.on(PutInput::Wake, now), settings.order);
        } else {
            now = now + Duration::from_millis(7);
            let answer = stream.answer();
            wake = stream.perform(writer.on(answer, now), settings.order);
        }
    }
    (stream, given, writer)
}

fn records() -> impl Strategy<Value = Vec<(u8, usize, u64)>> {
    prop::collection::vec((0u8..12, 0usize..400, 0u64..60), 0..300)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn refusals_neither_reorder_nor_lose_nor_repeat_records_of_a_key(
        records in records(), calls_in_flight_max in 1usize..5, put_bytes_max in 500usize..20_000, refusing_percent in 0u8..70, seed: u64,
    ) {
        let settings = BatcherSettings { calls_in_flight_max, put_bytes_max, seed, ..BatcherSettings::default() };
        let (stream, given, writer) = write_all(&records, settings, refusing_percent, 0);
        prop_assert_eq!(&stream.taken, &given);
        prop_assert_eq!(writer.counters().records_put, records.len() as u64);
        prop_assert_eq!(writer.counters().maybe_repeated, 0);
    }

    #[test]
    fn failed_calls_may_repeat_records_but_keep_their_order_and_lose_none(
        records in records(), calls_in_flight_max in 1usize..5, refusing_percent in 0u8..50, failing_percent in 0u8..60, seed: u64,
    ) {
        let settings = BatcherSettings { calls_in_flight_max, seed, ..BatcherSettings::default() };
        let (mut stream, given, writer) = write_all(&records, settings, refusing_percent, failing_percent);
        let taken: usize = stream.taken.values().map(Vec::len).sum();
        prop_assert!((taken - records.len()) as u64 <= writer.counters().maybe_repeated);
        stream.taken.values_mut().for_each(Vec::dedup);
        prop_assert_eq!(&stream.taken, &given);
    }

    #[test]
    fn records_at_fault_are_given_up_and_no_other_is_lost_or_reordered(
        records in records(), guilty_every in 2u32..30, refusing_percent in 0u8..40, failing_percent in 0u8..30, seed: u64,
    ) {
        let settings = BatcherSettings { seed, ..BatcherSettings::default() };
        // The first is taken, so that refusals are known to be of records.
        let records = [vec![(99, 0, 1_000)], records].concat();
        let (mut stream, mut given, writer) =
            write_all_but(guilty_every, &records, settings, refusing_percent, failing_percent);
        stream.taken.values_mut().for_each(Vec::dedup);
        given.values_mut().for_each(|numbers| numbers.retain(|number| !is_guilty(*number, guilty_every)));
        given.retain(|_, numbers| !numbers.is_empty());
        prop_assert_eq!(&stream.taken, &given);
        stream.given_up.sort_unstable();
        let guilty: Vec<u32> = (0..).take(records.len()).filter(|number| is_guilty(*number, guilty_every)).collect();
        prop_assert_eq!(&stream.given_up, &guilty);
        prop_assert_eq!(writer.counters().unwritable, guilty.len() as u64);
    }

    #[test]
    fn each_record_is_taken_or_given_up_and_what_is_taken_keeps_its_order(
        records in records(), retry_for_ms in 0u64..2_000, refusing_percent in 30u8..95, seed: u64,
    ) {
        let retry_for = Some(Duration::from_millis(retry_for_ms));
        let settings = BatcherSettings { retry_for, seed, ..BatcherSettings::default() };
        let (stream, given, writer) = write_all(&records, settings, refusing_percent, 0);
        let gone: BTreeSet<u32> = stream.given_up.iter().copied().collect();
        prop_assert_eq!((gone.len(), gone.len() as u64), (stream.given_up.len(), writer.counters().given_up));
        for (key, numbers) in &given {
            let kept: Vec<u32> = numbers.iter().copied().filter(|number| !gone.contains(number)).collect();
            prop_assert_eq!(kept, stream.taken.get(key).cloned().unwrap_or_default());
        }
    }

    #[test]
    fn looser_order_still_loses_and_repeats_nothing_and_keeps_order_while_nothing_fails(
        records in records(), refusing_percent in prop_oneof![Just(0u8), 1u8..60], seed: u64,
    ) {
        let settings = BatcherSettings { order: KeyOrder::WhileNothingFails, seed, ..BatcherSettings::default() };
        let (mut stream, given, _) = write_all(&records, settings, refusing_percent, 0);
        if refusing_percent > 0 {
            stream.taken.values_mut().for_each(|numbers| numbers.sort_unstable());
        }
        prop_assert_eq!(&stream.taken, &given);
    }
}
