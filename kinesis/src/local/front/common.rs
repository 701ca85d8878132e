//! Members that many operations have, judged in one place: their stated constraints, whatever the operation makes of
//! them.
//!
//! A pass of its own over the request, so only for operations whose requests are small; those on records have these
//! members among their own.

use serde::Deserialize;

use super::Refusal;
use super::operations::Call;
use super::request::{Text, plain};
use crate::local::model::Violations;

const ARN_CHARS_MAX: usize = 2_048;
const TOKEN_CHARS_MAX: usize = 1 << 20;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Common<'a> {
    #[serde(borrow)]
    stream_id: Option<Text<'a>>,
    #[serde(rename = "StreamARN", borrow)]
    stream_arn: Option<Text<'a>>,
    #[serde(rename = "ConsumerARN", borrow)]
    consumer_arn: Option<Text<'a>>,
    #[serde(borrow)]
    consumer_name: Option<Text<'a>>,
    #[serde(borrow)]
    next_token: Option<Text<'a>>,
    #[serde(rename = "WarmThroughputMiBps")]
    warm_throughput_mibps: Option<i64>,
}

/// Refuses a request that breaks the constraints of these members.
pub fn check(call: &Call<'_>) -> Result<(), Refusal> {
    let request: Common<'_> = call.codec.read(call.body)?;
    let mut violations = Violations::new();
    stream_id(&mut violations, plain(&request.stream_id));
    if let Some(arn) = plain(&request.stream_arn) {
        stream_arn(&mut violations, arn);
    }
    if let Some(arn) = plain(&request.consumer_arn) {
        consumer_arn(&mut violations, arn);
    }
    if let Some(name) = plain(&request.consumer_name) {
        violations.name("consumerName", name);
    }
    if let Some(token) = plain(&request.next_token) {
        violations.characters("nextToken", token, 1, TOKEN_CHARS_MAX);
    }
    violations.range("warmThroughputMiBps", request.warm_throughput_mibps, 0, i64::MAX);
    Ok(violations.finish()?)
}

/// The service says of this member that it is not implemented, and states its form.
pub fn stream_id(violations: &mut Violations, id: Option<&str>) {
    let Some(id) = id else { return };
    let part = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    if !id.split_once('-').is_some_and(|(head, tail)| part(head, 20) && part(tail, 3)) {
        violations.pattern("streamId", id, "[a-z0-9]{20}-[a-z0-9]{3}");
    }
}

pub fn stream_arn(violations: &mut Violations, arn: &str) {
    violations.stream_arn("streamARN", arn);
    violations.characters("streamARN", arn, 1, ARN_CHARS_MAX);
}

fn consumer_arn(violations: &mut Violations, arn: &str) {
    const PATTERN: &str =
        "^(arn):aws.*:kinesis:.*:\\d{12}:.*stream\\/[a-zA-Z0-9_.-]+\\/consumer\\/[a-zA-Z0-9_.-]+:[0-9]+";
    let named = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
    };
    let consumer = arn.split_once("/consumer/").and_then(|(stream, rest)| Some((stream, rest.split_once(':')?)));
    let fits = consumer.is_some_and(|(stream, (name, created))| {
        let stream =
            stream.strip_prefix("arn:aws").and_then(|rest| rest.split_once(":kinesis:")?.1.rsplit_once("stream/"));
        stream.is_some_and(|(_, stream)| named(stream))
            && named(name)
            && !created.is_empty()
            && created.bytes().all(|b| b.is_ascii_digit())
    });
    if !fits {
        violations.pattern("consumerARN", arn, PATTERN);
    }
    violations.characters("consumerARN", arn, 1, ARN_CHARS_MAX);
}
