//! The calls a sink makes, as it sees them: over the network by the client, made up in tests.

use std::rc::Rc;
use std::sync::Arc;

use crate::client::{Client, PutEntry, ServiceSettings};
use crate::protocol::HashKeyRange;
use crate::protocol::shard_map::OpenShard;
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
    /// For each record the shard that took it, or the code it was refused with.
    fn put_records(&self, stream: &str, entries: Vec<PutEntry>) -> Called<Vec<Result<String, String>>>;
    /// The open ones.
    fn list_shards(&self, stream: &str) -> Called<Vec<OpenShard>>;
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

    fn put_records(&self, stream: &str, entries: Vec<PutEntry>) -> Called<Vec<Result<String, String>>> {
        let putting = Client::put_records(self, stream, entries);
        Box::pin(async move {
            let answer = putting.await?;
            Ok(answer
                .entries
                .into_iter()
                .map(|entry| entry.map(|placed| placed.shard).map_err(|failure| failure.code))
                .collect())
        })
    }

    fn list_shards(&self, stream: &str) -> Called<Vec<OpenShard>> {
        let listing = Client::list_shards(self, stream);
        Box::pin(async move {
            let shards = listing.await?.into_iter().filter(|shard| shard.last_sequence.is_none());
            let open = shards.map(|shard| OpenShard {
                id: Arc::from(shard.id),
                range: HashKeyRange { first: shard.first_hash, last: shard.last_hash },
            });
            Ok(open.collect())
        })
    }
}
