//! The local endpoint as the program starts it.

use std::path::Path;

use weir_kinesis::local::{Keys, LocalEndpoint, LocalSettings, LocalThread, StartError, model::ErrorCode};

use crate::{
    failure::{Exit, Failure},
    job::{Secret, ServiceKeys},
};

/// Region and keys that people may give; the endpoint asks for some and, unless told to, checks none.
const REGION: &str = "us-east-1";
const KEY: &str = "local";

/// Starts the endpoint on a thread of its own, with streams that are there at once. One that its data have stays as it is.
///
/// # Errors
/// When the address cannot be listened at, the data cannot be used, or the machine allows no executor: exit code 3.
pub(crate) fn start(address: &str, settings: LocalSettings, streams: &[(String, u32)]) -> Result<LocalThread, Failure> {
    let keeps = settings.data.is_some();
    let endpoint = LocalEndpoint::spawn_thread(address, settings).map_err(|error| match error {
        StartError::Environment(error) => Failure::new(Exit::Environment, error.message).with_remedy(error.remedy),
        StartError::Bind(error) => Failure::new(Exit::Environment, error.to_string()),
        StartError::Data(error) => Failure::new(Exit::Environment, error.to_string()),
    })?;
    for (at, (name, shards)) in streams.iter().enumerate() {
        let is_first = streams[..at].iter().all(|(other, _)| other != name);
        match endpoint.create_stream(name, *shards) {
            // It was kept, and is as it was.
            Err(error) if keeps && is_first && error.code == ErrorCode::ResourceInUse => {}
            created => created
                .map_err(|error| Failure::usage(format!("stream {name} cannot be created: {}", error.message)))?,
        }
    }
    Ok(endpoint)
}

/// How this process reaches it.
pub(crate) fn service_keys(endpoint: &LocalThread) -> ServiceKeys {
    ServiceKeys {
        endpoint_url: Some(endpoint.url()),
        region: Some(REGION.to_owned()),
        access_key_id: Some(KEY.to_owned()),
        secret_access_key: Some(Secret(KEY.to_owned())),
        ..ServiceKeys::default()
    }
}

/// What to type in another terminal to reach it. A secret that is checked is not shown: whoever set it knows it.
pub(crate) fn exports(endpoint: &LocalThread, keys: Option<&Keys>, bundle: Option<&Path>) -> String {
    let key_id = keys.and_then(|keys| keys.access_key_id.as_deref()).unwrap_or(KEY);
    let mut exports =
        format!("export AWS_ENDPOINT_URL={} AWS_REGION={REGION} AWS_ACCESS_KEY_ID={key_id}", endpoint.url());
    if let Some(bundle) = bundle {
        exports += &format!(" AWS_CA_BUNDLE={}", bundle.display());
    }
    match keys {
        None => exports + &format!(" AWS_SECRET_ACCESS_KEY={KEY}"),
        Some(_) => exports + ", and AWS_SECRET_ACCESS_KEY to the secret it was started with",
    }
}
