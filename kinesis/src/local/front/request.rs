//! What callers send: the members of each request, borrowed from its body where JSON allows. Unknown ones are ignored.

use std::borrow::Cow;

use serde::Deserialize;

/// Text that borrows from the body unless it was escaped there. (serde borrows a bare `Cow`, not one in an `Option`.)
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Text<'_> {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `Some(text)` as plain text.
pub fn plain<'a>(text: &'a Option<Text<'_>>) -> Option<&'a str> {
    text.as_ref().map(Text::as_str)
}

/// Seconds since the epoch with decimals, as JSON 1.1 has timestamps.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(transparent)]
pub struct Seconds(f64);

impl Seconds {
    #[expect(clippy::cast_possible_truncation, reason = "saturates, and no stream lives that long")]
    pub fn as_millis(self) -> i64 {
        (self.0 * 1_000.0).round() as i64
    }
}

/// The stream, by name or ARN or both.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StreamOnly<'a> {
    #[serde(borrow)]
    pub stream_name: Option<Text<'a>>,
    #[serde(rename = "StreamARN", borrow)]
    pub stream_arn: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateStream<'a> {
    #[serde(borrow)]
    pub stream_name: Option<Text<'a>>,
    pub shard_count: Option<i64>,
    #[serde(borrow)]
    pub stream_mode_details: Option<StreamModeDetails<'a>>,
    #[serde(rename = "MaxRecordSizeInKiB")]
    pub max_record_size_in_kib: Option<i64>,
    pub tags: Option<std::collections::BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StreamModeDetails<'a> {
    #[serde(borrow)]
    pub stream_mode: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeStream<'a> {
    #[serde(borrow)]
    pub stream_name: Option<Text<'a>>,
    #[serde(rename = "StreamARN", borrow)]
    pub stream_arn: Option<Text<'a>>,
    pub limit: Option<i64>,
    #[serde(borrow)]
    pub exclusive_start_shard_id: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListStreams<'a> {
    pub limit: Option<i64>,
    #[serde(borrow)]
    pub exclusive_start_stream_name: Option<Text<'a>>,
    #[serde(borrow)]
    pub next_token: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListShards<'a> {
    #[serde(borrow)]
    pub stream_name: Option<Text<'a>>,
    #[serde(rename = "StreamARN", borrow)]
    pub stream_arn: Option<Text<'a>>,
    #[serde(borrow)]
    pub next_token: Option<Text<'a>>,
    #[serde(borrow)]
    pub exclusive_start_shard_id: Option<Text<'a>>,
    pub max_results: Option<i64>,
    #[serde(borrow)]
    pub shard_filter: Option<ShardFilter<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ShardFilter<'a> {
    #[serde(rename = "Type", borrow)]
    pub kind: Option<Text<'a>>,
    #[serde(borrow)]
    pub shard_id: Option<Text<'a>>,
    pub timestamp: Option<Seconds>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetShardIterator<'a> {
    #[serde(borrow)]
    pub stream_name: Option<Text<'a>>,
    #[serde(rename = "StreamARN", borrow)]
    pub stream_arn: Option<Text<'a>>,
    #[serde(borrow)]
    pub shard_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub shard_iterator_type: Option<Text<'a>>,
    #[serde(borrow)]
    pub starting_sequence_number: Option<Text<'a>>,
    pub timestamp: Option<Seconds>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetRecords<'a> {
    #[serde(borrow)]
    pub shard_iterator: Option<Text<'a>>,
    pub limit: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PutRecord<'a> {
    #[serde(borrow)]
    pub stream_name: Option<Text<'a>>,
    #[serde(rename = "StreamARN", borrow)]
    pub stream_arn: Option<Text<'a>>,
    #[serde(borrow)]
    pub sequence_number_for_ordering: Option<Text<'a>>,
    #[serde(flatten, borrow)]
    pub entry: Entry<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PutRecords<'a> {
    #[serde(borrow)]
    pub stream_name: Option<Text<'a>>,
    #[serde(rename = "StreamARN", borrow)]
    pub stream_arn: Option<Text<'a>>,
    #[serde(borrow)]
    pub records: Option<Vec<Entry<'a>>>,
}

/// One record to be put; `Data` is base64.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Entry<'a> {
    #[serde(borrow)]
    pub data: Option<Text<'a>>,
    #[serde(borrow)]
    pub partition_key: Option<Text<'a>>,
    #[serde(borrow)]
    pub explicit_hash_key: Option<Text<'a>>,
}
