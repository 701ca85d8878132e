//! Dead letters as records of another stream, by a writer of their own that never gives up.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use weir_runtime::sink::{SinkContext, SinkCounters, SinkWriter};

use super::{Letter, OnKept};
use crate::protocol::batcher::BatcherSettings;
use crate::sink::calls::Connect;
use crate::sink::writer::{StreamWriter, WriterSettings};

/// The letters of one writer on their way to a stream.
pub(in crate::sink) struct StreamBox(StreamWriter);

impl StreamBox {
    pub(super) fn new(stream: &str, connect: &Connect, cx: &SinkContext, on_kept: OnKept) -> StreamBox {
        let settings = WriterSettings {
            stream: Arc::from(stream),
            batching: BatcherSettings { linger: Duration::ZERO, seed: fastrand::u64(..), ..BatcherSettings::default() },
            record_bytes_max: None,
            hash_key: None,
            dead_letters: None,
        };
        let failed = Rc::clone(&on_kept);
        let own = SinkContext {
            failure: Rc::new(move |error| failed(Err(error.at("dead letters")))),
            // What it writes is not what the job writes.
            counters: Rc::new(SinkCounters::default()),
            ..cx.clone()
        };
        let written = Rc::new(move |records| on_kept(Ok(records)));
        StreamBox(StreamWriter::watched(settings, Rc::clone(connect), own, Some(written)))
    }

    pub(super) fn ready(&self) -> bool {
        SinkWriter::<(String, String)>::ready(&self.0)
    }

    pub(super) fn post(&self, letter: &Letter<'_>) {
        self.0.give([(letter.usable_key(), letter.json())]);
    }
}
