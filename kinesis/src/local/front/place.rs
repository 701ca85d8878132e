//! Where a call goes, for faults and limits that are meant for one stream or shard.

use serde::Deserialize;

use super::operations::Call;
use super::request::{Text, plain};
use crate::local::faults::Place;
use crate::local::model::{Model, ShardId};

/// The members that say it. Whatever else there is, or is wrong, is the operation's to judge.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named<'a> {
    #[serde(borrow)]
    stream_name: Option<Text<'a>>,
    #[serde(rename = "StreamARN", borrow)]
    stream_arn: Option<Text<'a>>,
    #[serde(rename = "ConsumerARN", borrow)]
    consumer_arn: Option<Text<'a>>,
    #[serde(borrow)]
    shard_id: Option<Text<'a>>,
    #[serde(borrow)]
    shard_iterator: Option<Text<'a>>,
    #[serde(borrow)]
    next_token: Option<Text<'a>>,
}

pub fn of(model: &Model, operation: &str, call: &Call<'_>) -> Place {
    let named: Named<'_> = call.codec.read(call.body).unwrap_or_default();
    let by_iterator = plain(&named.shard_iterator).and_then(|iterator| model.place_of(iterator));
    let by_arn = || {
        let arn = plain(&named.stream_arn).or(plain(&named.consumer_arn))?;
        arn.split_once(":stream/").and_then(|(_, stream)| stream.split('/').next())
    };
    let (stream, shard) = match by_iterator {
        Some((stream, shard)) => (Some(stream), Some(shard)),
        None => {
            let stream = plain(&named.stream_name).or_else(by_arn).map(str::to_owned);
            (stream, plain(&named.shard_id).and_then(ShardId::parse))
        }
    };
    let goes_on = match operation {
        "GetRecords" => true,
        // Those that can be told of a token's age, by the service's model.
        "ListShards" | "ListStreamConsumers" | "ListStreams" => named.next_token.is_some(),
        _ => false,
    };
    Place { operation: operation.to_owned(), stream, shard, goes_on }
}
