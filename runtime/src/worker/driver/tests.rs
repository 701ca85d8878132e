//! What a worker keeps of readers that have ended: nothing.

use std::sync::Arc;

use super::*;
use crate::connect::logger;
use crate::mailbox::mailbox;
use crate::pipeline::Pipeline;
use crate::pipeline::graph::Place;
use crate::source::{Inlet, Listing, LocalFuture, ShardListing, Source, SourceControl, SourceReader, StartPosition};
use crate::worker::AttachAt;

/// A source whose shards end at once.
#[derive(Clone)]
struct Ending;

impl Source for Ending {
    type Item = u64;
    fn describe(&self) -> String {
        "ending".to_owned()
    }
    fn control(&self) -> Box<dyn SourceControl> {
        Box::new(Ending)
    }
    fn reader(&self) -> Box<dyn SourceReader<u64>> {
        Box::new(Ending)
    }
}

impl SourceControl for Ending {
    fn prepare(&mut self) -> LocalFuture<'_, Result<Listing, JobError>> {
        Box::pin(async { Ok(Listing::default()) })
    }
}

impl SourceReader<u64> for Ending {
    fn read(&self, _: ShardListing, _: Inlet<u64>) -> LocalFuture<'static, Result<(), JobError>> {
        Box::pin(async { Ok(()) })
    }
}

#[test]
fn reader_that_has_ended_is_forgotten_when_the_next_begins() {
    let function: Arc<PipelineFn> =
        Arc::new(|p: &Pipeline| p.read_from(Ending).without_timestamps().write_to(logger(|_: &u64| String::new())));
    facade::run_here(async move {
        let ((bell, listener), (_commands, commands)) = (signal(), mailbox(8));
        let (events, _events) = mailbox(1_024);
        let memory = MemoryBudget::of(1 << 20);
        let settings = WorkerSettings { worker: 0, worker_count: 1, memory, bell, listener, commands, events };
        let digest = Pipeline::build(&*function, Place::Plan).expect("a pipeline").digest();
        let start = Start {
            job: 1,
            name: "test".into(),
            function,
            digest,
            seed: 0,
            owners: [0].into(),
            listings: crate::control::Job::starts(&[Listing::default()]),
            links: Links::default(),
            attachments: Vec::new(),
        };
        let mut seats = BTreeMap::new();
        start_job(&settings, &mut seats, start).await;
        let seat = seats.get_mut(&1).expect("it began");
        for number in 0..100 {
            let (name, position) = (number.to_string().into(), StartPosition("0".into()));
            let shard = ShardListing { name, parents: Vec::new(), open: true, position };
            let at = AttachAt::Time(weir_window::EventTime::MIN);
            let attach = vec![Attachment { source: 0, shard, at, awaited: false }];
            seat.on_lineage(&settings, Lists { attach, ..Lists::default() });
            facade::yield_now().await;
            assert!(seat.readers.len() <= 2, "{} readers after {number} shards", seat.readers.len());
        }
    })
    .expect("an executor starts here");
}
