//! One error for all calls: what kind it is decides what a machine does, its sentence tells people what to do.

use std::error::Error;
use std::fmt;

use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use weir_runtime::io::http::{HttpError, Waited};
use weir_runtime::io::tls::{TlsProblem, TrustError};

use super::connector::Address;
use super::credentials::Refusal;
use super::proxy::ProxyRefusal;
pub use crate::protocol::ErrorKind;

/// Why a call gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceError {
    /// Decides what is done about it.
    pub kind: ErrorKind,
    /// The service's name for it, or ours: `NoCredentials`, `NoRegion`, `Tls`, `Proxy`, `Connection`, `Timeout`, `HTTP 503`.
    pub code: String,
    /// What happened and what to do, in one sentence without secrets.
    pub message: String,
    /// The call, `GetRecords`.
    pub operation: &'static str,
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.operation, self.message)
    }
}

impl Error for ServiceError {}

impl ServiceError {
    pub(super) fn new(operation: &'static str, kind: ErrorKind, code: &str, message: impl Into<String>) -> Self {
        ServiceError { kind, code: code.to_owned(), message: message.into(), operation }
    }

    /// An answer that came, but does not hold what it must.
    pub(super) fn malformed(operation: &'static str, what: &str) -> Self {
        let message = format!("the answer has no usable {what}; is the endpoint a Kinesis endpoint?");
        ServiceError::new(operation, ErrorKind::Other, "MalformedAnswer", message)
    }

    /// An answer that Kinesis would not give: somebody else listens there. A service may also have a bad day, so it is
    /// tried again; before a start only a few times.
    fn unlike(operation: &'static str, answer: &HttpResponse, code: &str, what: &str) -> Self {
        let address = answer.extension::<Address>().map_or("the endpoint", |address| &address.0);
        let said = format!("{address} does not answer like Kinesis ({what})");
        let message = sentence(&said, "check that the address is that of a Kinesis endpoint");
        ServiceError::new(operation, ErrorKind::Other, code, message)
    }

    /// Sorts what the SDK says.
    pub(super) fn from_sdk<E>(operation: &'static str, error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        // Before the rest: it may itself tell of a call, to those who give credentials.
        if let Some(refusal) = find::<Refusal>(&error) {
            return refusal.clone().into_error(operation);
        }
        if let Some(unsent) = unsent(operation, &error) {
            return unsent;
        }
        if let SdkError::TimeoutError(_) = &error {
            return ServiceError::new(operation, ErrorKind::Timeout, "Timeout", "no answer in time; it is tried again");
        }
        let Some(answer) = error.raw_response() else {
            // What cannot be made into a request never will; other trouble on our side of the wire may pass.
            let for_good = matches!(error, SdkError::ConstructionFailure(_));
            let kind = if for_good { ErrorKind::Region } else { ErrorKind::Other };
            return ServiceError::new(operation, kind, "Unsendable", sentence(&chain(&error), "check the settings"));
        };
        let status = answer.status().as_u16();
        if (200..300).contains(&status) {
            return ServiceError::unlike(operation, answer, "MalformedAnswer", &chain(&error));
        }
        let Some(code) = error.code().map(str::to_owned).or_else(|| passing_status(status)) else {
            return ServiceError::unlike(operation, answer, &format!("HTTP {status}"), &format!("HTTP {status}"));
        };
        let said = in_public(error.message().unwrap_or("")).trim().trim_end_matches('.').to_owned();
        let kind = kind_of(&code, status, &said);
        let said = if said.is_empty() { code.clone() } else { format!("{said} ({code})") };
        ServiceError::new(operation, kind, &code, sentence(&said, remedy(kind)))
    }

