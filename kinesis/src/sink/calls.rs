//! The calls a sink makes, as it sees them: over the network by the client, made up in tests.

use std::rc::Rc;

use crate::client::{Client, PutEntry, ServiceSettings};
use crate::source::calls::Called;

/// What a sink wants to know of its stream.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// `CREATING`, `ACTIVE`, `UPDATING` or `DELETING`.
    pub status: String,
    /// Most bytes of key and data in a record.
    pub record_bytes_max: usize,
}

/// The calls a sink makes, as it sees them.
pub(crate) trait PutCalls {
    fn describe(&self, stream: &str) -> Called<Target>;
    /// For each record taken, or the code it was refused with.
    fn put_records(&self, stream: &str, entries: Vec<PutEntry>) -> Called<Vec<Result<(), String>>>;
}

/// Makes the calls' other end.
pub(crate) type Connect = Rc<dyn Fn() -> Called<Rc<dyn PutCalls>>>;

/// Over the network.
pub(crate) fn over_network(settings: &ServiceSettings) -> Connect {
    let settings = settings.clone();
    Rc::new(move || {
        let connecting = Client::connect(&settings);
        Box::pin(async move { Ok(Rc::new(connecting.await?) as Rc<dyn PutCalls>) })
    })
}

impl PutCalls for Client {
    fn describe(&self, stream: &str) -> Called<Target> {
        let describing = Client::describe(self, stream);
        Box::pin(async move {
            let summary = describing.await?;
            let record_bytes_max = usize::try_from(summary.max_record_bytes).unwrap_or(usize::MAX);
            Ok(Target { status: summary.status, record_bytes_max })
        })
    }

    fn put_records(&self, stream: &str, entries: Vec<PutEntry>) -> Called<Vec<Result<(), String>>> {
        let putting = Client::put_records(self, stream, entries);
        Box::pin(async move {
            let answer = putting.await?;
            Ok(answer.entries.into_iter().map(|entry| entry.map(drop).map_err(|failure| failure.code)).collect())
        })
    }
}
