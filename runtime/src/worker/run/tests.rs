//! What a run on one worker keeps to, where records go straight into its panes.

use std::cell::RefCell;

use weir_window::{WindowSpec, counting, millis};

use super::*;
use crate::connect::logger;
use crate::inlet::Inlet;
use crate::pipeline::{Pipeline, WindowResult};
use crate::signal::signal;
use crate::source::{
    Listing, LocalFuture, NativeTimestamps, Position, ShardInput, ShardListing, Source, SourceControl, SourceReader,
    StartPosition,
};

thread_local!(static INLET: RefCell<Option<Inlet<u64>>> = const { RefCell::new(None) });

/// Gives its shard's inlet to the test, which reads in its place.
#[derive(Clone)]
struct ByHand;

impl Source for ByHand {
    type Item = u64;
    fn describe(&self) -> String {
        "by hand".to_owned()
    }
    fn control(&self) -> Box<dyn SourceControl> {
        Box::new(ByHand)
    }
    fn reader(&self) -> Box<dyn SourceReader<u64>> {
        Box::new(ByHand)
    }
}

impl NativeTimestamps for ByHand {}

impl SourceControl for ByHand {
    fn prepare(&mut self) -> LocalFuture<'_, Result<Listing, JobError>> {
        unreachable!("nothing is asked of control")
    }
}

impl SourceReader<u64> for ByHand {
    fn read(&self, _: ShardListing, inlet: Inlet<u64>) -> LocalFuture<'static, Result<(), JobError>> {
        INLET.set(Some(inlet));
        Box::pin(std::future::pending())
    }
}

fn run() -> Run {
    let pipeline = |p: &Pipeline| {
        p.read_from(ByHand)
            .native_timestamps(millis(0))
            .window(WindowSpec::tumbling(millis(1_000)))
            .aggregate(counting())
            .write_to(logger(|_: &WindowResult<u64>| String::new()));
    };
    let (waker, _listener) = signal();
    let failure = Rc::new(|error: JobError| panic!("{error}"));
    let counters = Rc::new(SinkCounters::default());
    let settings = RunSettings {
        worker: 0,
        worker_count: 1,
        owners: Arc::from([0]),
        seed: 0,
        listings: vec![SourceStart::default()],
        sink: SinkContext { worker: 0, job: "test".into(), waker, failure, counters },
        memory: MemoryBudget::of(1 << 20),
    };
    Run::build(&pipeline, settings).expect("the pipeline is sound")
}

#[test]
fn nothing_is_folded_between_a_workers_own_marker_and_whoever_takes_the_cut() {
    let mut run = run();
    let (name, position) = ("shard".into(), StartPosition("0".into()));
    let shard = ShardListing { name, parents: Vec::new(), open: true, position };
    let _reading = run.attach(Attachment { source: 0, shard, at: AttachAt::Time(EventTime::MIN), awaited: false });
    let give = |sequence: &str| {
        let position = Position { sequence: sequence.into(), sub_sequence: 0 };
        let input = ShardInput::Items { items: vec![1, 2, 3], times: vec![EventTime::from_millis(5); 3], position };
        INLET.with_borrow(|inlet| inlet.as_ref().expect("attached").try_send(input).expect("it has room"));
    };
    let folded_after_steps = |run: &mut Run| {
        for _ in 0..3 {
            let _ = run.step(&mut Budget::of(1_000));
        }
        run.counters().records_folded
    };
    give("1");
    assert_eq!(folded_after_steps(&mut run), 3);
    let positions = run.barrier(7);
    assert_eq!(positions[0].1.sequence.as_ref(), "1");
    give("2");
    assert_eq!(folded_after_steps(&mut run), 3, "what is behind the noted position is in the panes of the cut");
    assert_eq!(run.take_cuts(), [Cut { checkpoint: 7 }]);
    assert_eq!(folded_after_steps(&mut run), 6);
}
