//! What refusals and names are made of.

use super::{ErrorCode, ModelError, ShardId};

/// What messages need to know besides the stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    pub account: &'a str,
}

impl Context<'_> {
    pub fn no_stream(self, name: &str) -> ModelError {
        let message = format!("Stream {name} under account {} not found.", self.account);
        ModelError::new(ErrorCode::ResourceNotFound, message)
    }

    pub fn no_shard(self, shard: ShardId, stream: &str) -> ModelError {
        let message = format!("Shard {shard} in stream {stream} under account {} does not exist", self.account);
        ModelError::new(ErrorCode::ResourceNotFound, message)
    }

    pub fn shard_id(self, text: &str, stream: &str) -> Result<ShardId, ModelError> {
        ShardId::parse(text).map_or_else(|| self.shard_id_missing(text, stream), Ok)
    }

    pub fn shard_id_missing<T>(self, text: &str, stream: &str) -> Result<T, ModelError> {
        let message = format!("Could not find shard {text} in stream {stream} under account {}.", self.account);
        Err(ModelError::new(ErrorCode::ResourceNotFound, message))
    }
}

pub(super) fn shard_limit_exceeded(
    account: &str,
    region: &str,
    present: usize,
    limit: u32,
    additional: usize,
) -> ModelError {
    let message = format!(
        "This request would exceed the shard limit for the account {account} in {region}. Current shard count for the \
         account: {present}. Limit: {limit}. Number of additional shards that would have resulted from this request: \
         {additional}. Refer to the AWS Service Limits page \
         (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for current limits and how to request \
         higher limits."
    );
    ModelError::new(ErrorCode::LimitExceeded, message)
}

pub(super) fn invalid(message: impl Into<String>) -> ModelError {
    ModelError::new(ErrorCode::InvalidArgument, message)
}

/// Region, account and stream of `arn:aws.*:kinesis:.*:\d{12}:stream/\S+`.
pub(super) fn take_arn_apart(arn: &str) -> Option<(&str, &str, &str)> {
    let (head, stream) = arn.split_once(":stream/")?;
    let (head, account) = head.rsplit_once(':')?;
    let partition = head.strip_prefix("arn:aws")?;
    let (_, region) = partition.split_once(":kinesis:")?;
    let whole = account.len() == 12
        && account.bytes().all(|b| b.is_ascii_digit())
        && !stream.is_empty()
        && !stream.contains(char::is_whitespace);
    whole.then_some((region, account, stream))
}
