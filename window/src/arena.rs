//! Memory that can be sent to another core and rewound: a bump arena, and columns that live in it.
//!
//! This is the only file of the crate with `unsafe`. A [`Column`] is a handle (pointer, length, epoch), not a borrow, so
//! that a struct can own an [`Arena`] and its columns together and travel between threads. The price is one comparison
//! per access: every access names the arena, and a column that does not belong to it, or belonged to it before it was
//! rewound, panics. Safe code cannot reach freed or foreign memory.
//!
//! # Why this is sound
//! 1. *Epochs are unique.* An arena takes its epoch from a process-wide counter when it is made and whenever it is rewound, so
//!    two arenas never have the same one, nor one arena the same one twice.
//! 2. *An epoch proves that the memory lives.* A column takes the epoch of the arena it allocates from. `Bump` frees or reuses
//!    memory only when rewound, which changes the epoch, or dropped, after which no `&Arena` has that epoch. Rewinding takes the
//!    arena by value, so it cannot happen while a `&Arena`, or a slice that borrows from it, is in use.
//! 3. *Memory is not shared.* Each allocation belongs to one column; columns are neither `Copy` nor `Clone`; slices borrow
//!    from the column, exclusively where they can be written.
//! 4. *Threads.* A `Column` alone touches nothing: each access needs the `&Arena`, and `Arena` is `Send` but not `Sync`, so
//!    accesses happen on the thread that has the arena; the move of arena and column there orders them.
//! 5. *Each element is dropped once at most.* Those that count towards a column's length belong to it, and whatever drops
//!    them or moves them out lowers the length first. A column does not drop them by itself, for it has no arena: who forgets
//!    [`Column::clear`] leaks what they own outside the arena, which is safe. So only this crate makes columns of them.
#![allow(unsafe_code)]

use std::alloc::Layout;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, needs_drop};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use bumpalo::Bump;

/// Elements of a column's first allocation, unless it was asked for more.
const FIRST_CAPACITY: usize = 16;

fn next_epoch() -> u64 {
    // Once per arena and per rewinding, never per record. u64 does not come round: 2^64 ns are 584 years.
    static EPOCHS: AtomicU64 = AtomicU64::new(1);
    EPOCHS.fetch_add(1, Ordering::Relaxed)
}

/// Memory for columns that are all given up at once.
///
/// `Send`, not `Sync`. It drops nothing of what lies in it.
pub struct Arena {
    bump: Bump,
    epoch: u64,
}

impl Arena {
    /// An arena without memory; allocates when first used.
    pub fn new() -> Self {
        Self { bump: Bump::new(), epoch: next_epoch() }
    }

    /// Gives up everything in the arena and keeps its largest piece of memory.
    ///
    /// Columns made before are dead: using one panics. Frees the smaller pieces, so an arena that is filled alike again
    /// and again comes to need one piece, and then neither allocates nor frees.
    #[must_use]
    pub fn reset(mut self) -> Self {
        self.bump.reset();
        self.epoch = next_epoch();
        self
    }

    /// Memory held, used or not. O(1).
    pub fn bytes(&self) -> usize {
        self.bump.allocated_bytes()
    }

    /// A column with room for `capacity` elements.
    pub fn column<T: Copy>(&self, capacity: usize) -> Column<T> {
        self.column_to_clear(capacity)
    }

    /// A column whose elements may have destructors: [`Column::clear`] it before the arena is rewound or dropped, or what
    /// they own leaks.
    pub(crate) fn column_to_clear<T>(&self, capacity: usize) -> Column<T> {
        let mut column =
            Column { elements: NonNull::dangling(), length: 0, capacity: 0, epoch: self.epoch, owns: PhantomData };
        if capacity > 0 {
            column.grow(self, capacity);
        }
        column
    }
}

impl Default for Arena {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Arena {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Arena").field("bytes", &self.bytes()).field("epoch", &self.epoch).finish()
    }
}

/// A growing column of `T` in an [`Arena`]: made by [`Arena::column`], used together with that arena.
///
/// # Panics
/// Every method that takes the arena panics if the column does not belong to it, or if the arena was rewound since.
pub struct Column<T> {
    elements: NonNull<T>, // to `capacity` elements of which `length` are initialised; dangling if the capacity is 0
    length: usize,        // ..=capacity
    capacity: usize,
    epoch: u64,
    owns: PhantomData<T>,
}

// SAFETY: a column is a `NonNull<T>` and integers. The pointer is followed only while the `&Arena` it belongs to is at
// hand (module head, 4), and moving the column then means moving its elements, which `T: Send` allows.
unsafe impl<T: Send> Send for Column<T> {}

impl<T> Column<T> {
    /// How many elements there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there is no element.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Appends an element. Grows by doubling; the old memory stays in the arena until it is rewound.
    #[inline]
    pub fn push(&mut self, arena: &Arena, element: T) {
        self.check(arena);
        if self.length == self.capacity {
            self.grow(arena, 1);
        }
        // SAFETY: `length < capacity`, so the place is inside our allocation, which lives because the epochs agree.
        unsafe { self.elements.add(self.length).write(element) };
        self.length += 1;
    }

