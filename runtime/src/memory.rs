//! The process-wide memory budget: fetched bytes and arenas are counted in one place.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// One budget for the whole process, cloned to whoever fetches or keeps bytes.
///
/// Charged once per batch or arena, never per record; a relaxed atomic is enough, because the budget is a bound and
/// not an order. What is charged stays so until its [`Charge`] is dropped: a batch that is still referenced counts.
#[derive(Clone, Debug)]
pub struct MemoryBudget {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limit_bytes: u64,
    used_bytes: AtomicU64,
}

impl MemoryBudget {
    /// A budget of `limit_bytes`.
    pub fn of(limit_bytes: u64) -> MemoryBudget {
        MemoryBudget { shared: Arc::new(Shared { limit_bytes, used_bytes: AtomicU64::new(0) }) }
    }

    /// Charges `bytes` if they fit, else nothing.
    pub fn try_charge(&self, bytes: u64) -> Option<Charge> {
        let used = self.shared.used_bytes.fetch_add(bytes, Ordering::Relaxed);
        let charge = Charge { budget: self.clone(), bytes };
        // Over the limit: dropping the charge takes it off again.
        (used.saturating_add(bytes) <= self.shared.limit_bytes).then_some(charge)
    }

    /// Charges `bytes` even beyond the limit: for the reserve of a shard at the minimum, which may never be refused.
    pub fn charge(&self, bytes: u64) -> Charge {
        self.shared.used_bytes.fetch_add(bytes, Ordering::Relaxed);
        Charge { budget: self.clone(), bytes }
    }

    /// Bytes charged now.
    pub fn used_bytes(&self) -> u64 {
        self.shared.used_bytes.load(Ordering::Relaxed)
    }

    /// The limit, in bytes.
    pub fn limit_bytes(&self) -> u64 {
        self.shared.limit_bytes
    }
}

/// Bytes charged to a [`MemoryBudget`]; given back on drop.
#[derive(Debug)]
pub struct Charge {
    budget: MemoryBudget,
    bytes: u64,
}

impl Charge {
    /// What this charge holds.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes it `bytes`, even beyond the limit: for memory that has grown already.
    pub fn set(&mut self, bytes: u64) {
        let used = &self.budget.shared.used_bytes;
        if bytes > self.bytes {
            used.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else {
            used.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.shared.used_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_charge_leaves_the_budget_as_it_was() {
        let budget = MemoryBudget::of(100);
        let first = budget.try_charge(60).expect("60 of 100 fit");
        assert!(budget.try_charge(41).is_none());
        assert_eq!(budget.used_bytes(), 60);
        assert!(budget.try_charge(40).is_some());
        drop(first);
        assert_eq!(budget.used_bytes(), 0);
    }

    #[test]
    fn charge_follows_what_it_stands_for() {
        let budget = MemoryBudget::of(10);
        let mut charge = budget.charge(0);
        for bytes in [7, 30, 30, 2] {
            charge.set(bytes);
            assert_eq!((charge.bytes(), budget.used_bytes()), (bytes, bytes));
        }
        drop(charge);
        assert_eq!(budget.used_bytes(), 0);
    }

    #[test]
    fn reserve_goes_beyond_the_limit_and_is_given_back() {
        let budget = MemoryBudget::of(10);
        let reserve = budget.charge(25);
        assert_eq!(budget.used_bytes(), 25);
        drop(reserve);
        assert_eq!(budget.used_bytes(), 0);
    }
}
