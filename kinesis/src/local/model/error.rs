//! What the service refuses, in its own words.

use std::fmt;

/// The service's exceptions that a model can raise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The call was to be tried only, and would have succeeded.
    DryRun,
    /// A shard iterator older than five minutes: ask for a new one.
    ExpiredIterator,
    /// A listing token older than five minutes: start the listing again.
    ExpiredNextToken,
    /// A well-formed value that means nothing here: wrong shard, foreign sequence number, future timestamp.
    InvalidArgument,
    /// More shards, or more streams in creation, than the account may have.
    LimitExceeded,
    /// The shard has had its calls, records or bytes for this second: try again later.
    ProvisionedThroughputExceeded,
    /// The stream exists already, or is not in a state that allows the call.
    ResourceInUse,
    /// No such stream or shard.
    ResourceNotFound,
    /// A value that breaks the stated length, range or pattern of its parameter.
    Validation,
}

impl ErrorCode {
    /// The exception's name as it stands in `__type`.
    pub const fn name(self) -> &'static str {
        match self {
            ErrorCode::DryRun => "DryRunOperationException",
            ErrorCode::ExpiredIterator => "ExpiredIteratorException",
            ErrorCode::ExpiredNextToken => "ExpiredNextTokenException",
            ErrorCode::InvalidArgument => "InvalidArgumentException",
            ErrorCode::LimitExceeded => "LimitExceededException",
            ErrorCode::ProvisionedThroughputExceeded => "ProvisionedThroughputExceededException",
            ErrorCode::ResourceInUse => "ResourceInUseException",
            ErrorCode::ResourceNotFound => "ResourceNotFoundException",
            ErrorCode::Validation => "ValidationException",
        }
    }
}

/// A refused call: the exception and the sentence that goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelError {
    /// Which exception.
    pub code: ErrorCode,
    /// The service's sentence.
    pub message: String,
}

impl ModelError {
    /// An exception with its sentence.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> ModelError {
        ModelError { code, message: message.into() }
    }

    /// The status of the HTTP answer: all of these are the caller's to mend.
    pub const fn http_status(&self) -> u16 {
        400
    }
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.message)
    }
}

impl std::error::Error for ModelError {}
