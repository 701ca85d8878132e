//! HTTP proxies, which we do not speak to: an environment that sends us through one is refused in words.
//!
//! Going past the proxy in silence would end in a time-out that nobody can explain, or do what somebody has forbidden.
//! Judged by request, so that the hosts that give credentials are judged as well. Addresses of this machine and link-local
//! ones (the metadata of instances and containers) are never reached through a proxy.

use std::net::IpAddr;

use http::Uri;

/// What the environment says about proxies. Their addresses are not kept: they may hold passwords.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Proxies {
    /// The variable that is set for `https` addresses.
    https: Option<&'static str>,
    /// The same for `http`.
    http: Option<&'static str>,
    /// Hosts that are reached directly.
    direct: Vec<String>,
}

/// A request that should go through a proxy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable} is set and {host} is not in NO_PROXY, but HTTP proxies are not supported")]
pub(super) struct ProxyRefusal {
    variable: &'static str,
    host: String,
}

impl ProxyRefusal {
    /// What to do about it.
    pub(super) const REMEDY: &'static str =
        "add the host to NO_PROXY if it can be reached directly, for example by a VPC endpoint";
}

impl Proxies {
    /// By the variables that curl and the AWS command line look at; those in lower case come first, empty is unset.
    pub(super) fn of(variable: impl Fn(&str) -> Option<String>) -> Proxies {
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let first = |names: [&'static str; 2]| names.into_iter().find(|name| set(name).is_some());
        let direct = set("no_proxy").or_else(|| set("NO_PROXY")).unwrap_or_default();
        Proxies {
            https: first(["https_proxy", "HTTPS_PROXY"]),
            http: first(["http_proxy", "HTTP_PROXY"]),
            direct: direct.split([',', ' ']).map(str::trim).filter(|host| !host.is_empty()).map(lower).collect(),
        }
    }

    /// Refuses a request that the environment would send through a proxy.
    pub(super) fn check(&self, uri: &Uri) -> Result<(), ProxyRefusal> {
        let tls = uri.scheme_str() == Some("https");
        let Some(variable) = (if tls { self.https } else { self.http }) else {
            return Ok(());
        };
        let host = lower(uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']'));
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        if is_near(&host) || self.direct.iter().any(|pattern| matches(pattern, &host, port)) {
            return Ok(());
        }
        Err(ProxyRefusal { variable, host })
    }
}

fn lower(text: &str) -> String {
    text.to_ascii_lowercase()
}

fn is_near(host: &str) -> bool {
    match host.parse() {
        Ok(IpAddr::V4(address)) => address.is_loopback() || address.is_link_local(),
        // fd00:ec2:: is where instances and containers find their metadata.
        Ok(IpAddr::V6(address)) => {
            address.is_loopback() || address.is_unicast_link_local() || address.segments()[..2] == [0xfd00, 0x0ec2]
        }
        Err(_) => host == "localhost",
    }
}

/// `*` is every host; `example.com` and `.example.com` are that host and all below it; a port, if given, must be the one.
fn matches(pattern: &str, host: &str, port: u16) -> bool {
    if pattern == "*" || pattern == host {
        return true;
    }
    let (name, wanted) = match pattern.rsplit_once(':') {
        Some((name, digits)) if !name.contains(':') || name.ends_with(']') => (name, digits.parse::<u16>().ok()),
        _ => (pattern, Some(port)),
    };
    let name = name.trim_start_matches('[').trim_end_matches(']').trim_start_matches("*.").trim_start_matches('.');
    let below = host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    wanted == Some(port) && !name.is_empty() && below
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Proxies {
        Proxies::of(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    fn is_refused(variables: &[(&str, &str)], url: &'static str) -> bool {
        proxies(variables).check(&Uri::from_static(url)).is_err()
    }

    const AWS: &str = "https://kinesis.eu-central-1.amazonaws.com/";
    const PROXY: &str = "http://user:hunter2@proxy:3128";

    #[test]
    fn proxy_for_the_scheme_is_refused_by_its_name_and_without_its_password() {
        let refusal =
            proxies(&[("HTTPS_PROXY", PROXY)]).check(&Uri::from_static(AWS)).expect_err("it would go by the proxy");
        assert_eq!(
            refusal.to_string(),
            "HTTPS_PROXY is set and kinesis.eu-central-1.amazonaws.com is not in NO_PROXY, but HTTP proxies are not supported"
        );
        assert!(!format!("{refusal:?} {:?}", proxies(&[("HTTPS_PROXY", PROXY)])).contains("hunter2"));
        assert!(is_refused(&[("https_proxy", PROXY)], AWS));
        assert!(is_refused(&[("http_proxy", PROXY)], "http://kinesis.internal:4567/"));
        assert!(is_refused(&[("HTTP_PROXY", PROXY)], "http://10.0.0.1/"));
    }

    #[test]
    fn proxy_of_the_other_scheme_or_an_empty_one_is_none() {
        assert!(!is_refused(&[("HTTP_PROXY", PROXY)], AWS));
        assert!(!is_refused(&[("HTTPS_PROXY", PROXY)], "http://kinesis.internal/"));
        assert!(!is_refused(&[("HTTPS_PROXY", " ")], AWS));
        assert!(!is_refused(&[], AWS));
    }

    #[test]
    fn host_in_no_proxy_is_reached_directly() {
        let direct = |no_proxy| !is_refused(&[("HTTPS_PROXY", PROXY), ("NO_PROXY", no_proxy)], AWS);
        for good in [
            "*",
            "amazonaws.com",
            ".amazonaws.com",
            "*.amazonaws.com",
            "kinesis.eu-central-1.AMAZONAWS.com",
            "localhost, .amazonaws.com",
            "amazonaws.com:443",
        ] {
            assert!(direct(good), "{good}");
        }
        for bad in ["", "localhost", "naws.com", "amazonaws.com.cn", "amazonaws.com:80", ".", "eu-central-1"] {
            assert!(!direct(bad), "{bad}");
        }
        let both = [("HTTPS_PROXY", PROXY), ("no_proxy", "other.example"), ("NO_PROXY", "*")];
        assert!(is_refused(&both, AWS), "lower case comes first");
    }

    #[test]
    fn this_machine_and_its_metadata_are_never_behind_a_proxy() {
        for url in [
            "http://localhost:4567/",
            "http://127.0.0.1:4567/",
            "http://[::1]:4567/",
            "http://169.254.169.254/latest",
            "http://[fd00:ec2::254]/latest",
        ] {
            assert!(!is_refused(&[("HTTP_PROXY", PROXY)], url), "{url}");
        }
        assert!(is_refused(&[("HTTP_PROXY", PROXY)], "http://[fd00:ec3::1]/"));
        let v6 = |no_proxy| is_refused(&[("HTTP_PROXY", PROXY), ("NO_PROXY", no_proxy)], "http://[2001:db8::1]:80/");
        assert!(!v6("2001:db8::1") && !v6("[2001:db8::1]:80") && v6("[2001:db8::1]:81"));
    }
}
