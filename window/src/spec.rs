//! Which windows there are and which panes they are made of: arithmetic only, saturating, O(1).
//!
//! ```text
//! size 3, slide 2  ->  pane gcd(3, 2) = 1
//! panes    |0 1|1 2|2 3|3 4|4 5|5 6|     labelled by their ends 1, 2, 3, …
//! windows  ....|-----------|             [1, 4) labelled 4
//!                      |-----------|     [3, 6) labelled 6
//! ```
//! Windows *end* at `offset + k × slide`, so that a result comes out on the round time, also when the size is no
//! multiple of the slide. The last window of all ends at [`EventTime::MAX`] and stands for every one that would end
//! there or later.
//! Source: Li et al., "No pane, no gain" (SIGMOD Record 2005), for panes of the greatest common divisor.

use crate::time::{EventTime, TimeSpan};

/// The greatest number of panes a window may be made of: what an owner visits when it recomputes a window.
pub const PANES_PER_WINDOW_MAX: i64 = 65_535;

/// Sliding windows of one size: `[end − size, end)` for every `end = offset + k × slide`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WindowSpec {
    size: i64,     // ms, slide..
    slide: i64,    // ms, 1..=size
    offset: i64,   // ms, 0..slide
    lateness: i64, // ms, 0..
    pane: i64,     // ms, gcd(size, slide)
}

/// Why a window cannot be. The text says what to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// Size or slide is zero.
    #[error("a window of {size_ms} ms by {slide_ms} ms is not possible: size and slide must be at least 1 ms")]
    Zero {
        /// The size asked for.
        size_ms: i64,
        /// The slide asked for.
        slide_ms: i64,
    },
    /// The slide is longer than the window, so that records between two windows would be in none.
    #[error(
        "a slide of {slide_ms} ms is longer than the window of {size_ms} ms: records between two windows would be \
         lost; filter them out before a window that is as long as its slide"
    )]
    SlideTooLong {
        /// The size asked for.
        size_ms: i64,
        /// The slide asked for.
        slide_ms: i64,
    },
    /// Size and slide have so small a common divisor that a window has too many panes.
    #[error(
        "a window of {size_ms} ms by {slide_ms} ms needs {panes} panes, at most {max}: panes are as long as the greatest \
         common divisor of size and slide, here {pane_ms} ms; choose a size that is a multiple of the slide",
        max = PANES_PER_WINDOW_MAX
    )]
    TooManyPanes {
        /// The size asked for.
        size_ms: i64,
        /// The slide asked for.
        slide_ms: i64,
        /// Their greatest common divisor.
        pane_ms: i64,
        /// How many panes a window would have.
        panes: i64,
    },
}

impl WindowSpec {
    /// Windows of `size`, one every `slide`; the size need not be a multiple of the slide.
    pub fn sliding(size: TimeSpan, slide: TimeSpan) -> Result<Self, SpecError> {
        let (size_ms, slide_ms) = (size.as_millis(), slide.as_millis());
        if size_ms == 0 || slide_ms == 0 {
            return Err(SpecError::Zero { size_ms, slide_ms });
        }
        if slide_ms > size_ms {
            return Err(SpecError::SlideTooLong { size_ms, slide_ms });
        }
        let pane_ms = gcd(size_ms, slide_ms);
        let panes = size_ms / pane_ms;
        if panes > PANES_PER_WINDOW_MAX {
            return Err(SpecError::TooManyPanes { size_ms, slide_ms, pane_ms, panes });
        }
        Ok(Self { size: size_ms, slide: slide_ms, offset: 0, lateness: 0, pane: pane_ms })
    }

    /// Windows of `size`, one behind the other.
    pub fn tumbling(size: TimeSpan) -> Result<Self, SpecError> {
        Self::sliding(size, size)
    }

    /// The same windows, moved by `offset_ms`; any value, only its remainder by the slide matters.
    #[must_use]
    pub fn with_offset(mut self, offset_ms: i64) -> Self {
        self.offset = offset_ms.rem_euclid(self.slide);
        self
    }

    /// The same windows, open to late records for `lateness` past their ends.
    #[must_use]
    pub fn with_lateness(mut self, lateness: TimeSpan) -> Self {
        self.lateness = lateness.as_millis();
        self
    }

    /// Length of a window.
    pub fn size(&self) -> TimeSpan {
        TimeSpan::from_millis(self.size)
    }

