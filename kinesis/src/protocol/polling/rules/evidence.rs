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
fn silence_proves_nothing_before_three_answers_have_told_the_time() {
    let mut reader = Reader::reading();
    reader.clock = ServiceClock::new();
    let mut proved = Vec::new();
    for _ in 0..4 {
        reader.answer(batch(&[]), Some("i1"), Some(0));
        proved.push(reader.evidence().is_some());
        assert!(!reader.troubled(), "the endpoint does say the time");
        reader.sleep_ms();
    }
    assert_eq!(proved[..2], [false; 2]);
    assert!(proved[2] || proved[3]);
}

#[test]
fn endpoint_without_date_gives_no_evidence_and_is_named_once() {
    let mut reader = Reader::reading();
    reader.clock = ServiceClock::new();
    let mut troubles = 0;
    for _ in 0..3 {
        reader.answer_with(batch(&[]), Some("i"), Some(0), None, vec![]);
        assert_eq!(reader.evidence(), None);
        troubles += usize::from(reader.troubled());
        reader.sleep_ms();
    }
    assert_eq!(troubles, 1);
}

// ours      1000            ... 11 000: silent for ten seconds, asked for then
// evidence  none            ... this host's clock at 11 000, ten seconds off
#[test]
fn endpoint_without_date_is_believed_to_be_silent_late_and_by_this_hosts_clock() {
    let mut reader = Reader::dateless(Duration::from_secs(10));
    let began = reader.now;
    let mut said = 0;
    loop {
        reader.answer_with(batch(&[]), Some("i"), Some(0), None, vec![]);
        said += usize::from(reader.troubled());
        if let Some(evidence_ms) = reader.evidence() {
            let sent_ms = i64::try_from(reader.sent.as_nanos() / 1_000_000).unwrap();
            assert_eq!(evidence_ms, SERVICE_MS + sent_ms - 10_000);
            break;
        }
        reader.sleep_ms();
    }
    let silent = reader.sent.since(began);
    assert!(silent >= Duration::from_secs(10) && silent < Duration::from_millis(11_001), "{silent:?}");
    assert_eq!(said, 1);
}

#[test]
fn silence_without_date_begins_anew_after_a_failure_or_a_record() {
    for broken in [true, false] {
        let mut reader = Reader::dateless(Duration::from_secs(2));
        for _ in 0..4 {
            let before = reader.now;
            while reader.now.since(before) < Duration::from_millis(1_100) {
                reader.answer_with(batch(&[]), Some("i"), Some(0), None, vec![]);
                assert_eq!(reader.evidence(), None);
                reader.sleep_ms();
            }
            if broken {
                reader.fail(ErrorKind::Timeout);
            } else {
                reader.answer_with(batch(&[(1, 5)]), Some("i"), Some(0), None, vec![]);
            }
            reader.sleep_ms();
        }
    }
}

#[test]
fn silence_without_date_proves_nothing_if_it_is_told_so() {
    let mut reader = Reader::dateless(Duration::ZERO);
    for _ in 0..100 {
        reader.answer_with(batch(&[]), Some("i"), Some(0), None, vec![]);
        assert_eq!(reader.evidence(), None);
        reader.sleep_ms();
    }
}
