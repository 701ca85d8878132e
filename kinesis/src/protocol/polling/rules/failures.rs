//! Calls that fail, and iterators that expire.

use std::cell::Cell;
use std::rc::Rc;

use super::*;

#[test]
fn expired_iterator_is_renewed_at_once_after_the_last_record_and_counted() {
    let mut reader = Reader::reading();
    reader.answer(batch(&[(41, SERVICE_MS - 5), (42, SERVICE_MS)]), Some("i1"), Some(0));
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

// Of a child: its parent was read with the same settings.
#[test]
fn refusal_is_waited_for_once_any_reader_of_the_stream_has_worked() {
    let worked: Rc<Cell<bool>> = Rc::default();
    let mut parent = Reader::reading();
    parent.machine = parent.machine.trusting(worked.clone());
    parent.answer(batch(&[]), Some("i1"), Some(0));
    assert!(worked.get());
    for kind in [ErrorKind::AccessDenied, ErrorKind::Credentials] {
        let mut child = Reader::at(ReadFrom::TrimHorizon);
        child.machine = child.machine.trusting(worked.clone());
        child.fail(kind);
        if kind == ErrorKind::Credentials {
            // Fresh ones may be there at once.
            assert!(child.sleep_ms() < 1_000);
            child.fail(kind);
        }
        assert_eq!(child.sleep_ms(), 30_000, "{kind}");
        assert_eq!(child.action, Action::FetchIterator(IteratorFrom::TrimHorizon));
    }
}
