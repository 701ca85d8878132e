//! What is handed over, to whom and when.

use super::*;
use crate::aggregate::counting;
use crate::time::millis;

fn at(ms: i64) -> EventTime {
    EventTime::from_millis(ms)
}

fn fold(owners: u16) -> Fold<u64, u64> {
    Fold::new(WindowSpec::sliding(millis(20), millis(10)).expect("valid"), HashSeed::new(1), owners)
}

fn handed(fold: &mut Fold<u64, u64>, up_to: EventTime) -> Vec<(u16, i64, usize, u64)> {
    let mut out = Vec::new();
    fold.hand_over(up_to, &mut |owner, block| {
        out.push((owner, block.pane_end().as_millis(), block.entries(), block.records()));
    });
    out
}

#[test]
fn deltas_are_handed_over_when_their_pane_has_ended_oldest_first() {
    let mut fold = fold(1);
    for (t, key) in [(25, 1), (3, 1), (12, 2), (3, 1), (19, 3)] {
        fold.accumulate(&counting(), at(t), &key, &());
    }
    assert!(!fold.has_due(at(9)) && fold.has_due(at(10)));
    assert_eq!(handed(&mut fold, at(9)), []);
    assert_eq!(handed(&mut fold, at(29)), [(0, 10, 1, 2), (0, 20, 2, 2)]);
    // A late record makes a delta of its own, handed over with the next.
    fold.accumulate(&counting(), at(5), &9, &());
    assert_eq!(handed(&mut fold, at(30)), [(0, 10, 1, 1), (0, 30, 1, 1)]);
    assert!(fold.is_empty());
    assert_eq!((fold.records_folded(), fold.records_waiting()), (6, 0));
    fold.accumulate(&counting(), at(31), &9, &());
    assert_eq!((fold.records_folded(), fold.records_waiting()), (7, 1));
}

#[test]
fn every_key_goes_to_the_owner_of_its_hash() {
    let mut fold = fold(16);
    (0..1_000_u64).for_each(|key| fold.accumulate(&counting(), at(1), &key, &()));
    let (mut entries, mut owners) = (0, 0);
    fold.hand_over_all(&mut |owner, block| {
        entries += block.entries();
        owners += 1;
        assert!(block.hashes.slice(&block.arena).iter().all(|hash| owner_of(*hash, 16) == owner));
    });
    assert_eq!((entries, owners), (1_000, 16));
}

#[test]
fn owners_share_the_hash_range_evenly_and_in_order() {
    assert_eq!((owner_of(0, 3), owner_of(u64::MAX, 3), owner_of(u64::MAX, u16::MAX)), (0, 2, u16::MAX - 1));
    assert_eq!((owner_of(u64::MAX / 2, 2), owner_of(u64::MAX / 2 + 1, 2)), (0, 1));
    assert_eq!(owner_of(u64::MAX, 1), 0);
}

#[test]
fn records_at_the_ends_of_time_have_panes() {
    let mut fold = fold(1);
    for t in [EventTime::MAX, EventTime::MIN, EventTime::MAX] {
        fold.accumulate(&counting(), t, &1, &());
    }
    let panes: Vec<_> = handed(&mut fold, EventTime::MAX).iter().map(|block| (block.1, block.3)).collect();
    assert_eq!(panes, [(i64::MIN + 8, 1), (i64::MAX, 2)]);
}

#[test]
fn memory_is_bounded_and_comes_home() {
    let mut fold = fold(2);
    for round in 0..200_i64 {
        (0..100_u64).for_each(|key| fold.accumulate(&counting(), at(round * 10), &key, &()));
        let mut home = Vec::new();
        fold.hand_over_all(&mut |_, block| home.push(block.into_arena()));
        home.into_iter().for_each(|arena| fold.take_home(arena));
    }
    let warm = fold.bytes();
    (0..100).for_each(|_| fold.take_home(Arena::new()));
    assert_eq!((fold.spare_arenas.len(), fold.bytes()), (SPARE_ARENAS_MAX * 2, warm));
    assert!(warm < 64 * 1_024, "{warm} bytes");
}
