//! Where credentials are looked for, in which order.

use std::time::Duration;

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::imds;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;

use super::profile::ProfileCredentials;
use super::resolve::Resolver;

/// Of the instance's metadata, which on most machines is not there: asked once and for so long.
const INSTANCE_PATIENCE: Duration = Duration::from_millis(500);

/// The instance's metadata.
pub(in crate::client) fn instance(conf: &ProviderConfig) -> imds::Client {
    imds::Client::builder()
        .configure(conf)
        .max_attempts(1)
        .connect_timeout(INSTANCE_PATIENCE)
        .read_timeout(INSTANCE_PATIENCE)
        .build()
}

/// The environment (not if a profile is named); the profile; a web identity; the container; the instance, unless `local`.
pub(super) fn chain(conf: &ProviderConfig, profile: Option<&str>, local: bool) -> CredentialsProviderChain {
    let instance = || ImdsCredentialsProvider::builder().configure(conf).imds_client(instance(conf)).build();
    let container = || EcsCredentialsProvider::builder().configure(conf).dns(Resolver).build();
    // A profile may send us to the container or the instance itself (`credential_source`), on our terms too.
    let mut sdk = ProfileFileCredentialsProvider::builder()
        .configure(conf)
        .with_custom_provider("EcsContainer", container())
        .with_custom_provider("Ec2InstanceMetadata", instance());
    if let Some(name) = profile {
        sdk = sdk.profile_name(name);
    }
    let from_profile = ProfileCredentials::new(profile.map(str::to_owned), sdk.build());
    let mut chain = match profile {
        Some(_) => CredentialsProviderChain::first_try("Profile", from_profile),
        None => CredentialsProviderChain::first_try("Environment", EnvironmentVariableCredentialsProvider::new())
            .or_else("Profile", from_profile),
    };
    chain = chain
        .or_else("WebIdentityToken", WebIdentityTokenCredentialsProvider::builder().configure(conf).build())
        .or_else("Container", container());
    if !local {
        chain = chain.or_else("Instance", instance());
    }
    chain
}