    fn from_http(operation: &'static str, error: &HttpError) -> Self {
        let (kind, code, remedy) = match error {
            HttpError::Timeout { waited: Waited::Connect, .. } => {
                (ErrorKind::Unreached, "Timeout", "check that the endpoint is up and its address is right")
            }
            HttpError::Timeout { .. } => (ErrorKind::Timeout, "Timeout", "check that the endpoint is up"),
            HttpError::Dns { .. } => {
                (ErrorKind::Unreached, "Connection", "check the endpoint's host name and the network")
            }
            HttpError::Connect { .. } => {
                (ErrorKind::Unreached, "Connection", "check that the endpoint is up and its address is right")
            }
            HttpError::Unwritten { .. } => (ErrorKind::Unreached, "Connection", "it is tried again"),
            HttpError::Reset { .. } => (ErrorKind::Connection, "Connection", "it is tried again"),
            HttpError::Protocol { .. } => {
                (ErrorKind::Connection, "Connection", "check that the address is that of a Kinesis endpoint")
            }
            HttpError::Tls { problem, .. } => (ErrorKind::Tls, "Tls", tls_remedy(problem)),
            HttpError::Trust(TrustError::NoRoots { .. }) => {
                (ErrorKind::Tls, "NoRoots", "install its ca-certificates package, or set AWS_CA_BUNDLE to a PEM file")
            }
            HttpError::Trust(_) => (ErrorKind::Tls, "CaBundle", "correct AWS_CA_BUNDLE, or unset it"),
            HttpError::Address { .. } => {
                (ErrorKind::Region, "BadEndpoint", "correct --endpoint-url or AWS_ENDPOINT_URL")
            }
            HttpError::TooLarge { .. } => {
                (ErrorKind::Other, "TooLarge", "check that the address is that of a Kinesis endpoint")
            }
        };
        ServiceError::new(operation, kind, code, sentence(&error.to_string(), remedy))
    }
}

/// What our connections have said about a call, if it was they.
pub(super) fn unsent(operation: &'static str, error: &(dyn Error + 'static)) -> Option<ServiceError> {
    if let Some(http) = find::<HttpError>(error) {
        return Some(ServiceError::from_http(operation, http));
    }
    let refusal = find::<ProxyRefusal>(error)?;
    let message = sentence(&refusal.to_string(), ProxyRefusal::REMEDY);
    Some(ServiceError::new(operation, ErrorKind::Region, "Proxy", message))
}

/// The code of an answer that has none of the service's, if it comes from something on the way and will pass, or says by
/// itself what is wrong.
fn passing_status(status: u16) -> Option<String> {
    matches!(status, 403 | 408 | 429 | 500..).then(|| format!("HTTP {status}"))
}

/// The first line of what the service says, and not beyond a header's name: where a signature does not match, AWS says the
/// whole request over again behind an empty line, session token included.
fn in_public(said: &str) -> &str {
    const HEADERS: [&str; 3] = ["x-amz-security-token", "authorization:", "credential="];
    let line = said.trim_start().lines().next().unwrap_or("");
    let lower = line.to_ascii_lowercase();
    let end = HEADERS.iter().filter_map(|header| lower.find(header)).min().unwrap_or(line.len());
    &line[..end]
}

/// Codes as the service's API model and its page "Common Errors" have them (read November 2026).
fn kind_of(code: &str, status: u16, said: &str) -> ErrorKind {
    let code = code.strip_suffix("Exception").unwrap_or(code);
    match code {
        "ProvisionedThroughputExceeded"
        | "Throttling"
        | "ThrottledRequest"
        | "RequestLimitExceeded"
        | "TooManyRequests"
        | "SlowDown" => ErrorKind::Throttled,
        "ExpiredIterator" => ErrorKind::ExpiredIterator,
        "ExpiredNextToken" => ErrorKind::ExpiredToken,
        "InvalidArgument" | "Validation" | "ValidationError" | "InvalidParameterValue" | "Serialization" => {
            ErrorKind::InvalidArgument
        }
        "ResourceNotFound" => ErrorKind::NotFound,
        "ResourceInUse" => ErrorKind::InUse,
        "LimitExceeded" => ErrorKind::LimitExceeded,
        "AccessDenied" | "NotAuthorized" | "OptInRequired" => ErrorKind::AccessDenied,
        "InvalidSignature" | "SignatureDoesNotMatch" if said.contains("valid region") => ErrorKind::Region,
        "UnrecognizedClient"
        | "InvalidClientTokenId"
        | "ExpiredToken"
        | "InvalidSignature"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "RequestExpired" => ErrorKind::Credentials,
        "KMSThrottling" => ErrorKind::KmsThrottled,
        "KMSDisabled" | "KMSInvalidState" | "KMSAccessDenied" | "KMSNotFound" | "KMSOptInRequired" => ErrorKind::Kms,
        "InternalFailure" | "InternalServerError" | "ServiceUnavailable" => ErrorKind::Unavailable,
        _ => match status {
            408 => ErrorKind::Timeout,
            429 => ErrorKind::Throttled,
            403 => ErrorKind::AccessDenied,
            500.. => ErrorKind::Unavailable,
            _ => ErrorKind::Other,
        },
    }
}

