//! Who we are: looked for once, shared by all clients of the process, fetched anew before they expire.
//!
//! `chain` says where and in which order; `profile` and `process` do what the SDK cannot without a tokio runtime; a
//! `snapshot` holds what was found and a task keeps it fresh, on the executor that connected first, which is control's;
//! `registry` finds the snapshot of the same settings again; `refusal` says what is wrong.

mod chain;
mod due;
mod process;
mod profile;
mod refusal;
mod registry;
mod resolve;
mod snapshot;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::provider_config::ProviderConfig;
use weir_runtime::facade;

pub(super) use chain::instance;
pub(super) use refusal::Refusal;
pub(super) use snapshot::{Snapshot, SnapshotReader};

/// The snapshot for a profile and region, with credentials in it; shared with whoever asked for the same.
pub(super) async fn find(
    conf: &ProviderConfig,
    profile: Option<&str>,
    region: &str,
    local: bool,
) -> Result<Arc<Snapshot>, Refusal> {
    let key = registry::Key { profile: profile.map(str::to_owned), region: region.to_owned(), local };
    let snapshot = registry::look_up(key, || Snapshot::of(chain::chain(conf, profile, local)));
    // Asked now, so that a job without credentials fails before it starts.
    if let Err(refusal) = snapshot.provide().await {
        if !snapshot.is_loaded() {
            registry::forget(&snapshot);
        }
        return Err(refusal);
    }
    snapshot.keep();
    Ok(snapshot)
}

/// The time by which credentials expire.
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(facade::wall_clock_ms()).unwrap_or(0))
}

#[cfg(test)]
mod tests;
