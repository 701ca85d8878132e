//! The service's errors by kind, and what a reader or a writer does about each.
//!
//! One table, so that nobody decides by the text of a message. What is permanent fails at once with something to do;
//! what passes is retried for as long as it takes, visibly. Source: *Amazon Kinesis Data Streams API Reference*
//! (errors of GetRecords, GetShardIterator, PutRecords; common errors), read 2026-11-23.

use std::fmt;

use weir_runtime::error::Kind;

/// What went wrong, as far as a decision depends on it.
///
/// The client maps the service's codes and its own failures (connection, time-out) to these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// `ProvisionedThroughputExceededException`, `ThrottlingException`: we or another reader went too fast.
    Throttled,
    /// `ExpiredIteratorException`: the shard iterator is older than five minutes.
    ExpiredIterator,
    /// `ExpiredNextTokenException`: a listing took longer than its token lives.
    ExpiredToken,
    /// `InvalidArgumentException`, `ValidationException`: the request itself is refused.
    InvalidArgument,
    /// `ResourceNotFoundException`: no such stream, or the shard has aged out.
    NotFound,
    /// `ResourceInUseException`: the stream is being created, changed or deleted.
    InUse,
    /// `LimitExceededException`: an account's quota or a control-plane rate.
    LimitExceeded,
    /// `AccessDeniedException`: the credentials are good but may not do this.
    AccessDenied,
    /// No credentials, or ones the service does not take (`UnrecognizedClient`, `ExpiredTokenException`, bad signature).
    Credentials,
    /// No region is set, or the settings lead to no Kinesis endpoint of it (not an address, only through a proxy).
    Region,
    /// The endpoint's certificate is not trusted, or the authorities to judge it by cannot be had.
    Tls,
    /// `KMSThrottlingException`: the key service asks for patience.
    KmsThrottled,
    /// `KMSDisabled`, `KMSInvalidState`, `KMSAccessDenied`, `KMSNotFound`, `KMSOptInRequired`: the stream's key is unusable.
    Kms,
    /// `InternalFailure`, 5xx: the service's own trouble.
    Unavailable,
    /// Nobody took the request: unresolved, refused, not connected in time, closed before it was written.
    Unreached,
    /// The connection was closed before the answer was here. A put may have landed.
    Connection,
    /// No answer in time. A put may have landed.
    Timeout,
    /// An answer that fits nothing above.
    Other,
}

/// What a reader or writer does about an [`ErrorKind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// Wait a second or more, jittered; keep the iterator (a new one would burn another quota).
    SlowDown,
    /// Fetch a new iterator after the last record, at once.
    RenewIterator,
    /// Fetch a new iterator once; if the fresh one is refused too, fail.
    RenewIteratorOnce,
    /// The position lies outside the shard or its retention: read from the oldest record left, and note the gap.
    FromOldest,
    /// The shard has aged out, or the stream is gone: list the shards to know which.
    AskListing,
    /// Some record of the call is at fault: find it, and let the others go.
    Isolate,
    /// Wait with growing, jittered back-off up to 5 s, then the same again, for as long as it takes.
    BackOff,
    /// The credentials are fetched anew meanwhile: again soon, once; if those are refused too, as `RetrySlowly`.
    RefreshCredentials,
    /// An operator has to mend something, and a mended setting should heal us: try again every 30 s, loudly.
    RetrySlowly,
    /// Nothing we can do mends it: fail with what to do.
    Fail,
}

