//! What a window computes: the algebra of accumulators, and its laws.

mod counting;
mod summing;

pub use counting::{Counting, counting};
pub use summing::{Summing, summing};

/// The inverse of [`Aggregate::combine`]: takes the second accumulator out of the first.
pub type Deduct<A> = fn(&mut A, &A);

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
/// All methods must be pure. The accumulator is plain data (`Copy`): it lives in arenas and is moved by copying.
/// Every method runs once per record, per entry of a pane or per row: none should allocate but `finish`.
pub trait Aggregate<T: ?Sized>: 'static {
    /// The part computed so far.
    type Accumulator: Copy + Send + 'static;
    /// What a row shows.
    type Output: 'static;

    /// The accumulator of no items.
    fn identity(&self) -> Self::Accumulator;

    /// Adds one item. Once per record.
    fn accumulate(&self, accumulator: &mut Self::Accumulator, item: &T);

    /// Adds what `other` holds.
    fn combine(&self, accumulator: &mut Self::Accumulator, other: &Self::Accumulator);

    /// The inverse of `combine`, or `None` if there is none: then each window is recomputed from its panes.
    fn deduct(&self) -> Option<Deduct<Self::Accumulator>>;

    /// The result. Once per row.
    fn finish(&self, accumulator: &Self::Accumulator) -> Self::Output;
}
