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

/// Counts how many of its clones are alive.
#[derive(Clone)]
struct Alive(std::rc::Rc<()>);

#[test]
fn elements_with_destructors_are_dropped_once_each() {
    let arena = Arena::new();
    let life = Alive(std::rc::Rc::new(()));
    let alive = || std::rc::Rc::strong_count(&life.0) - 1;
    let mut column = arena.column_to_clear::<Alive>(0);
    (0..100).for_each(|_| column.push(&arena, life.clone())); // and grows
    assert_eq!((alive(), column.len()), (100, 100));
    column.truncate(&arena, 40);
    column.truncate(&arena, 70);
    assert_eq!((alive(), column.len()), (40, 40));
    let mut taken = column.take_all(&arena);
    let one = taken.next();
    assert_eq!((alive(), one.is_some()), (40, true));
    drop(taken);
    assert_eq!((alive(), column.len()), (1, 0));
    drop(one);
    column.push(&arena, life.clone());
    column.clear(&arena);
    assert_eq!((alive(), column.len()), (0, 0));
}

#[test]
fn column_of_elements_without_a_size_drops_them_too() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            DROPPED.set(DROPPED.get() + 1);
        }
    }
    thread_local!(static DROPPED: std::cell::Cell<u32> = const { std::cell::Cell::new(0) });
    let arena = Arena::new();
    let mut column = arena.column_to_clear::<Bomb>(0);
    (0..20).for_each(|_| column.push(&arena, Bomb));
    assert_eq!(column.take_all(&arena).take(3).count(), 3);
    assert_eq!(DROPPED.get(), 20);
}

#[test]
#[should_panic(expected = "belongs elsewhere or was given up")]
fn taking_from_a_column_whose_arena_was_rewound_panics() {
    let arena = Arena::new();
    let mut column = arena.column_to_clear::<String>(1);
    column.push(&arena, String::new());
    let _ = column.take_all(&arena.reset());
}
