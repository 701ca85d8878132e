//! `GetRecords` answers straight into a [`RecordBatch`]: a scanner of our own, with the SDK's as its fallback.
//!
//! The SDK's deserializer allocates several times a record and is measured at a seventh of the scanner's speed. Signing,
//! endpoint, retries and errors stay the SDK's: an interceptor only puts another deserializer into the call's config, and
//! whatever that one does not expect (a status other than 200, a member of another type, bad base64) it leaves to the
//! SDK's. A test compares the two on recorded and generated bodies.

mod scan;

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_kinesis::operation::get_records::{GetRecords, GetRecordsOutput};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{BeforeSerializationInterceptorContextMut, Error, Output};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::client::runtime_plugin::RuntimePlugin;
use aws_smithy_runtime_api::client::ser_de::{DeserializeResponse, SharedResponseDeserializer};
use aws_smithy_types::config_bag::{ConfigBag, FrozenLayer};

use super::answers::ChildShard;
use super::{hash_range, rounded_ms};
use crate::record::{RecordBatch, RecordBatchBuilder};

/// What a body says, however it was read.
#[derive(Debug)]
pub(super) struct Decoded {
    pub(super) batch: RecordBatch,
    pub(super) next_iterator: Option<String>,
    pub(super) behind_ms: Option<u64>,
    pub(super) children: Vec<ChildShard>,
}

#[derive(Debug, Default)]
struct Slot {
    /// `None`: the SDK's deserializer did it.
    decoded: Option<Decoded>,
    bytes: usize,
}

/// Reads the answer of one call: an interceptor for it, asked afterwards.
#[derive(Clone, Debug, Default)]
pub(super) struct Decoder(Arc<Mutex<Slot>>);

impl Decoder {
    /// What the answer said, and how long its body was. `None` if the SDK's output does not fit into a batch.
    pub(super) fn finish(&self, output: GetRecordsOutput) -> Option<(Decoded, usize)> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = slot.bytes;
        let decoded = slot.decoded.take().or_else(|| from_output(output))?;
        Some((decoded, bytes))
    }
}

#[dyn_dispatch_hint]
impl Intercept for Decoder {
    fn name(&self) -> &'static str {
        "WeirDecoder"
    }

    fn modify_before_serialization(
        &self,
        _context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let stock = GetRecords::new().config().filter(|layer| layer.load::<SharedResponseDeserializer>().is_some());
        // Without the SDK's own there is nothing to fall back on, and nothing is changed.
        if let Some(stock) = stock {
            let ours = Deserializer { slot: Arc::clone(&self.0), stock };
            cfg.interceptor_state().store_put(SharedResponseDeserializer::new(ours));
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Deserializer {
    slot: Arc<Mutex<Slot>>,
    stock: FrozenLayer,
}

impl Deserializer {
    fn stock(&self) -> &SharedResponseDeserializer {
        self.stock.load::<SharedResponseDeserializer>().expect("looked for before this was made")
    }
}

impl DeserializeResponse for Deserializer {
    fn deserialize_streaming_with_config(
        &self,
        response: &mut HttpResponse,
        cfg: &ConfigBag,
    ) -> Option<Result<Output, OrchestratorError<Error>>> {
        let body = response.body().bytes().unwrap_or_default();
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        slot.bytes = body.len();
        slot.decoded = if response.status().as_u16() == 200 { scan::scan(body) } else { None };
        if slot.decoded.is_none() {
            drop(slot);
            return self.stock().deserialize_streaming_with_config(response, cfg);
        }
        // The SDK wants an output of this type; what counts is in the slot.
        Some(Ok(Output::erase(empty_output()?)))
    }

    fn deserialize_nonstreaming_with_config(
        &self,
        response: &HttpResponse,
        cfg: &ConfigBag,
    ) -> Result<Output, OrchestratorError<Error>> {
        self.stock().deserialize_nonstreaming_with_config(response, cfg)
    }
}

fn empty_output() -> Option<GetRecordsOutput> {
    GetRecordsOutput::builder().set_records(Some(Vec::new())).build().ok()
}

/// The slow way: what the SDK read, into a batch.
fn from_output(output: GetRecordsOutput) -> Option<Decoded> {
    let mut builder = RecordBatchBuilder::new();
    for record in &output.records {
        let arrival_ms = record.approximate_arrival_timestamp.as_ref().map_or(0, rounded_ms);
        let key = record.partition_key().unwrap_or_default();
        builder.push(key, record.data.as_ref(), &record.sequence_number, arrival_ms).ok()?;
    }
    let children = output.child_shards.unwrap_or_default().into_iter().map(|child| ChildShard {
        hash_range: child.hash_key_range.as_ref().and_then(hash_range),
        id: child.shard_id,
        parents: child.parent_shards,
    });
    Some(Decoded {
        batch: builder.finish(),
        next_iterator: output.next_shard_iterator,
        behind_ms: output.millis_behind_latest.and_then(|ms| u64::try_from(ms).ok()),
        children: children.collect(),
    })
}

#[cfg(test)]
mod tests;
