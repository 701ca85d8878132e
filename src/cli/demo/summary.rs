//! The demo's account: what became of every record.

use std::{process::ExitCode, sync::atomic::Ordering};

use serde::Serialize;
use weir_kinesis::local::LocalThread;
use weir_runtime::control::{JobReport, Node};

use super::super::{
    jobs, losses,
    output::{Output, say},
};
use super::{Counted, PER_RECORD, STREAM};
use crate::{
    failure::{Exit, Failure},
    text::grouped,
};

/// What became of every record.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    /// Records, as the endpoint holds them.
    published: u64,
    /// Sum over windows × slide ÷ size.
    counted: u64,
    windows: u64,
    open: u64,
    late: u64,
    /// Published, and in no counter.
    lost: u64,
    elapsed_ms: u64,
    /// Splits and merges that were asked for.
    reshards: u32,
    cores: Vec<jobs::CoreSummary>,
    losses: Vec<losses::Loss>,
    /// The sum over windows itself: counted has lost what does not divide.
    #[serde(skip)]
    sum: u64,
}

impl Summary {
    pub(super) fn new(
        endpoint: &LocalThread,
        node: &Node,
        account: &Counted,
        (monitor, publisher): (&JobReport, &JobReport),
        (elapsed_ms, reshards): (u64, u32),
    ) -> Summary {
        let published = endpoint.record_count(STREAM);
        let sum = account.sum.load(Ordering::Relaxed);
        let counted = sum / PER_RECORD;
        let open = jobs::total(monitor, |worker| worker.open);
        let late = jobs::total(monitor, |worker| worker.late);
        Summary {
            published,
            counted,
            windows: account.windows.load(Ordering::Relaxed),
            open,
            late,
            lost: published.saturating_sub(counted + open + late),
            elapsed_ms,
            reshards,
            losses: losses::of(monitor).chain(losses::of(publisher)).collect(),
            cores: jobs::by_core(node.cores(), monitor),
            sum,
        }
    }

    pub(super) fn say(&self, output: Output) {
        if output == Output::Json {
            say(serde_json::to_string(self).expect("numbers are JSON"));
            return;
        }
        let shown = |number: u64| grouped(number, 0);
        say(format_args!(
            "Published {}, counted {} in {} windows; open {}, late {}, lost {}",
            shown(self.published),
            shown(self.counted),
            shown(self.windows),
            shown(self.open),
            shown(self.late),
            shown(self.lost)
        ));
        for core in &self.cores {
            say(format_args!(
                "  core {}: {} records folded, {} blocks combined, {} of them from other cores",
                core.core,
                shown(core.records_folded),
                shown(core.blocks_combined),
                shown(core.blocks_from_others)
            ));
        }
        if self.reshards > 0 {
            say(format_args!("  {} splits and merges on the way", shown(u64::from(self.reshards))));
        }
        for loss in &self.losses {
            say(format_args!("  {loss}"));
        }
    }

    /// Every record must be counted exactly as often as it is in a window.
    pub(super) fn judge(&self) -> Result<ExitCode, Failure> {
        if self.sum == self.published * PER_RECORD && self.open + self.late + self.lost == 0 {
            return Ok(ExitCode::SUCCESS);
        }
        let (published, sum) = (self.published, self.sum);
        let message = format!(
            "{published} tweets were published, but all windows together hold {sum}, not {PER_RECORD} times as many"
        );
        Err(Failure::new(Exit::Job, message).with_remedy("this is a bug in Weir, please report it"))
    }
}