    /// From one window's end to the next one's.
    pub fn slide(&self) -> TimeSpan {
        TimeSpan::from_millis(self.slide)
    }

    /// Where windows end: `offset + k × slide`; at least 0 and less than the slide.
    pub fn offset(&self) -> TimeSpan {
        TimeSpan::from_millis(self.offset)
    }

    /// How long past its end a window still accepts records.
    pub fn lateness(&self) -> TimeSpan {
        TimeSpan::from_millis(self.lateness)
    }

    /// Length of a pane: the greatest common divisor of size and slide.
    pub fn pane(&self) -> TimeSpan {
        TimeSpan::from_millis(self.pane)
    }

    /// How many panes a window is made of, 1 to [`PANES_PER_WINDOW_MAX`].
    pub fn panes_per_window(&self) -> usize {
        usize::try_from(self.size / self.pane).expect("at most 65 535, checked when made")
    }

    /// How many panes enter and leave with a slide, 1 to [`PANES_PER_WINDOW_MAX`].
    pub fn panes_per_slide(&self) -> usize {
        usize::try_from(self.slide / self.pane).expect("at most 65 535, because the slide is at most the size")
    }

    /// End of the pane that covers `t`: the least pane boundary (`offset + k × pane`) greater than `t`.
    ///
    /// Saturates at [`EventTime::MAX`], whose pane covers `MAX` too. O(1), one division.
    #[inline]
    pub fn pane_end(&self, t: EventTime) -> EventTime {
        self.after(t, self.pane)
    }

    /// First time of the pane that ends at `pane_end`. Saturates at [`EventTime::MIN`].
    #[inline]
    pub fn pane_first(&self, pane_end: EventTime) -> EventTime {
        self.at_or_before(pane_end.as_millis().saturating_sub(1), self.pane)
    }

    /// Last time of the pane that ends at `pane_end`. The last pane of all covers its own end, because nothing is later.
    #[inline]
    pub fn pane_last(&self, pane_end: EventTime) -> EventTime {
        if pane_end == EventTime::MAX { pane_end } else { pane_end.saturating_sub(TimeSpan::from_millis(1)) }
    }

    /// End of the first window that holds the pane ending at `pane_end`.
    #[inline]
    pub fn first_window_end(&self, pane_end: EventTime) -> EventTime {
        self.after(EventTime::from_millis(pane_end.as_millis().saturating_sub(1)), self.slide)
    }

    /// End of the last window that holds the pane ending at `pane_end`: the greatest window end less than
    /// `pane_end + size`.
    #[inline]
    pub fn last_window_end(&self, pane_end: EventTime) -> EventTime {
        match pane_end.as_millis().checked_add(self.size) {
            Some(first_not) => self.at_or_before(first_not - 1, self.slide),
            None => EventTime::MAX,
        }
    }

    /// The greatest window end that is `t` or before.
    #[inline]
    pub fn window_end_up_to(&self, t: EventTime) -> EventTime {
        if t == EventTime::MAX { t } else { self.at_or_before(t.as_millis(), self.slide) }
    }

    /// The least window end greater than `t`; [`EventTime::MAX`] at the end of time.
    #[inline]
    pub fn window_end_after(&self, t: EventTime) -> EventTime {
        self.after(t, self.slide)
    }

    /// First time of the window that ends at `end`. Saturates at [`EventTime::MIN`].
    #[inline]
    pub fn window_start(&self, end: EventTime) -> EventTime {
        end.saturating_sub(self.size())
    }

    /// The least `offset + k × step` greater than `t`.
    #[inline]
    fn after(&self, t: EventTime, step: i64) -> EventTime {
        let t = t.as_millis();
        EventTime::from_millis(t.saturating_add(step - self.past(t, step)))
    }

    /// The greatest `offset + k × step` that is not greater than `t`.
    #[inline]
    fn at_or_before(&self, t: i64, step: i64) -> EventTime {
        EventTime::from_millis(t.saturating_sub(self.past(t, step)))
    }

    /// How far `t` is past the last `offset + k × step`, in `0..step`.
    ///
    /// Remainders first, so that nothing overflows: both are in `0..step`, and so is the wrapped difference.
    #[inline]
    fn past(&self, t: i64, step: i64) -> i64 {
        let offset = if step == self.slide { self.offset } else { self.offset % step };
        let past = t.rem_euclid(step) - offset;
        if past < 0 { past + step } else { past }
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests;
