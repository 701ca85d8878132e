//! Where the service is, if people say so: the address is checked wherever they say it, before anything is sent.
//!
//! The SDK looks at the same places, but one address that it cannot read it drops with a warning in its log, so that requests
//! meant for an endpoint of one's own go to AWS; with another it fails only when it sends, in words about itself.

use aws_types::os_shim_internal::{Env, Fs};

use super::ServiceSettings;
use super::error::{ErrorKind, ServiceError};

/// Variables that hold an address, the more special one first. Source: "Service-specific endpoints", AWS SDKs and Tools
/// reference guide (read November 2026).
const VARIABLES: [&str; 2] = ["AWS_ENDPOINT_URL_KINESIS", "AWS_ENDPOINT_URL"];
const IGNORE: &str = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS";
const IGNORE_KEY: &str = "ignore_configured_endpoint_urls";

/// The address of the settings, else of the environment, else of the profile. `None`: AWS itself, or what the profile says
/// for Kinesis alone in a `services` section, which the SDK passes on as it is.
///
/// Errors: an address that cannot be called, and where it was said.
pub(super) async fn resolve(settings: &ServiceSettings) -> Result<Option<String>, ServiceError> {
    let variable = |name: &str| std::env::var(name).ok();
    let given = given(settings, variable)?;
    if given.is_some() || is_true(variable(IGNORE)) {
        return Ok(given);
    }
    let selected = settings.profile.clone().map(Into::into);
    // Files that cannot be read are said by whoever looks for credentials.
    let Ok(profiles) = aws_config::profile::load(&Fs::real(), &Env::real(), &Default::default(), selected).await else {
        return Ok(None);
    };
    let Some(url) = profiles.get("endpoint_url").filter(|_| !is_true(profiles.get(IGNORE_KEY))) else {
        return Ok(None);
    };
    check(url, &format!("endpoint_url of the profile {}", profiles.selected_profile()))?;
    Ok(Some(url.to_owned()))
}

fn is_true(setting: Option<impl AsRef<str>>) -> bool {
    setting.is_some_and(|setting| setting.as_ref().eq_ignore_ascii_case("true"))
}

/// The address of the settings or else of the environment; `variable` gives what is set there.
fn given(
    settings: &ServiceSettings,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<String>, ServiceError> {
    if let Some(url) = &settings.endpoint_url {
        check(url, "the endpoint")?;
        return Ok(Some(url.clone()));
    }
    if is_true(variable(IGNORE)) {
        return Ok(None);
    }
    // One that is set empty is not set.
    let found = VARIABLES.iter().find_map(|name| Some((name, variable(name).filter(|url| !url.is_empty())?)));
    found.map(|(name, url)| check(&url, name).map(|()| url)).transpose()
}

/// Whether the address can be called at all.
fn check(url: &str, place: &str) -> Result<(), ServiceError> {
    let callable = url.parse::<http::Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
    });
    if callable {
        return Ok(());
    }
    let message = format!(
        "{place} is \"{}\", which is no address to call; write http:// or https:// and a host, such as http://127.0.0.1:4567",
        url.escape_debug()
    );
    Err(ServiceError::new("connect", ErrorKind::Region, "BadEndpoint", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(endpoint: Option<&str>, variables: &[(&str, &str)]) -> Result<Option<String>, String> {
        let settings = ServiceSettings { endpoint_url: endpoint.map(str::to_owned), ..ServiceSettings::default() };
        let variable = |name: &str| variables.iter().find(|(set, _)| *set == name).map(|(_, url)| (*url).to_owned());
        given(&settings, variable).map_err(|error| error.message)
    }

    const URL: &str = "http://127.0.0.1:4567";
    const OTHER: &str = "https://kinesis.example.com";

    #[test]
    fn settings_stand_above_the_special_variable_and_that_above_the_general_one() {
        let both = [(VARIABLES[1], OTHER), (VARIABLES[0], URL)];
        assert_eq!(found(Some("http://[::1]:1/"), &both), Ok(Some("http://[::1]:1/".to_owned())));
        assert_eq!(found(None, &both), Ok(Some(URL.to_owned())));
        assert_eq!(found(None, &both[..1]), Ok(Some(OTHER.to_owned())));
        assert_eq!(found(None, &[]), Ok(None));
    }

    #[test]
    fn what_is_not_used_is_not_judged() {
        assert_eq!(found(Some(URL), &[(VARIABLES[0], "nonsense")]), Ok(Some(URL.to_owned())));
        assert_eq!(found(None, &[(VARIABLES[0], ""), (VARIABLES[1], URL)]), Ok(Some(URL.to_owned())));
        assert_eq!(found(None, &[(IGNORE, "true"), (VARIABLES[1], "nonsense")]), Ok(None));
    }

    #[test]
    fn address_that_cannot_be_called_is_refused_with_its_place() {
        // The SDK takes the first for a scheme and drops the second.
        for url in ["localhost:4567", "127.0.0.1:4567", "/kinesis", "http://", "ftp://host", "a b"] {
            assert_eq!(
                found(None, &[(VARIABLES[1], url)]),
                Err(format!(
                    "AWS_ENDPOINT_URL is \"{url}\", which is no address to call; write http:// or https:// and a host, such as http://127.0.0.1:4567"
                ))
            );
            assert!(found(Some(url), &[]).expect_err(url).starts_with("the endpoint is "));
        }
    }
}
