//! The snapshots of this process, by what they depend on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use weir_runtime::facade;

use super::snapshot::Snapshot;

/// One that nobody uses is kept that long: control connects, lets go, and the workers connect.
const UNUSED_MAX: Duration = Duration::from_secs(60);

/// What credentials depend on, beside the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) profile: Option<String>,
    /// Roles are taken at the region's token service.
    pub(super) region: String,
    /// Whether the endpoint is on this machine, so that the instance is not asked.
    pub(super) local: bool,
}

struct Entry {
    key: Key,
    snapshot: Arc<Snapshot>,
    looked_up: Instant,
}

static ENTRIES: Mutex<Vec<Entry>> = Mutex::new(Vec::new());

fn entries() -> MutexGuard<'static, Vec<Entry>> {
    ENTRIES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The snapshot for `key`; made, still empty, if there is none.
pub(super) fn look_up(key: Key, make: impl FnOnce() -> Snapshot) -> Arc<Snapshot> {
    forget_unused();
    let (mut entries, now) = (entries(), facade::now());
    if let Some(entry) = entries.iter_mut().find(|entry| entry.key == key) {
        entry.looked_up = now;
        return Arc::clone(&entry.snapshot);
    }
    let snapshot = Arc::new(make());
    entries.push(Entry { key, snapshot: Arc::clone(&snapshot), looked_up: now });
    snapshot
}

/// Forgets snapshots that no client has used for a while, so that changed files are read by whoever connects next.
pub(super) fn forget_unused() {
    let now = facade::now();
    entries().retain(|entry| Arc::strong_count(&entry.snapshot) > 1 || now < entry.looked_up + UNUSED_MAX);
}

/// Forgets this one: it never had credentials, and what was wrong may be mended when it is asked for again.
pub(super) fn forget(snapshot: &Arc<Snapshot>) {
    entries().retain(|entry| !Arc::ptr_eq(&entry.snapshot, snapshot));
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_credential_types::Credentials;

    #[test]
    fn snapshot_is_shared_by_key_until_it_is_forgotten() {
        let key = |profile: &str| Key { profile: Some(profile.into()), region: "r".into(), local: false };
        let make = || Snapshot::of(Credentials::new("a", "b", None, None, "test"));
        let one = look_up(key("registry-one"), make);
        assert!(Arc::ptr_eq(&one, &look_up(key("registry-one"), || unreachable!("it is there"))));
        assert!(!Arc::ptr_eq(&one, &look_up(key("registry-two"), make)));
        forget_unused();
        assert!(Arc::ptr_eq(&one, &look_up(key("registry-one"), || unreachable!("it is in use"))));
        forget(&one);
        assert!(!Arc::ptr_eq(&one, &look_up(key("registry-one"), make)));
    }
}
