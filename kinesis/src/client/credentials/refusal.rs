//! Why there are no credentials, with what to do about it: the SDK's errors in sentences of ours.

use std::error::Error;
use std::fmt;

use aws_credential_types::provider::error::CredentialsError;

use super::profile::UnsupportedProfile;
use crate::client::error::{ErrorKind, ServiceError, chain, find, unsent};

/// A failed attempt at credentials. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::client) struct Refusal {
    /// Decides what is done about it: a token service that is not reached may be reached later.
    pub(in crate::client) kind: ErrorKind,
    pub(in crate::client) code: String,
    /// What happened and what to do.
    pub(in crate::client) message: String,
}

const NONE_FOUND: &str =
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or choose a profile that has them with --profile or AWS_PROFILE";

impl Refusal {
    pub(super) fn of(error: &CredentialsError) -> Refusal {
        let refusal =
            |code: &str, message: String| Refusal { kind: ErrorKind::Credentials, code: code.into(), message };
        if let CredentialsError::CredentialsNotLoaded(_) = error {
            let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
            return refusal("NoCredentials", format!("no AWS credentials were found ({cause}); {NONE_FOUND}"));
        }
        if let Some(unsupported) = find::<UnsupportedProfile>(error) {
            return refusal("UnsupportedProfile", format!("{unsupported}; {}", unsupported.remedy()));
        }
        // Our own connections' words are better than the SDK's about them.
        if let Some(unsent) = unsent("credentials", error) {
            let message = format!("AWS credentials cannot be loaded: {}", unsent.message);
            return Refusal { kind: unsent.kind, code: unsent.code, message };
        }
        // The outermost says no more than that they cannot be loaded.
        let words = error.source().map_or_else(|| error.to_string(), chain);
        let remedy = if words.contains("SSO") || words.contains("sso") {
            "run `aws sso login` for this profile"
        } else {
            "check the profile, the role and what the environment says about credentials"
        };
        let message = words.split_whitespace().collect::<Vec<_>>().join(" ");
        refusal("CredentialsFailed", format!("AWS credentials cannot be loaded: {message}; {remedy}"))
    }

    pub(in crate::client) fn into_error(self, operation: &'static str) -> ServiceError {
        ServiceError { kind: self.kind, code: self.code, message: self.message, operation }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Refusal {}
