//! How much work may be done before giving the core back, counted in entries, not in time.

/// What is left of a slice of work, in entries (an entry is a key in a pane, or a row).
///
/// Counting entries instead of reading a clock keeps slices the same in every run, so that a test can replay them.
#[derive(Clone, Debug)]
pub struct Budget {
    left: usize,
}

impl Budget {
    /// A budget of `entries`.
    pub const fn of(entries: usize) -> Self {
        Self { left: entries }
    }

    /// Takes `entries`, or nothing and says `false` if fewer are left.
    #[inline]
    pub fn take(&mut self, entries: usize) -> bool {
        let enough = entries <= self.left;
        if enough {
            self.left -= entries;
        }
        enough
    }

    /// Takes as many as are left, at most `entries`, and says how many: for loops over a run of entries.
    #[inline]
    pub fn take_up_to(&mut self, entries: usize) -> usize {
        let taken = entries.min(self.left);
        self.left -= taken;
        taken
    }

    /// Whether nothing is left.
    #[inline]
    pub const fn is_spent(&self) -> bool {
        self.left == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_all_or_nothing_and_says_when_spent() {
        let mut budget = Budget::of(5);
        assert!(budget.take(3) && !budget.take(3) && !budget.is_spent());
        assert_eq!(budget.take_up_to(9), 2);
        assert!(budget.is_spent() && budget.take(0) && !budget.take(1));
    }
}
