//! What can go wrong between a request and its answer.

use std::fmt;

use crate::io::tls::{TlsProblem, TrustError};

/// Which of the time-outs it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// For the connection.
    Connect,
    /// For the head of the answer.
    Head,
    /// For the next part of the answer's body.
    Body,
}

impl fmt::Display for Waited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Waited::Connect => "no connection",
            Waited::Head => "no answer",
            Waited::Body => "no further part of the answer",
        })
    }
}

/// Why there is no answer. All but `Tls`, `Trust`, `Address` and `TooLarge` may pass by themselves.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// The host's name does not resolve.
    #[error("{host} does not resolve: {reason}")]
    Dns {
        /// The name.
        host: String,
        /// The system's words.
        reason: String,
    },
    /// Nobody answers there; the request was not sent.
    #[error("{address} cannot be reached: {reason}")]
    Connect {
        /// Host and port.
        address: String,
        /// The system's words.
        reason: String,
    },
    /// It took too long.
    #[error("{waited} from {address} within {limit_ms} ms")]
    Timeout {
        /// What was waited for.
        waited: Waited,
        /// Host and port.
        address: String,
        /// How long, in ms.
        limit_ms: u64,
    },
    /// The connection was closed before the whole answer was here. The request may have been carried out.
    #[error("{address} closed the connection: {reason}")]
    Reset {
        /// Host and port.
        address: String,
        /// What was missing.
        reason: String,
    },
    /// The connection was closed before anything of the request was written.
    #[error("{address} closed the connection before the request was written")]
    Unwritten {
        /// Host and port.
        address: String,
    },
    /// What came is not HTTP.
    #[error("{address} does not speak HTTP/1.1: {reason}")]
    Protocol {
        /// Host and port.
        address: String,
        /// What was wrong.
        reason: String,
    },
    /// The answer is longer than we take.
    #[error("the answer of {address} is longer than {limit_bytes} bytes")]
    TooLarge {
        /// Host and port.
        address: String,
        /// What we take.
        limit_bytes: u64,
    },
    /// TLS failed, and would again; the request was not sent.
    #[error("TLS with {address} failed: {problem}")]
    Tls {
        /// Host and port.
        address: String,
        /// What is wrong.
        problem: TlsProblem,
    },
    /// There is nobody to believe in TLS; the request was not sent.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// Not an address that can be called.
    #[error("`{address}` is not an http address; write http://HOST:PORT or https://HOST")]
    Address {
        /// As given.
        address: String,
    },
}

impl HttpError {
    /// Whether the request has certainly not been carried out.
    #[must_use]
    pub fn was_not_sent(&self) -> bool {
        matches!(
            self,
            HttpError::Dns { .. }
                | HttpError::Connect { .. }
                | HttpError::Unwritten { .. }
                | HttpError::Tls { .. }
                | HttpError::Trust(_)
                | HttpError::Address { .. }
                | HttpError::Timeout { waited: Waited::Connect, .. }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_is_a_sentence_with_the_place() {
        let address = || "host:1".to_owned();
        let reason = || "why".to_owned();
        let texts = [
            HttpError::Dns { host: "host".into(), reason: reason() },
            HttpError::Connect { address: address(), reason: reason() },
            HttpError::Timeout { waited: Waited::Head, address: address(), limit_ms: 7 },
            HttpError::Reset { address: address(), reason: reason() },
            HttpError::Unwritten { address: address() },
            HttpError::Protocol { address: address(), reason: reason() },
            HttpError::TooLarge { address: address(), limit_bytes: 9 },
            HttpError::Tls { address: address(), problem: TlsProblem::NotTls },
            HttpError::Trust(TrustError::NoRoots { reason: reason() }),
            HttpError::Address { address: "x".into() },
        ]
        .map(|error| error.to_string());
        assert_eq!(
            texts,
            [
                "host does not resolve: why",
                "host:1 cannot be reached: why",
                "no answer from host:1 within 7 ms",
                "host:1 closed the connection: why",
                "host:1 closed the connection before the request was written",
                "host:1 does not speak HTTP/1.1: why",
                "the answer of host:1 is longer than 9 bytes",
                "TLS with host:1 failed: it does not speak TLS",
                "this system has no certificate authorities (why)",
                "`x` is not an http address; write http://HOST:PORT or https://HOST",
            ]
        );
    }
}
