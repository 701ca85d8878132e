//! `--endpoint-url --region --profile`: how to reach the service, as on the AWS command line.

use clap::Args;

use crate::{failure::Failure, job, job::ServiceKeys};

/// The flags that all commands share that talk to the service. What is not given here is taken
/// from the job file, then from the environment and the profile.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Service")]
pub(super) struct ServiceArgs {
    /// Where to send requests instead of the region's own endpoint [env: AWS_ENDPOINT_URL_KINESIS,
    /// AWS_ENDPOINT_URL]
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
    /// The region [env: AWS_REGION, AWS_DEFAULT_REGION]
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// The profile to take settings and credentials from [env: AWS_PROFILE]
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
}

impl ServiceArgs {
    /// What was typed, checked.
    pub(super) fn keys(&self) -> Result<ServiceKeys, Failure> {
        if let Some(url) = &self.endpoint_url {
            job::check_endpoint(url).map_err(|problem| Failure::usage(format!("--endpoint-url: {problem}")))?;
        }
        Ok(ServiceKeys {
            endpoint_url: self.endpoint_url.clone(),
            region: self.region.clone(),
            profile: self.profile.clone(),
            ..ServiceKeys::default()
        })
    }
}
