//! The least and the greatest of something that is read from each item.

use super::Aggregate;

/// The least. See [`min`].
#[derive(Clone, Copy, Debug)]
pub struct Min<F> {
    of: F,
}

/// The greatest. See [`max`].
#[derive(Clone, Copy, Debug)]
pub struct Max<F> {
    of: F,
}

/// The least `of(item)` over the items of a window; `None` for no items, which no row shows. It does not deduct.
pub const fn min<F>(of: F) -> Min<F> {
    Min { of }
}

/// The greatest `of(item)` over the items of a window; `None` for no items, which no row shows. It does not deduct.
pub const fn max<F>(of: F) -> Max<F> {
    Max { of }
}

macro_rules! extreme {
    ($name:ident, $better:tt) => {
        impl<T: ?Sized, V: Ord + Clone + Send + 'static, F: Fn(&T) -> V + 'static> Aggregate<T> for $name<F> {
            type Accumulator = Option<V>;
            type Output = Option<V>;

            #[inline]
            fn identity(&self) -> Option<V> {
                None
            }

            #[inline]
            fn accumulate(&self, accumulator: &mut Option<V>, item: &T) {
                let value = (self.of)(item);
                if accumulator.as_ref().is_none_or(|best| value $better *best) {
                    *accumulator = Some(value);
                }
            }

            #[inline]
            fn combine(&self, accumulator: &mut Option<V>, other: &Option<V>) {
                if let Some(value) = other
                    && accumulator.as_ref().is_none_or(|best| value $better best)
                {
                    *accumulator = Some(value.clone());
                }
            }

            #[inline]
            fn finish(&self, accumulator: &Option<V>) -> Option<V> {
                accumulator.clone()
            }
        }
    };
}

extreme!(Min, <);
extreme!(Max, >);
