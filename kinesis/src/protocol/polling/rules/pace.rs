//! When the next call goes out.

use super::*;

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