/// The calls whose errors a machine reacts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// `GetShardIterator`.
    GetShardIterator,
    /// `GetRecords`.
    GetRecords,
    /// `ListShards`.
    ListShards,
    /// `PutRecords`, as a whole (records refused inside an answer are always put again).
    PutRecords,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl ErrorKind {
    /// What to do when `call` failed this way. `worked_before`: such a call has succeeded with these settings, so that
    /// they were good once and what is refused now may be granted again. Never allocates.
    pub fn reaction(self, call: Call, worked_before: bool) -> Reaction {
        use ErrorKind as E;
        match (self, call) {
            (E::Throttled | E::LimitExceeded | E::KmsThrottled, _) => Reaction::SlowDown,
            (E::ExpiredIterator, Call::GetRecords) => Reaction::RenewIterator,
            (E::InvalidArgument, Call::GetRecords) => Reaction::RenewIteratorOnce,
            (E::InvalidArgument, Call::GetShardIterator) => Reaction::FromOldest,
            (E::InvalidArgument, Call::PutRecords) => Reaction::Isolate,
            (E::InvalidArgument, Call::ListShards) => Reaction::Fail,
            (E::NotFound, Call::GetRecords | Call::GetShardIterator) => Reaction::AskListing,
            (E::NotFound | E::Region | E::Tls, _) => Reaction::Fail,
            (E::AccessDenied, _) if worked_before => Reaction::RetrySlowly,
            (E::Credentials, _) if worked_before => Reaction::RefreshCredentials,
            (E::AccessDenied | E::Credentials, _) => Reaction::Fail,
            (E::Kms, _) => Reaction::RetrySlowly,
            (E::InUse | E::Unavailable | E::Unreached | E::Connection | E::Timeout, _) => Reaction::BackOff,
            (E::ExpiredIterator | E::ExpiredToken | E::Other, _) => Reaction::BackOff,
        }
    }

    /// Who has to act when this is not retried.
    pub fn who_acts(self) -> Kind {
        match self {
            ErrorKind::Region | ErrorKind::InvalidArgument => Kind::Settings,
            ErrorKind::Tls => Kind::Environment,
            _ => Kind::Service,
        }
    }

    /// Whether the call may have taken effect although it failed, so that a repeat may duplicate.
    pub fn may_have_landed(self) -> bool {
        matches!(self, ErrorKind::Unavailable | ErrorKind::Connection | ErrorKind::Timeout | ErrorKind::Other)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ErrorKind::Throttled => "throttled",
            ErrorKind::ExpiredIterator => "iterator expired",
            ErrorKind::ExpiredToken => "listing token expired",
            ErrorKind::InvalidArgument => "invalid argument",
            ErrorKind::NotFound => "not found",
            ErrorKind::InUse => "in use",
            ErrorKind::LimitExceeded => "limit exceeded",
            ErrorKind::AccessDenied => "access denied",
            ErrorKind::Credentials => "no usable credentials",
            ErrorKind::Region => "no usable region",
            ErrorKind::Tls => "no trusted connection",
            ErrorKind::KmsThrottled => "key service throttled",
            ErrorKind::Kms => "the stream's encryption key is unusable",
            ErrorKind::Unavailable => "service unavailable",
            ErrorKind::Unreached => "no connection",
            ErrorKind::Connection => "connection lost",
            ErrorKind::Timeout => "no answer in time",
            ErrorKind::Other => "unexpected answer",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throttled_read_keeps_its_iterator() {
        assert_eq!(ErrorKind::Throttled.reaction(Call::GetRecords, true), Reaction::SlowDown);
        assert_eq!(ErrorKind::LimitExceeded.reaction(Call::GetShardIterator, true), Reaction::SlowDown);
    }

    #[test]
    fn refused_argument_is_judged_by_the_call() {
        let reaction = |call| ErrorKind::InvalidArgument.reaction(call, true);
        assert_eq!(reaction(Call::GetRecords), Reaction::RenewIteratorOnce);
        assert_eq!(reaction(Call::GetShardIterator), Reaction::FromOldest);
        assert_eq!(reaction(Call::PutRecords), Reaction::Isolate);
        assert_eq!(reaction(Call::ListShards), Reaction::Fail);
    }

    #[test]
    fn missing_shard_is_looked_up_and_missing_stream_fails() {
        assert_eq!(ErrorKind::NotFound.reaction(Call::GetRecords, true), Reaction::AskListing);
        assert_eq!(ErrorKind::NotFound.reaction(Call::ListShards, true), Reaction::Fail);
        assert_eq!(ErrorKind::NotFound.reaction(Call::PutRecords, true), Reaction::Fail);
    }

    #[test]
    fn refused_credentials_fail_at_the_start_and_are_waited_for_later() {
        let later =
            [(ErrorKind::AccessDenied, Reaction::RetrySlowly), (ErrorKind::Credentials, Reaction::RefreshCredentials)];
        for (kind, later) in later {
            assert_eq!(kind.reaction(Call::GetRecords, false), Reaction::Fail, "{kind}");
            assert_eq!(kind.reaction(Call::GetRecords, true), later, "{kind}");
        }
    }

    #[test]
    fn untrusted_endpoint_fails_whenever_it_is_met_and_is_the_hosts_affair() {
        for worked_before in [false, true] {
            assert_eq!(ErrorKind::Tls.reaction(Call::GetRecords, worked_before), Reaction::Fail);
        }
        assert_eq!(ErrorKind::Tls.who_acts(), Kind::Environment);
    }

    #[test]
    fn passing_errors_are_retried_whatever_the_call() {
        let calls = [Call::GetRecords, Call::GetShardIterator, Call::ListShards, Call::PutRecords];
        for kind in [
            ErrorKind::Unavailable,
            ErrorKind::Unreached,
            ErrorKind::Connection,
            ErrorKind::Timeout,
            ErrorKind::InUse,
            ErrorKind::Other,
        ] {
            for call in calls {
                assert_eq!(kind.reaction(call, false), Reaction::BackOff, "{kind} of {call}");
            }
        }
    }

    #[test]
    fn a_throttled_put_has_not_landed_and_a_timed_out_one_may_have() {
        assert!(!ErrorKind::Throttled.may_have_landed());
        assert!(!ErrorKind::Unreached.may_have_landed());
        assert!(ErrorKind::Timeout.may_have_landed());
    }
}
