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
        let none_found =
            |why: &str| refusal("NoCredentials", format!("no AWS credentials were found ({why}); {NONE_FOUND}"));
        if let CredentialsError::CredentialsNotLoaded(_) = error {
            return none_found(&attempts(&error.source().map_or_else(|| error.to_string(), ToString::to_string)));
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
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        let words = words.trim_end_matches('.');
        if words.contains("IMDS") {
            // The last place that is asked, and most who are refused there meant another; other clouds answer there too.
            return none_found(&format!("Instance: {words}"));
        }
        let remedy = if words.contains("SSO") || words.contains("sso") {
            "run `aws sso login` for this profile"
        } else {
            "check the profile, the role and what the environment says about credentials"
        };
        refusal("CredentialsFailed", format!("AWS credentials cannot be loaded: {words}; {remedy}"))
    }

    pub(in crate::client) fn into_error(self, operation: &'static str) -> ServiceError {
        ServiceError { kind: self.kind, code: self.code, message: self.message, operation }
    }
}

/// What each of a chain's providers said, without the words that all of them say.
fn attempts(said: &str) -> String {
    let said = said.replace("no credentials found in chain. Attempted:", "");
    let said = said.replace(" the credential provider was not enabled:", "");
    let said = said.replace(": the credential provider was not enabled", ": nothing");
    said.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_provider_said_is_a_list() {
        let said = "no credentials found in chain. Attempted:\n  Profile: the credential provider was not enabled: no file\n  \
                    Container: the credential provider was not enabled\n";
        assert_eq!(attempts(said), "Profile: no file, Container: nothing");
    }

    #[test]
    fn refused_by_the_instance_is_told_where_else_they_may_come_from() {
        let refusal = Refusal::of(&CredentialsError::provider_error("request forbidden: IMDS is disabled."));
        assert_eq!(refusal.code, "NoCredentials");
        assert!(
            refusal
                .message
                .starts_with("no AWS credentials were found (Instance: request forbidden: IMDS is disabled); set AWS_"),
            "{refusal}"
        );
    }
}
