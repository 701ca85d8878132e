//! One item of all: the first, the last, the one with the least or the greatest of something.
//!
//! Records are ordered by event time, which the engine knows, and then by a *place*, which is read from the item: for
//! records of a stream their shard, sequence number and sub-sequence number. The place must tell apart all items of one event
//! time, or which of them is picked may differ from run to run.

use std::cmp::Reverse;

use super::Aggregate;
use crate::time::EventTime;

/// The item with the least rank so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pick<R, T> {
    rank: R,
    item: T,
}

fn offer<R: Ord, T: Clone>(best: &mut Option<Pick<R, T>>, rank: R, item: &T) {
    if best.as_ref().is_none_or(|best| rank < best.rank) {
        *best = Some(Pick { rank, item: item.clone() });
    }
}

fn combine<R: Ord + Clone, T: Clone>(best: &mut Option<Pick<R, T>>, other: &Option<Pick<R, T>>) {
    if let Some(other) = other
        && best.as_ref().is_none_or(|best| other.rank < best.rank)
    {
        *best = Some(other.clone());
    }
}

macro_rules! picking {
    ($(#[$doc:meta])+ $name:ident $function:ident ($($field:ident $kind:ident $value:ident),*) $rank:ty, $make:expr) => {
        #[doc = concat!("See [`", stringify!($function), "`].")]
        #[derive(Clone, Copy, Debug)]
        pub struct $name<$($kind,)* P> {
            $($field: $kind,)*
            place: P,
        }

        $(#[$doc])+
        ///
        /// `place` orders items of the same event time. The item is kept whole, so it is `Clone` and `Send`; `None` for no items,
        /// which no row shows. It does not deduct.
        pub const fn $function<$($kind,)* P>($($field: $kind,)* place: P) -> $name<$($kind,)* P> {
            $name { $($field,)* place }
        }

        impl<T, $($kind, $value,)* P, O> Aggregate<T> for $name<$($kind,)* P>
        where
            T: Clone + Send + 'static,
            $($kind: Fn(&T) -> $value + 'static, $value: Ord + Clone + Send + 'static,)*
            P: Fn(&T) -> O + 'static,
            O: Ord + Clone + Send + 'static,
        {
            type Accumulator = Option<Pick<$rank, T>>;
            type Output = Option<T>;

            #[inline]
            fn identity(&self) -> Self::Accumulator {
                None
            }

            /// As of an item before all others.
            fn accumulate(&self, accumulator: &mut Self::Accumulator, item: &T) {
                self.accumulate_at(accumulator, item, EventTime::MIN);
            }

            #[inline]
            fn accumulate_at(&self, accumulator: &mut Self::Accumulator, item: &T, time: EventTime) {
                let make: fn($($value,)* (EventTime, O)) -> $rank = $make;
                offer(accumulator, make($((self.$field)(item),)* (time, (self.place)(item))), item);
            }

            #[inline]
            fn combine(&self, accumulator: &mut Self::Accumulator, other: &Self::Accumulator) {
                combine(accumulator, other);
            }

            fn finish(&self, accumulator: &Self::Accumulator) -> Option<T> {
                accumulator.as_ref().map(|pick| pick.item.clone())
            }
        }
    };
}

picking! {
    /// The first item in the order of records.
    First first () (EventTime, O), |order| order
}
picking! {
    /// The last item in the order of records.
    Last last () Reverse<(EventTime, O)>, Reverse
}
picking! {
    /// The item with the least `of(item)`; of several, the first in the order of records.
    MinBy min_by (of F V) (V, (EventTime, O)), |value, order| (value, order)
}
picking! {
    /// The item with the greatest `of(item)`; of several, the first in the order of records.
    MaxBy max_by (of F V) (Reverse<V>, (EventTime, O)), |value, order| (Reverse(value), order)
}
