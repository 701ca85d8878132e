//! Several aggregates over one pass.

use super::Aggregate;
use crate::time::EventTime;

/// Two to six aggregates side by side. See [`all_of`].
#[derive(Clone, Copy, Debug)]
pub struct AllOf<G> {
    parts: G,
}

/// Computes all aggregates of a tuple of two to six over one pass; a row shows the tuple of their results.
///
/// It deducts if all of them do.
pub const fn all_of<G>(parts: G) -> AllOf<G> {
    AllOf { parts }
}

macro_rules! all_of {
    ($($part:ident $deduct:ident $index:tt),+) => {
        impl<T: ?Sized, $($part: Aggregate<T>),+> Aggregate<T> for AllOf<($($part,)+)> {
            type Accumulator = ($($part::Accumulator,)+);
            type Output = ($($part::Output,)+);

            #[inline]
            fn identity(&self) -> Self::Accumulator {
                ($(self.parts.$index.identity(),)+)
            }

            #[inline]
            fn accumulate(&self, accumulator: &mut Self::Accumulator, item: &T) {
                $(self.parts.$index.accumulate(&mut accumulator.$index, item);)+
            }

            #[inline]
            fn accumulate_at(&self, accumulator: &mut Self::Accumulator, item: &T, time: EventTime) {
                $(self.parts.$index.accumulate_at(&mut accumulator.$index, item, time);)+
            }

            #[inline]
            fn combine(&self, accumulator: &mut Self::Accumulator, other: &Self::Accumulator) {
                $(self.parts.$index.combine(&mut accumulator.$index, &other.$index);)+
            }

            fn deduct(&self) -> Option<impl Fn(&mut Self::Accumulator, &Self::Accumulator)> {
                $(let $deduct = self.parts.$index.deduct()?;)+
                Some(move |accumulator: &mut Self::Accumulator, other: &Self::Accumulator| {
                    $($deduct(&mut accumulator.$index, &other.$index);)+
                })
            }

            #[inline]
            fn finish(&self, accumulator: &Self::Accumulator) -> Self::Output {
                ($(self.parts.$index.finish(&accumulator.$index),)+)
            }
        }
    };
}

all_of!(A a 0, B b 1);
all_of!(A a 0, B b 1, C c 2);
all_of!(A a 0, B b 1, C c 2, D d 3);
all_of!(A a 0, B b 1, C c 2, D d 3, E e 4);
all_of!(A a 0, B b 1, C c 2, D d 3, E e 4, F f 5);
