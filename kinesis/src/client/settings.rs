//! Where the service is and who we are: our settings first, then the environment and profile files as the AWS command
//! line has them.
//!
//! Credentials are looked for in this order: keys in the settings; the environment (not if a profile is named in the settings);
//! the profile; a web identity; the container's; the instance's. The instance is asked once and for at most about a second, and
//! not at all if the endpoint is on this machine: whoever runs a local endpoint should learn at once that keys are missing.
//! All but keys in the settings are shared by the clients of the process (`credentials`).

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::rc::{Rc, Weak};
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::SdkConfig;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::imds::region::ImdsRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_kinesis::config::{IdentityCache, Region, StalledStreamProtectionConfig};
use aws_smithy_runtime::client::retries::RetryPartition;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use weir_runtime::facade;

use super::connector::{Connector, Timers};
use super::credentials::{self, Refusal, SnapshotReader};
use super::error::{ErrorKind, ServiceError};
use super::{Client, Inner, endpoint};

const CONNECT: Duration = Duration::from_secs(3);
const HEAD: Duration = Duration::from_secs(10);
/// Control-plane calls, first attempt included.
const CONTROL_ATTEMPTS: u32 = 3;
const OPERATION: &str = "connect";

/// What people say about the service. What is `None` comes from the environment or a profile.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct ServiceSettings {
    /// `http://HOST:PORT` or `https://HOST`; without it the environment's, the profile's, or AWS itself.
    pub endpoint_url: Option<String>,
    /// `eu-central-1`.
    pub region: Option<String>,
    /// A section of the AWS configuration files.
    pub profile: Option<String>,
    /// With it `secret_access_key` must be set.
    pub access_key_id: Option<String>,
    /// Secret.
    pub secret_access_key: Option<String>,
    /// Of temporary credentials. Secret.
    pub session_token: Option<String>,
}

impl ServiceSettings {
    /// The same without keys.
    #[must_use]
    pub fn without_credentials(self) -> ServiceSettings {
        ServiceSettings { access_key_id: None, secret_access_key: None, session_token: None, ..self }
    }
}

/// Keys are shown as there or not there.
impl fmt::Debug for ServiceSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = |secret: &Option<String>| secret.as_ref().map(|_| "(set)");
        f.debug_struct("ServiceSettings")
            .field("endpoint_url", &self.endpoint_url)
            .field("region", &self.region)
            .field("profile", &self.profile)
            .field("access_key_id", &hidden(&self.access_key_id))
            .field("secret_access_key", &hidden(&self.secret_access_key))
            .field("session_token", &hidden(&self.session_token))
            .finish()
    }
}

thread_local! {
    /// Clients in use on this thread, by executor and settings.
    static CLIENTS: RefCell<HashMap<(usize, ServiceSettings), Weak<Inner>>> = RefCell::default();
}

/// The client of this executor for these settings; made, and its credentials tried, if there is none in use.
pub(super) async fn connect(settings: ServiceSettings) -> Result<Client, ServiceError> {
    let key = (facade::executor_id(), settings.clone());
    let known = CLIENTS.with_borrow(|clients| clients.get(&key).and_then(Weak::upgrade));
    if let Some(inner) = known {
        return Ok(Client(inner));
    }
    let inner = Rc::new(make(&settings).await?);
    CLIENTS.with_borrow_mut(|clients| {
        clients.retain(|_, client| client.strong_count() > 0);
        clients.insert(key, Rc::downgrade(&inner));
    });
    Ok(Client(inner))
}

async fn make(settings: &ServiceSettings) -> Result<Inner, ServiceError> {
    let keys = given_keys(settings)?;
    let endpoint = endpoint::resolve(settings).await?;
    let local = is_local(endpoint.as_deref());
    let conf = ProviderConfig::without_region().with_http_client(Connector).with_sleep_impl(Timers);
    let region = match &settings.region {
        Some(region) => Some(Region::new(region.clone())),
        None => find_region(settings, &conf, local).await,
    };
    let region = region.ok_or_else(|| {
        let message = "no AWS region is set; set --region or AWS_REGION, or choose a profile that has one (a local endpoint takes any, us-east-1 for example)";
        ServiceError::new(OPERATION, ErrorKind::Region, "NoRegion", message)
    })?;
    let (credentials, snapshot) = match keys {
        Some(keys) => (SharedCredentialsProvider::new(keys), None),
        None => {
            let conf = conf.with_region(Some(region.clone()));
            let found = credentials::find(&conf, settings.profile.as_deref(), region.as_ref(), local).await;
            let snapshot = found.map_err(|refusal| refused(refusal, local))?;
            (SharedCredentialsProvider::new(SnapshotReader(snapshot.clone())), Some(snapshot))
        }
    };
    let shared = load(settings, region, credentials).await;
    let base = aws_sdk_kinesis::config::Builder::from(&shared)
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT).read_timeout(HEAD).build());
    // Reading and putting have a pace of their own; the rest may be repeated by the SDK, each client with its own budget.
    let data = base.clone().retry_config(RetryConfig::disabled()).build();
    let partition = RetryPartition::custom("weir-control").build();
    let retries = RetryConfig::standard().with_max_attempts(CONTROL_ATTEMPTS);
    let control = base.retry_config(retries).retry_partition(partition).build();
    Ok(Inner {
        snapshot,
        endpoint,
        data: aws_sdk_kinesis::Client::from_conf(data),
        control: aws_sdk_kinesis::Client::from_conf(control),
        last_timing: std::cell::Cell::new(None),
    })
}

