//! Records on their way: in pages, and held back behind a stop.

use super::*;

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
