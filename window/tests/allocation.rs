//! Once warm, neither a record nor a slide allocates: counted by the allocator itself.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use weir_window::{Budget, EventTime, Fold, HashSeed, Key, Owner, OwnerPoll, Rows, WindowSpec, counting, millis};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: all is left to `System`; counting on the side touches a `Cell` that needs neither memory nor a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps `dealloc`'s contract, and all memory comes from `System`.
        unsafe { System.dealloc(memory, layout) }
    }
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps `realloc`'s contract, and all memory comes from `System`.
        unsafe { System.realloc(memory, layout, size) }
    }
}

/// Two workers and three owners for `slides` slides of a window of eight panes; what was allocated in each slide.
fn allocations_per_slide<K: Key + ?Sized>(slides: i64, keys: &[Box<K>]) -> Vec<u64> {
    let spec = WindowSpec::sliding(millis(80), millis(10)).expect("valid");
    let (seed, count) = (&HashSeed::new(3), counting());
    let mut folds: Vec<_> = (0..2).map(|_| Fold::<K, u64>::new(spec, seed.clone(), 3)).collect();
    let mut owners: Vec<_> = (0..3).map(|_| Owner::<K, u64>::new(spec, None)).collect();
    let mut rows = Rows::new();
    let (mut allocations, mut emitted) = (Vec::with_capacity(1_000), 0);
    for slide in 0..slides {
        let before = ALLOCATIONS.get();
        let now = EventTime::from_millis(slide * 10 + 10);
        for fold in &mut folds {
            // Two panes at a time, turn and turn about, and now and then a third one behind.
            for (i, key) in keys.iter().enumerate() {
                let back = if i % 7 == 0 { 15 } else { 5 };
                fold.accumulate(&count, now.saturating_sub(millis(back)), &**key, &());
            }
        }
        for fold in &mut folds {
            let mut home = [const { None }; 8];
            let mut used = 0;
            fold.hand_over(now, &mut |owner, block| {
                home[used] = Some(owners[usize::from(owner)].combine::<(), _>(&count, block));
                used += 1;
            });
            home.into_iter().flatten().for_each(|arena| fold.take_home(arena));
        }
        for owner in &mut owners {
            owner.advance(now.saturating_sub(millis(10)));
            loop {
                match owner.poll::<(), _>(&count, &mut Budget::of(100), &mut rows) {
                    OwnerPoll::Emitted => emitted += rows.drain().count(),
                    OwnerPoll::Working => (),
                    OwnerPoll::Settled(_) => break,
                }
            }
        }
        allocations.push(ALLOCATIONS.get() - before);
    }
    assert!(emitted > 0);
    allocations
}

#[test]
fn nothing_is_allocated_per_record_or_slide_once_warm() {
    let numbers: Vec<_> = (0..5_000_u64).map(Box::new).collect();
    let allocations = allocations_per_slide(200, &numbers);
    assert!(allocations[0] > 10, "the allocator does not count");
    assert_eq!(allocations[100..].iter().sum::<u64>(), 0, "{allocations:?}");

    let ungrouped = allocations_per_slide(200, &[Box::new(())]);
    assert_eq!(ungrouped[100..].iter().sum::<u64>(), 0, "{ungrouped:?}");
}

/// Strings are copied into rows, for whoever takes them; nothing else allocates.
#[test]
fn strings_allocate_for_their_rows_and_nothing_else() {
    let words: Vec<Box<str>> = (0..300).map(|n| format!("key-{n}").into()).collect();
    let allocations = allocations_per_slide(200, &words);
    assert_eq!(allocations[100..].iter().max(), Some(&300), "{allocations:?}");
}
