//! Columns grow, travel and are rewound; every misuse panics. Written so that they also run under Miri and sanitizers.

use super::*;

#[test]
fn columns_keep_their_elements_while_growing_side_by_side() {
    let arena = Arena::new();
    let (mut numbers, mut bytes) = (arena.column::<u64>(0), arena.column::<u8>(3));
    for i in 0..10_000_u64 {
        numbers.push(&arena, i);
        bytes.extend(&arena, &i.to_le_bytes()[..2]);
    }
    numbers.slice_mut(&arena)[7] = 70;
    assert_eq!((numbers.len(), numbers.slice(&arena)[7], numbers.slice(&arena)[9_999]), (10_000, 70, 9_999));
    assert_eq!(bytes.slice(&arena)[2 * 777..2 * 777 + 2], 777_u64.to_le_bytes()[..2]);
    assert!(arena.bytes() >= 100_000);
}

#[test]
fn empty_and_sizeless_columns_work() {
    let arena = Arena::new();
    let (nothing, mut units) = (arena.column::<u128>(0), arena.column::<()>(0));
    assert!(nothing.is_empty() && nothing.slice(&arena).is_empty());
    for _ in 0..100 {
        units.push(&arena, ());
    }
    units.extend(&arena, &[(), ()]);
    assert_eq!(units.slice(&arena).len(), 102);
}

#[test]
fn rewound_arena_keeps_its_memory_and_settles() {
    let mut arena = Arena::new();
    let mut sizes = Vec::new();
    for _ in 0..6 {
        let mut column = arena.column::<u64>(0);
        (0..5_000).for_each(|i| column.push(&arena, i));
        arena = arena.reset();
        sizes.push(arena.bytes());
    }
    assert!(sizes[0] > 0);
    assert_eq!(sizes[3..].iter().filter(|bytes| **bytes == sizes[5]).count(), 3, "still changing: {sizes:?}");
}

#[test]
fn arena_and_columns_move_to_another_thread_and_back() {
    let arena = Arena::new();
    let mut column = arena.column::<u64>(0);
    column.push(&arena, 1);
    let sent = std::thread::spawn(move || {
        column.push(&arena, 2);
        (arena, column)
    });
    let (arena, column) = sent.join().expect("the thread only pushes");
    assert_eq!(column.slice(&arena), [1, 2]);
}

#[test]
#[should_panic(expected = "belongs elsewhere or was given up")]
fn column_of_another_arena_panics() {
    let (mine, other) = (Arena::new(), Arena::new());
    let mut column = mine.column::<u64>(4);
    column.push(&other, 1);
}

#[test]
#[should_panic(expected = "belongs elsewhere or was given up")]
fn column_from_before_the_rewinding_panics() {
    let arena = Arena::new();
    let mut column = arena.column::<u64>(0);
    column.push(&arena, 1);
    let arena = arena.reset();
    let _ = column.slice(&arena);
}

#[test]
#[should_panic(expected = "belongs elsewhere or was given up")]
fn column_whose_arena_was_swapped_panics() {
    let (mut one, mut two) = (Arena::new(), Arena::new());
    let mut column = one.column::<u8>(1);
    std::mem::swap(&mut one, &mut two);
    let _ = column.slice_mut(&one);
}

#[test]
#[should_panic(expected = "belongs elsewhere or was given up")]
fn extending_a_column_whose_arena_is_gone_panics() {
    let mut column = Arena::new().column::<u8>(8);
    column.extend(&Arena::new(), &[1]);
}
