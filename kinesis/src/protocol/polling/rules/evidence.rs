//! What silence proves.

use super::*;

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
