//! The two encodings of one protocol: JSON 1.1, and the CBOR 1.1 that the Java SDKs use unless told otherwise.
//!
//! Requests are read by serde: text, integers, lists and maps as they are, and two kinds that the encodings have in
//! different forms: [`request::Time`](super::request::Time) and [`request::Data`](super::request::Data). Answers are
//! trees of [`Value`], but for pages of records, which each encoding writes straight into the body.

mod cbor;
mod json;
mod pieced;

use bytes::Bytes;
use serde::Deserialize;

use super::operations::Answer;
use super::value::{Map, Value};
pub use pieced::Pieces;

/// How a request is encoded, and so its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    Json,
    Cbor,
}

/// A body that cannot be read as the request it should be.
#[derive(Debug, PartialEq, Eq)]
pub struct BadBody {
    /// What is wrong with a member. The service says nothing of a body that breaks the encoding itself.
    pub message: Option<String>,
}

impl Codec {
    /// The codec of a content type without its parameters.
    pub fn of(content_type: &str) -> Option<Codec> {
        [Codec::Json, Codec::Cbor].into_iter().find(|codec| codec.content_type() == content_type)
    }

    pub const fn content_type(self) -> &'static str {
        match self {
            Codec::Json => "application/x-amz-json-1.1",
            Codec::Cbor => "application/x-amz-cbor-1.1",
        }
    }

    /// Reads a request. Borrows text and data from the body where it holds them whole.
    pub fn read<'a, T: Deserialize<'a>>(self, body: &'a [u8]) -> Result<T, BadBody> {
        match self {
            Codec::Json => json::read(body),
            Codec::Cbor => cbor::read(body),
        }
    }

    /// The body of an answer.
    pub fn write(self, answer: Answer<'_>) -> Pieces {
        match (answer, self) {
            (Answer::Empty, _) => Pieces::default(),
            (Answer::Members(members), _) => self.write_map(&members).into(),
            (Answer::Records(page), Codec::Json) => json::get_records(page),
            (Answer::Records(page), Codec::Cbor) => cbor::get_records(page),
        }
    }

    /// The body of a refusal.
    pub fn refusal(self, exception: &'static str, message: Option<String>) -> Bytes {
        self.write_map(&Map::new().with("__type", exception).with_some("message", message))
    }

    fn write_map(self, members: &Map) -> Bytes {
        let mut body = Vec::new();
        match self {
            Codec::Json => json::push_map(&mut body, members),
            Codec::Cbor => cbor::push_map(&mut body, members),
        }
        body.into()
    }
}

/// What a page says behind its records.
fn page_tail(
    next_iterator: Option<String>,
    millis_behind_latest: i64,
    children: Vec<crate::local::model::ChildShard>,
) -> Map {
    let children =
        (!children.is_empty()).then(|| children.into_iter().map(super::answer::child_shard).collect::<Vec<Map>>());
    Map::new()
        .with("NextShardIterator", next_iterator.map_or(Value::Null, Value::from))
        .with("MillisBehindLatest", millis_behind_latest)
        .with_some("ChildShards", children)
}
