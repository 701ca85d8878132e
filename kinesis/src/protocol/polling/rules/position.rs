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
