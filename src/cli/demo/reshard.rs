//! `weir demo --reshard-every`: splits and merges shards of the running stream.

use std::{
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    time::Duration,
};

use weir_kinesis::local::{
    LocalThread,
    model::{ListShardsRequest, ShardDescription, ShardFilter},
};
use weir_runtime::facade;

use super::super::{jobs, output::say};
use crate::failure::Failure;

/// Open shards beyond those at the start: splits up to there, then merges.
const MORE_SHARDS_MAX: usize = 3;

/// Goes on until dropped.
pub(super) struct Resharding {
    stop: Option<Sender<()>>,
    ended: Arc<(Mutex<Option<u32>>, Condvar)>,
}

impl Resharding {
    /// Splits or merges about every `period`, and says so if `loud`.
    pub(super) fn start(
        endpoint: Arc<LocalThread>,
        stream: &'static str,
        period: Duration,
        loud: bool,
    ) -> Result<Resharding, Failure> {
        let (stop, stopped) = channel();
        let ended = Arc::new((Mutex::new(None), Condvar::new()));
        let done = ended.clone();
        jobs::thread("resharding", move || {
            let changes = reshard(&endpoint, stream, period, loud, &stopped);
            // The endpoint is given back before anybody hears of it.
            drop(endpoint);
            *done.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(changes);
            done.1.notify_all();
        })?;
        Ok(Resharding { stop: Some(stop), ended })
    }

    /// Stops it, and says how many splits and merges there were.
    pub(super) fn stop(mut self) -> u32 {
        drop(self.stop.take());
        let changes = self.ended.0.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = self.ended.1.wait_while(changes, |changes| changes.is_none());
        changes.unwrap_or_else(PoisonError::into_inner).unwrap_or(0)
    }
}

fn reshard(endpoint: &LocalThread, stream: &'static str, period: Duration, loud: bool, stopped: &Receiver<()>) -> u32 {
    let most = open_shards(endpoint, stream).len() + MORE_SHARDS_MAX;
    let (mut changes, mut growing) = (0, true);
    while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(period) {
        let open = open_shards(endpoint, stream);
        growing = open.len() == 1 || (growing && open.len() < most);
        let what = if growing { split(endpoint, stream, &open) } else { merge(endpoint, stream, &open) };
        // The last one may still be under way; then this turn is left out.
        if let Some(what) = what {
            changes += 1;
            if loud {
                say(format_args!("  ({what})"));
            }
        }
    }
    changes
}

/// By rising hash keys.
fn open_shards(endpoint: &LocalThread, stream: &str) -> Vec<ShardDescription> {
    let request = ListShardsRequest { filter: Some(ShardFilter::AtLatest), ..ListShardsRequest::of(stream) };
    let listed = endpoint.with_model(|model| model.list_shards(facade::wall_clock_ms(), request));
    let mut open = listed.map(|answer| answer.shards).unwrap_or_default();
    open.sort_by_key(|shard| shard.range.first);
    open
}

fn split(endpoint: &LocalThread, stream: &str, open: &[ShardDescription]) -> Option<String> {
    let widest = open.iter().max_by_key(|shard| shard.range.last - shard.range.first)?;
    let middle = widest.range.first + (widest.range.last - widest.range.first) / 2 + 1;
    let shard = widest.id.to_string();
    endpoint
        .with_model(|model| model.split_shard(facade::wall_clock_ms(), stream, &shard, &middle.to_string()))
        .ok()
        .map(|()| format!("splitting {shard}"))
}

fn merge(endpoint: &LocalThread, stream: &str, open: &[ShardDescription]) -> Option<String> {
    let at = fastrand::usize(..open.len().checked_sub(1).filter(|pairs| *pairs > 0)?);
    let (one, other) = (open[at].id.to_string(), open[at + 1].id.to_string());
    endpoint
        .with_model(|model| model.merge_shards(facade::wall_clock_ms(), stream, &one, &other))
        .ok()
        .map(|()| format!("merging {one} and {other}"))
}
