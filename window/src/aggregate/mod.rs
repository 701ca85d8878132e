//! What a window computes: the algebra of accumulators, and its laws.

mod all_of;
mod averaging;
mod counting;
mod extremes;
mod picking;
mod summing;
mod summing_floats;

pub use all_of::{AllOf, all_of};
pub use averaging::{Averaging, averaging};
pub use counting::{Counting, counting};
pub use extremes::{Max, Min, max, min};
pub use picking::{First, Last, MaxBy, MinBy, Pick, first, last, max_by, min_by};
pub use summing::{Summing, summing};
pub use summing_floats::{SummingFloats, summing_floats};

use crate::time::EventTime;

/// An operation over the items of a window, in parts that may be computed anywhere and put together in any order.
///
/// # Laws
/// With `a ∘ b` for `a` after `combine(&mut a, &b)`:
/// * *associative and commutative*: `(a ∘ b) ∘ c = a ∘ (b ∘ c)`, `a ∘ b = b ∘ a`. Workers hand over as often as they
///   like and in any order; the result must not show it.
/// * *identity*: `identity() ∘ a = a`.
/// * *accumulate is combine*: accumulating an item into `a` gives `a ∘ s`, where `s` is that item accumulated into an
///   identity.
/// * *deduct undoes combine*, exactly, if there is one: `(a ∘ b)` after `deduct(&mut .., &b)` is `a`. What rounds does
///   not deduct: a floating sum returns `None`.
///
/// All methods must be pure. Every method runs once per record, per entry of a pane or per row: where the accumulator is
/// plain data, none allocates but `finish`. It may own memory, such as a list: then it is moved where it can be and cloned
/// into running totals, dropped in slices as panes leave, and [`Owner::bytes`](crate::Owner::bytes) does not see it.
pub trait Aggregate<T: ?Sized>: 'static {
    /// The part computed so far.
    type Accumulator: Clone + Send + 'static;
    /// What a row shows.
    type Output: 'static;

    /// The accumulator of no items.
    fn identity(&self) -> Self::Accumulator;

    /// Adds one item. Once per record.
    fn accumulate(&self, accumulator: &mut Self::Accumulator, item: &T);

    /// Adds one item of this event time: what the engine calls, once per record. For aggregates to which the order of records
    /// matters; the others leave it as it is, and pay nothing.
    #[inline]
    fn accumulate_at(&self, accumulator: &mut Self::Accumulator, item: &T, _time: EventTime) {
        self.accumulate(accumulator, item);
    }

    /// Adds what `other` holds.
    fn combine(&self, accumulator: &mut Self::Accumulator, other: &Self::Accumulator);

    /// The inverse of `combine`: what takes the second accumulator out of the first. `None` if there is none, which is the
    /// default: then each window is recomputed from its panes.
    fn deduct(&self) -> Option<impl Fn(&mut Self::Accumulator, &Self::Accumulator)> {
        None::<fn(&mut Self::Accumulator, &Self::Accumulator)>
    }

    /// The result. Once per row.
    fn finish(&self, accumulator: &Self::Accumulator) -> Self::Output;
}
