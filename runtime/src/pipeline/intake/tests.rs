//! What an intake keeps of shards that have ended: nothing.

use std::rc::Rc;

use futures_util::FutureExt as _;
use weir_window::millis;

use super::*;
use crate::exchange::Outbox;
use crate::inlet::Inlet;
use crate::signal::signal;
use crate::source::StartPosition;

/// A stage that takes everything.
struct Taking;

impl Operator<u64> for Taking {
    fn ready(&self) -> bool {
        true
    }
    fn on_batch(&mut self, batch: &mut Batch<u64>, _: &mut OperatorContext<'_>) {
        batch.clear();
    }
    fn on_progress(&mut self, _: &Progress, _: &mut OperatorContext<'_>) {}
}

/// Reads a shard named by a number: it ends at once, and the next one follows it.
struct Chain;

fn shard(number: usize) -> ShardListing {
    let (name, position) = (number.to_string().into(), StartPosition("0".into()));
    ShardListing { name, parents: Vec::new(), open: true, position }
}

impl SourceReader<u64> for Chain {
    fn read(&self, listing: ShardListing, inlet: Inlet<u64>) -> LocalFuture<'static, Result<(), JobError>> {
        Box::pin(async move {
            let number: usize = listing.name.parse().expect("the test's own");
            // As full as it gets, so that what the reader says last finds no room.
            inlet.send(ShardInput::Drained { children: vec![shard(number + 1)] }).await;
            while inlet.try_send(ShardInput::Lagging { behind_ms: 1 }).is_ok() {}
            Ok(())
        })
    }
}

#[test]
fn thousand_reshards_leave_nothing_behind_and_no_reader_waiting() {
    let (worker, _listener) = signal();
    for lag in [Some(millis(0)), None] {
        let settings = IntakeSettings { source: 0, lag, worker: worker.clone(), memory: MemoryBudget::of(1 << 20) };
        let mut intake = Intake::new(settings, Box::new(Chain), Box::new(Taking));
        let (mut outboxes, mut counters) = (vec![Outbox::default()], RunCounters::default());
        let owners: Rc<[usize]> = Rc::from([0]);
        let mut cx = OperatorContext { worker: 0, owners: &owners, outboxes: &mut outboxes, counters: &mut counters };
        for number in 0..1_000 {
            let begin = ShardBegin { shard: shard(number), at: EventTime::MIN, awaited: false };
            let mut reading = intake.attach(begin, &mut cx);
            assert!(reading.as_mut().now_or_never().is_none(), "its last word has no room yet");
            while intake.step(EventTime::MAX, millis(0), &mut cx) {}
            assert_eq!(reading.now_or_never(), Some(Ok(())), "reader {number} waits for somebody who is gone");
            let drained = intake.take_drained();
            assert_eq!(drained.iter().map(|drained| drained.children.len()).collect::<Vec<_>>(), [1]);
            assert!(intake.is_past(None));
        }
        assert_eq!(intake.shards.len(), 0);
        assert_eq!(intake.watermark.mark(), WorkerMark::Absent);
    }
}
