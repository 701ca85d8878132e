//! Credentials of a profile of the AWS configuration files: the SDK's way, but for a `credential_process`.

use std::borrow::Cow;

use aws_config::profile::{Profile, ProfileFileCredentialsProvider, ProfileSet};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_types::os_shim_internal::{Env, Fs};

use super::process::{LIMIT, Process};

/// The profile that the settings or `AWS_PROFILE` name, or `default`.
#[derive(Debug)]
pub(super) struct ProfileCredentials {
    name: Option<String>,
    sdk: ProfileFileCredentialsProvider,
}

/// How a profile's credentials are had.
#[derive(Debug)]
enum Way {
    /// The SDK knows it, or knows best what is wrong with it.
    Sdk,
    Command(Process),
    Unsupported(UnsupportedProfile),
}

/// A profile that the AWS command line can use and we cannot; the way out is to let it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("profile `{profile}` {what}, which is not supported")]
pub(in crate::client) struct UnsupportedProfile {
    profile: String,
    what: String,
}

impl UnsupportedProfile {
    /// What to do about it.
    pub(in crate::client) fn remedy(&self) -> String {
        format!(
            "make another profile with `credential_process = aws configure export-credentials --profile {} --format process` and choose that one",
            self.profile
        )
    }
}

impl ProfileCredentials {
    pub(super) fn new(name: Option<String>, sdk: ProfileFileCredentialsProvider) -> ProfileCredentials {
        ProfileCredentials { name, sdk }
    }

    async fn load(&self) -> Result<Credentials, CredentialsError> {
        let name = self.name.clone().map(Cow::Owned);
        let profiles = aws_config::profile::load(&Fs::real(), &Env::real(), &EnvConfigFiles::default(), name).await;
        // Files that cannot be read are the SDK's to explain.
        match profiles.as_ref().map_or(Way::Sdk, way) {
            Way::Sdk => self.sdk.provide_credentials().await,
            Way::Command(process) => process.provide_credentials().await,
            Way::Unsupported(unsupported) => Err(CredentialsError::invalid_configuration(unsupported)),
        }
    }
}

impl ProvideCredentials for ProfileCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.load())
    }
}

/// Follows roles to the profile they begin at, as the SDK does.
fn way(profiles: &ProfileSet) -> Way {
    let selected = profiles.selected_profile();
    let mut name = selected;
    let mut seen: Vec<&str> = Vec::new();
    let base = loop {
        let Some(profile) = profiles.get_profile(name).filter(|_| !seen.contains(&name)) else {
            return Way::Sdk;
        };
        if !seen.is_empty() && profile.get("aws_access_key_id").is_some() {
            return Way::Sdk;
        }
        seen.push(name);
        let is_role = profile.get("role_arn").is_some() && profile.get("web_identity_token_file").is_none();
        match profile.get("source_profile").filter(|_| is_role) {
            Some(source) if source != name => name = source,
            // A role taken by the profile's own credentials.
            Some(_) => {
                seen.push(name);
                break profile;
            }
            None => break profile,
        }
    };
    if ["credential_source", "web_identity_token_file"].iter().any(|key| base.get(key).is_some()) || is_sso(base) {
        return Way::Sdk;
    }
    let unsupported = |what: String| Way::Unsupported(UnsupportedProfile { profile: selected.to_owned(), what });
    if base.get("login_session").is_some() {
        return unsupported("uses a session of `aws login`".to_owned());
    }
    match base.get("credential_process") {
        None => Way::Sdk,
        Some(command) if seen.len() == 1 => {
            Way::Command(Process { profile: name.to_owned(), command: command.to_owned(), limit: LIMIT })
        }
        Some(_) => unsupported(format!("takes a role by the credential_process of profile `{name}`")),
    }
}

fn is_sso(profile: &Profile) -> bool {
    ["sso_session", "sso_start_url", "sso_region", "sso_account_id", "sso_role_name"]
        .iter()
        .any(|key| profile.get(key).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way_of(name: &str, config: &str) -> Way {
        let (env, fs) = (Env::from_slice(&[("HOME", "/home")]), Fs::from_slice(&[("/home/.aws/config", config)]));
        let name = Some(Cow::Owned(name.to_owned()));
        let loading = async move {
            aws_config::profile::load(&fs, &env, &EnvConfigFiles::default(), name).await.map(|set| way(&set))
        };
        futures_lite::future::block_on(loading).expect("a good file")
    }

    const PROCESS: &str = "[profile p]\ncredential_process = get --it\nregion = eu-west-1\n";

    #[test]
    fn command_of_the_profile_itself_is_run_by_us() {
        match way_of("p", PROCESS) {
            Way::Command(process) => {
                assert_eq!((process.profile.as_str(), process.command.as_str()), ("p", "get --it"));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn profiles_that_need_no_command_are_the_sdks() {
        for config in [
            "[profile p]\naws_access_key_id = a\naws_secret_access_key = b\n",
            "[profile p]\nrole_arn = r\nsource_profile = q\n[profile q]\naws_access_key_id = a\naws_secret_access_key = b\ncredential_process = x\n",
            "[profile p]\nrole_arn = r\nsource_profile = q\n[profile q]\nrole_arn = r\nsource_profile = p\n",
            "[profile p]\nrole_arn = r\nsource_profile = missing\n",
            "[profile p]\nrole_arn = r\ncredential_source = Environment\ncredential_process = x\n",
            "[profile p]\nrole_arn = r\nweb_identity_token_file = f\ncredential_process = x\n",
            "[profile p]\nsso_session = s\nsso_account_id = 1\nsso_role_name = n\n[sso-session s]\nsso_region = r\nsso_start_url = u\n",
            "[profile other]\nregion = eu-west-1\n",
        ] {
            assert!(matches!(way_of("p", config), Way::Sdk), "{config}");
        }
    }

    #[test]
    fn what_only_the_command_line_can_do_names_the_way_out() {
        let refused = |config: &str| match way_of("p", config) {
            Way::Unsupported(unsupported) => format!("{unsupported}; {}", unsupported.remedy()),
            other => panic!("{other:?}"),
        };
        let way_out = "make another profile with `credential_process = aws configure export-credentials --profile p --format process` and choose that one";
        assert_eq!(
            refused("[profile p]\nlogin_session = arn:aws:iam::1:user/a\n"),
            format!("profile `p` uses a session of `aws login`, which is not supported; {way_out}")
        );
        let chained = "[profile p]\nrole_arn = r\nsource_profile = q\n[profile q]\ncredential_process = x\n";
        assert_eq!(
            refused(chained),
            format!(
                "profile `p` takes a role by the credential_process of profile `q`, which is not supported; {way_out}"
            )
        );
        let own = "[profile p]\nrole_arn = r\nsource_profile = p\ncredential_process = x\n";
        assert!(refused(own).starts_with("profile `p` takes a role by the credential_process of profile `p`"));
    }
}