fn refused(refusal: Refusal, local: bool) -> ServiceError {
    let mut error = refusal.into_error(OPERATION);
    if local && error.code == "NoCredentials" {
        error.message.push_str(" (a local endpoint takes any keys)");
    }
    error
}

async fn load(settings: &ServiceSettings, region: Region, credentials: SharedCredentialsProvider) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(Connector)
        .sleep_impl(Timers)
        .region(region)
        .credentials_provider(credentials)
        // Each request looks at the snapshot, so that fresh ones are used as soon as they are there.
        .identity_cache(IdentityCache::no_cache());
    if let Some(url) = &settings.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    if let Some(profile) = &settings.profile {
        loader = loader.profile_name(profile);
    }
    loader.load().await
}

fn given_keys(settings: &ServiceSettings) -> Result<Option<Credentials>, ServiceError> {
    match (&settings.access_key_id, &settings.secret_access_key) {
        (None, None) if settings.session_token.is_some() => {
            let message = "session_token is set without access_key_id and secret_access_key; set all three, or none to use the environment";
            Err(ServiceError::new(OPERATION, ErrorKind::Credentials, "HalfCredentials", message))
        }
        (None, None) => Ok(None),
        (Some(id), Some(secret)) => {
            Ok(Some(Credentials::new(id, secret, settings.session_token.clone(), None, "WeirSettings")))
        }
        (id, _) => {
            let (there, missing) = if id.is_some() {
                ("access_key_id", "secret_access_key")
            } else {
                ("secret_access_key", "access_key_id")
            };
            let message = format!("{there} is set without {missing}; set both, or neither to use the environment");
            Err(ServiceError::new(OPERATION, ErrorKind::Credentials, "HalfCredentials", message))
        }
    }
}

async fn find_region(settings: &ServiceSettings, conf: &ProviderConfig, local: bool) -> Option<Region> {
    let mut profile = ProfileFileRegionProvider::builder().configure(conf);
    if let Some(name) = &settings.profile {
        profile = profile.profile_name(name);
    }
    let mut chain = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new()).or_else(profile.build());
    if !local {
        let instance = credentials::instance(conf);
        chain = chain.or_else(ImdsRegionProvider::builder().configure(conf).imds_client(instance).build());
    }
    chain.region().await
}

/// Whether the host of an address is this machine's own.
pub(crate) fn is_local(url: Option<&str>) -> bool {
    let host = url.and_then(|url| url.parse::<http::Uri>().ok()).and_then(|uri| uri.host().map(str::to_owned));
    host.is_some_and(|host| {
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_not_printed() {
        let settings = ServiceSettings {
            access_key_id: Some("AKIDVISIBLE".into()),
            secret_access_key: Some("hunter2".into()),
            session_token: Some("sesame".into()),
            ..ServiceSettings::default()
        };
        let printed = format!("{settings:?} {settings:#?}");
        for secret in ["AKIDVISIBLE", "hunter2", "sesame"] {
            assert!(!printed.contains(secret), "{printed}");
        }
        assert!(printed.contains("(set)"));
    }

    #[test]
    fn local_endpoints_are_known_by_their_host() {
        for url in ["http://127.0.0.1:4567", "http://localhost:1", "http://[::1]:4567/", "http://127.9.9.9"] {
            assert!(is_local(Some(url)), "{url}");
        }
        for url in ["http://kinesis.example.com", "http://10.0.0.1", "https://localhost.example.com", "nonsense"] {
            assert!(!is_local(Some(url)), "{url}");
        }
        assert!(!is_local(None));
    }

    #[test]
    fn half_of_a_key_pair_is_refused_in_words() {
        let settings = ServiceSettings { access_key_id: Some("a".into()), ..ServiceSettings::default() };
        let error = given_keys(&settings).expect_err("a half");
        assert_eq!(
            error.message,
            "access_key_id is set without secret_access_key; set both, or neither to use the environment"
        );
        let settings = ServiceSettings { session_token: Some("t".into()), ..ServiceSettings::default() };
        let error = given_keys(&settings).expect_err("a token alone");
        assert_eq!(
            error.message,
            "session_token is set without access_key_id and secret_access_key; set all three, or none to use the environment"
        );
    }
}