    /// Appends all of `more`.
    pub fn extend(&mut self, arena: &Arena, more: &[T])
    where
        T: Copy,
    {
        self.check(arena);
        if self.capacity - self.length < more.len() {
            self.grow(arena, more.len());
        }
        // SAFETY: there is room for `more.len()` elements behind `length` inside our live allocation. `more` cannot
        // overlap it: whoever holds a slice of this column borrows the column, which we have exclusively.
        unsafe { self.elements.add(self.length).copy_from_nonoverlapping(NonNull::from(more).cast(), more.len()) };
        self.length += more.len();
    }

    /// Drops all elements but the first `length`, and keeps their room.
    pub(crate) fn truncate(&mut self, arena: &Arena, length: usize) {
        self.check(arena);
        let given_up = self.length.saturating_sub(length);
        self.length -= given_up;
        if needs_drop::<T>() {
            // SAFETY: these elements are initialised in our live allocation, and since the length was lowered they belong to
            // nobody else, not even if one of them panics while it is dropped.
            unsafe { NonNull::slice_from_raw_parts(self.elements.add(self.length), given_up).drop_in_place() };
        }
    }

    /// Drops all elements, and keeps their room. Cost: nothing but for elements that have a destructor.
    pub(crate) fn clear(&mut self, arena: &Arena) {
        self.truncate(arena, 0);
    }

    /// Moves all elements out; those that are not asked for are dropped with what this returns.
    pub(crate) fn take_all<'a>(&'a mut self, arena: &'a Arena) -> Taken<'a, T> {
        self.check(arena);
        let length = std::mem::take(&mut self.length);
        // SAFETY: `length` elements are initialised in memory that lives as long as `&'a Arena`, and `ManuallyDrop<T>` lies
        // there like `T`. The column counts none of them any more, and `&'a mut self` lets nobody push over them.
        let elements = unsafe { NonNull::slice_from_raw_parts(self.elements.cast(), length).as_mut() };
        Taken { elements: elements.iter_mut() }
    }

    /// The elements.
    #[inline]
    pub fn slice<'a>(&'a self, arena: &'a Arena) -> &'a [T] {
        self.check(arena);
        // SAFETY: `length` elements are initialised in memory that lives as long as `&'a Arena` (module head, 2), and
        // nobody writes them while `&'a self` is held (3). A dangling pointer is aligned, and its length is 0.
        unsafe { NonNull::slice_from_raw_parts(self.elements, self.length).as_ref() }
    }

    /// The elements, to be written.
    #[inline]
    pub fn slice_mut<'a>(&'a mut self, arena: &'a Arena) -> &'a mut [T] {
        self.check(arena);
        // SAFETY: as in `slice`, and `&'a mut self` makes it the only slice of this column.
        unsafe { NonNull::slice_from_raw_parts(self.elements, self.length).as_mut() }
    }

    #[inline]
    fn check(&self, arena: &Arena) {
        if self.epoch != arena.epoch {
            wrong_arena(self.epoch, arena.epoch);
        }
    }

    /// Makes room for `more` elements, and for half as many again as there are.
    #[cold]
    #[inline(never)]
    fn grow(&mut self, arena: &Arena, more: usize) {
        self.check(arena);
        let needed = self.length.checked_add(more).expect("a column is shorter than the address space");
        let capacity = needed.max(self.capacity.saturating_mul(2)).max(FIRST_CAPACITY);
        let layout = Layout::array::<T>(capacity).expect("a column is shorter than the address space");
        let elements: NonNull<T> = arena.bump.alloc_layout(layout).cast();
        // SAFETY: the old allocation holds `length` initialised elements and lives (checked above); the new one has room
        // for `capacity > length` and is aligned for `T`; allocations of a bump do not overlap (and if `T` has no size,
        // nothing is copied).
        unsafe { elements.copy_from_nonoverlapping(self.elements, self.length) };
        self.elements = elements;
        self.capacity = capacity;
    }
}

impl<T> std::fmt::Debug for Column<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Column").field("len", &self.length).field("epoch", &self.epoch).finish()
    }
}

/// Elements on their way out of a column.
pub(crate) struct Taken<'a, T> {
    elements: std::slice::IterMut<'a, ManuallyDrop<T>>,
}

impl<T> Iterator for Taken<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        // SAFETY: each place is visited once, and its element belongs to this iterator (module head, 5).
        self.elements.next().map(|element| unsafe { ManuallyDrop::take(element) })
    }
}

impl<T> Drop for Taken<'_, T> {
    fn drop(&mut self) {
        if needs_drop::<T>() {
            self.for_each(drop);
        }
    }
}

/// Apart, so that the check costs the caller one comparison and one jump.
#[cold]
#[inline(never)]
fn wrong_arena(column: u64, arena: u64) -> ! {
    panic!("a column of arena epoch {column} was used with arena epoch {arena}: it belongs elsewhere or was given up");
}

#[cfg(test)]
mod tests;
