//! Where reading begins, and what is done where it cannot.

use super::*;

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

fn number(sequence: u64) -> SequenceNumber {
    SequenceNumber::parse(&sequence.to_string()).unwrap()
}

/// A reader that reads on after record 7 and has been given an iterator at it.
fn resumed(position: ReadFrom) -> Reader {
    let mut reader = Reader::at(position);
    assert_eq!(reader.action, Action::FetchIterator(IteratorFrom::At(number(7))));
    reader.tell(Input::Iterator("i0".to_owned()));
    reader
}

fn gap(reader: &Reader) -> Option<String> {
    reader.notices.iter().find_map(|notice| match notice {
        Notice::Gap { range, .. } => range.clone(),
        _ => None,
    })
}

/// Sequence numbers passed on by the last turn.
fn passed_on(reader: &mut Reader) -> Vec<String> {
    let batches = reader.notices.drain(..).filter_map(|notice| match notice {
        Notice::Records(emission) => Some(emission.into_parts()),
        _ => None,
    });
    let numbers = |(batch, pages): (RecordBatch, Vec<super::super::Page>)| {
        let indices = pages.into_iter().flat_map(|page| page.indices);
        indices.map(|index| batch.sequence(index as usize).to_owned()).collect::<Vec<_>>()
    };
    batches.flat_map(numbers).collect()
}

#[test]
fn record_that_reading_resumes_after_comes_again_and_is_not_passed_on_again() {
    let mut reader = resumed(after(7));
    reader.answer(batch(&[(7, 5), (8, 6)]), Some("i1"), Some(0));
    assert_eq!((gap(&reader), passed_on(&mut reader)), (None, vec!["8".to_owned()]));
    let mut reader = resumed(after(7));
    reader.answer(batch(&[(7, 5)]), Some("i1"), Some(0));
    assert!(reader.notices.is_empty() && *reader.machine.position() == after(7), "{:?}", reader.notices);
    reader.sleep_ms();
    reader.answer(batch(&[]), Some("i1"), Some(0));
    assert!(gap(&reader).is_none() && reader.evidence().is_some());
}

#[test]
fn reading_at_a_record_brings_it() {
    let mut reader = resumed(ReadFrom::At(number(7)));
    reader.answer(batch(&[(7, 5), (8, 6)]), Some("i1"), Some(0));
    assert_eq!((gap(&reader), passed_on(&mut reader)), (None, vec!["7".to_owned(), "8".to_owned()]));
}

// 7 is trimmed, and what was behind it up to 12: the service answers from 12 on as if nothing were.
#[test]
fn position_answered_from_the_oldest_record_leaves_a_gap_up_to_it() {
    for (position, range) in [(after(7), "after 7 before 12"), (ReadFrom::At(number(7)), "from 7 before 12")] {
        let mut reader = resumed(position);
        reader.answer(batch(&[]), Some("i1"), Some(5_000));
        assert_eq!(gap(&reader), None, "an empty answer on the way to the first record says nothing");
        reader.sleep_ms();
        reader.answer(batch(&[(12, SERVICE_MS)]), Some("i1"), Some(0));
        let [Notice::Gap { what, .. }, ..] = &reader.notices[..] else { panic!("{:?}", reader.notices) };
        assert!(what.contains("record 7 is not held any more, the next one is 12 of "), "{what}");
        assert_eq!((gap(&reader).as_deref(), passed_on(&mut reader)), (Some(range), vec!["12".to_owned()]));
        reader.sleep_ms();
        reader.answer(batch(&[(13, SERVICE_MS)]), Some("i1"), Some(0));
        assert_eq!(gap(&reader), None, "told once");
    }
}

#[test]
fn shard_that_holds_nothing_any_more_leaves_a_gap_to_its_tip_or_end() {
    let mut reader = resumed(after(7));
    reader.answer(batch(&[]), Some("i1"), Some(0));
    assert_eq!(gap(&reader).as_deref(), Some("after 7"));
    let mut reader = resumed(after(7));
    let children = vec![child("shardId-000000000001"), child("shardId-000000000002")];
    reader.answer_with(batch(&[]), None, Some(0), Some(SERVICE_MS), children);
    assert!(matches!(reader.notices[..], [Notice::Gap { .. }, Notice::Drained { .. }]), "{:?}", reader.notices);
}

// An idle shard's last record is trimmed sooner or later, and nothing is missing.
#[test]
fn iterator_is_taken_behind_what_cannot_have_been_trimmed() {
    let renewed = |reader: &mut Reader| {
        reader.fail(ErrorKind::ExpiredIterator);
        reader.action.clone()
    };
    let mut reader = Reader::reading();
    reader.answer(batch(&[(7, SERVICE_MS - 22 * 3_600_000)]), Some("i1"), Some(0));
    reader.sleep_ms();
    assert_eq!(renewed(&mut reader), Action::FetchIterator(IteratorFrom::After(number(7))));
    let mut reader = Reader::reading();
    reader.answer(batch(&[(7, SERVICE_MS - 30 * 3_600_000)]), Some("i1"), Some(9_000));
    reader.sleep_ms();
    assert_eq!(renewed(&mut reader), Action::FetchIterator(IteratorFrom::At(number(7))));
    let mut reader = Reader::reading();
    reader.answer(batch(&[(7, SERVICE_MS - 30 * 3_600_000)]), Some("i1"), Some(0));
    reader.sleep_ms();
    reader.answer(batch(&[]), Some("i1"), Some(0));
    reader.sleep_ms();
    assert_eq!(renewed(&mut reader), Action::FetchIterator(IteratorFrom::After(number(7))), "proved to be all");
}
