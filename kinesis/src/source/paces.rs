//! The paces of this core's shards, one a shard whatever the number of jobs that read it: control gives all of them to the
//! same worker, so that the service's limits are kept there together, without a lock.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::{Rc, Weak};

use weir_runtime::facade;

use crate::protocol::shard_pace::{ShardPace, SharedPace};

/// By executor, stream and shard.
type Paces = HashMap<(usize, String), Weak<RefCell<ShardPace>>>;

thread_local! {
    static PACES: RefCell<Paces> = RefCell::default();
}

/// The pace of a shard on this executor; a new one if nobody holds it. `stream` tells streams apart, also those of other
/// endpoints.
pub(super) fn of(stream: &str, shard: &str) -> SharedPace {
    let key = (facade::executor_id(), format!("{stream} {shard}"));
    PACES.with_borrow_mut(|paces| {
        if let Some(pace) = paces.get(&key).and_then(Weak::upgrade) {
            return pace;
        }
        paces.retain(|_, pace| pace.strong_count() > 0);
        let pace = SharedPace::default();
        let _ = paces.insert(key, Rc::downgrade(&pace));
        pace
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_share_a_shards_pace_and_nothing_is_left_when_they_are_gone() {
        facade::run_here(async {
            let (one, other) = (of("a", "1"), of("a", "1"));
            assert!(Rc::ptr_eq(&one, &other));
            assert!(!Rc::ptr_eq(&one, &of("a", "2")) && !Rc::ptr_eq(&one, &of("b", "1")));
            drop((one, other));
            let _ = of("c", "1");
            let _ = of("c", "2");
            PACES.with_borrow(|paces| assert!(paces.len() <= 1, "{} are left", paces.len()));
        })
        .expect("an executor starts here");
    }
}