fn remedy(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Throttled | ErrorKind::LimitExceeded | ErrorKind::KmsThrottled => "it is tried again more slowly",
        ErrorKind::ExpiredIterator | ErrorKind::ExpiredToken => "it is fetched anew",
        ErrorKind::InvalidArgument => "check the job's settings",
        ErrorKind::NotFound => {
            "check the stream's name, the region and the endpoint, or create it with `weir stream create`"
        }
        ErrorKind::InUse => "wait until the stream is ACTIVE",
        ErrorKind::AccessDenied => "allow this action to the credentials in use",
        ErrorKind::Credentials => "check the access key, the secret key and this machine's clock",
        ErrorKind::Region => "check --region or AWS_REGION",
        ErrorKind::Tls => "check the endpoint's certificate",
        ErrorKind::Kms => "check the stream's encryption key and its policy",
        ErrorKind::Unavailable
        | ErrorKind::Unreached
        | ErrorKind::Connection
        | ErrorKind::Timeout
        | ErrorKind::Other => "it is tried again",
    }
}

fn tls_remedy(problem: &TlsProblem) -> &'static str {
    match problem {
        TlsProblem::UnknownIssuer { .. } => "set AWS_CA_BUNDLE to a PEM file with the authority that signed it",
        TlsProblem::Expired { .. } | TlsProblem::NotYetValid { .. } => {
            "check this machine's clock, or have the certificate renewed"
        }
        TlsProblem::WrongName { .. } => "call the endpoint by a name of its certificate",
        TlsProblem::NotTls => "give an http:// endpoint if it speaks plain HTTP, or correct its port",
        TlsProblem::Refused(_) => "check that the endpoint takes TLS 1.2 or 1.3 and HTTP/1.1",
        TlsProblem::Other(_) => "check the endpoint's certificate",
    }
}

/// The service's words have full stops and sometimes line breaks.
fn sentence(said: &str, remedy: &str) -> String {
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("{}; {remedy}", said.trim_end_matches('.'))
}

pub(super) fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// An error and its causes. Identical neighbours, which wrappers make, are said once.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut parts = vec![error.to_string()];
    let mut next = error.source();
    while let Some(error) = next {
        parts.push(error.to_string());
        next = error.source();
    }
    parts.dedup();
    parts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_service_has_its_kind() {
        let kind = |code| kind_of(code, 400, "");
        assert_eq!(kind("ProvisionedThroughputExceededException"), ErrorKind::Throttled);
        assert_eq!(kind("ExpiredIteratorException"), ErrorKind::ExpiredIterator);
        assert_eq!(kind("ExpiredNextTokenException"), ErrorKind::ExpiredToken);
        assert_eq!(kind("InvalidArgumentException"), ErrorKind::InvalidArgument);
        assert_eq!(kind("ResourceNotFoundException"), ErrorKind::NotFound);
        assert_eq!(kind("ResourceInUseException"), ErrorKind::InUse);
        assert_eq!(kind("LimitExceededException"), ErrorKind::LimitExceeded);
        assert_eq!(kind("AccessDeniedException"), ErrorKind::AccessDenied);
        assert_eq!(kind("UnrecognizedClientException"), ErrorKind::Credentials);
        assert_eq!(kind("KMSThrottlingException"), ErrorKind::KmsThrottled);
        assert_eq!(kind("KMSDisabledException"), ErrorKind::Kms);
        assert_eq!(kind("InternalFailureException"), ErrorKind::Unavailable);
        assert_eq!(kind("SomethingNew"), ErrorKind::Other);
    }

    #[test]
    fn unknown_code_is_judged_by_status_and_signature_by_its_words() {
        assert_eq!(kind_of("HTTP 503", 503, ""), ErrorKind::Unavailable);
        assert_eq!(kind_of("HTTP 429", 429, ""), ErrorKind::Throttled);
        let scoped = "Credential should be scoped to a valid region, not 'mars-1'.";
        assert_eq!(kind_of("InvalidSignatureException", 400, scoped), ErrorKind::Region);
        assert_eq!(kind_of("InvalidSignatureException", 400, "does not match"), ErrorKind::Credentials);
    }

    #[test]
    fn requests_that_the_service_says_over_again_are_left_out() {
        assert_eq!(
            in_public("Does not match. Check it.\n\nThe Canonical String was\n'POST"),
            "Does not match. Check it."
        );
        assert_eq!(in_public("Got POST / X-Amz-Security-Token:sesame"), "Got POST / ");
        assert_eq!(in_public("\n Größe AUTHORIZATION: x"), "Größe ");
        assert_eq!(in_public(""), "");
    }

    #[test]
    fn service_text_becomes_one_sentence_with_a_remedy() {
        assert_eq!(sentence("Stream x\n under account 1 not found.", "do"), "Stream x under account 1 not found; do");
    }
}
