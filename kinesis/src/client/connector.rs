//! The SDK's HTTP on our own connections: signing, endpoints and retries stay the SDK's.
//!
//! The SDK asks for `Send` futures although it never moves them; ours belong to an executor, so they travel in a wrapper
//! that panics if touched on another thread. Connections live in a pool for each executor, so that a client used on two
//! executors is correct too.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use aws_smithy_async::rt::sleep::{AsyncSleep, Sleep};
use aws_smithy_runtime_api::client::connection::{CaptureSmithyConnection, ConnectionMetadata};
use aws_smithy_runtime_api::client::http::{
    HttpClient as SdkHttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::retries::ErrorKind;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt;
use send_wrapper::SendWrapper;
use weir_runtime::facade;
use weir_runtime::io::http::{ClientSettings, HttpClient, HttpError, Patience, Poison};
use weir_runtime::io::tls::Trust;

use super::proxy::Proxies;

/// Nothing more of a body for that long, and the call is given up.
const STALL: Duration = Duration::from_secs(10);

thread_local! {
    /// The pool of the executor that runs on this thread; tests run several there, one after the other.
    static POOL: RefCell<Option<(usize, Pool)>> = const { RefCell::new(None) };
}

/// Connections, and what the environment said when the first was made.
#[derive(Clone)]
struct Pool {
    client: HttpClient,
    proxies: Rc<Proxies>,
}

fn pool() -> Pool {
    let executor = facade::executor_id();
    let make = || {
        let proxies = Rc::new(Proxies::of(|name| std::env::var(name).ok()));
        Pool { client: HttpClient::new(client_settings()), proxies }
    };
    POOL.with_borrow_mut(|pool| match pool {
        Some((owner, pool)) if *owner == executor => pool.clone(),
        _ => pool.insert((executor, make())).1.clone(),
    })
}

/// `AWS_CA_BUNDLE` stands in place of the system's authorities, as the AWS command line has it; empty is unset.
fn client_settings() -> ClientSettings {
    let bundle = std::env::var_os("AWS_CA_BUNDLE").filter(|path| !path.is_empty());
    let trust = bundle.map_or(Trust::System, |path| Trust::File(path.into()));
    ClientSettings { trust, ..ClientSettings::default() }
}

/// What the SDK is given as its HTTP client. Stateless.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Connector;

impl SdkHttpClient for Connector {
    fn http_connector(&self, settings: &HttpConnectorSettings, _components: &RuntimeComponents) -> SharedHttpConnector {
        let usual = ClientSettings::default().patience;
        SharedHttpConnector::new(PatientConnector(Patience {
            connect: settings.connect_timeout().unwrap_or(usual.connect),
            head: settings.read_timeout().unwrap_or(usual.head),
            stall: STALL,
        }))
    }
}

/// Host and port that answered; in the extensions of each answer.
#[derive(Clone, Debug)]
pub(super) struct Address(pub(super) String);

#[derive(Debug)]
struct PatientConnector(Patience);

impl HttpConnector for PatientConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let patience = self.0;
        HttpConnectorFuture::new(SendWrapper::new(async move { call(request, patience).await }))
    }
}

async fn call(mut request: HttpRequest, patience: Patience) -> Result<HttpResponse, ConnectorError> {
    let poison = Poison::default();
    if let Some(capture) = request.extension::<CaptureSmithyConnection>() {
        let poison = poison.clone();
        capture.set_connection_retriever(move || {
            let poison = poison.clone();
            Some(ConnectionMetadata::builder().proxied(false).poison_fn(move || poison.poison()).build())
        });
    }
    let body = request.take_body();
    let body = body.collect().await.map_err(|error| ConnectorError::user(error.to_string().into()))?.to_bytes();
    let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
    let (mut head, _) = request.into_parts();
    head.extensions.insert(poison);
    let Pool { client, proxies } = pool();
    proxies.check(&head.uri).map_err(|refusal| ConnectorError::user(refusal.into()))?;
    let address = Address(head.uri.authority().map(ToString::to_string).unwrap_or_default());
    let mut answer = client.call_within(http::Request::from_parts(head, body), patience).await.map_err(classify)?;
    answer.extensions_mut().insert(address);
    HttpResponse::try_from(answer.map(SdkBody::from)).map_err(|error| ConnectorError::other(error.into(), None))
}

/// The SDK repeats what is `io` or `timeout`, and not what is `user`.
fn classify(error: HttpError) -> ConnectorError {
    match &error {
        HttpError::Timeout { .. } => ConnectorError::timeout(error.into()),
        HttpError::Dns { .. } | HttpError::Connect { .. } | HttpError::Unwritten { .. } | HttpError::Reset { .. } => {
            ConnectorError::io(error.into())
        }
        HttpError::Protocol { .. } => ConnectorError::other(error.into(), Some(ErrorKind::TransientError)),
        HttpError::TooLarge { .. } | HttpError::Tls { .. } | HttpError::Trust(_) | HttpError::Address { .. } => {
            ConnectorError::user(error.into())
        }
    }
}

/// The executor's timers, for the SDK.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Timers;

impl AsyncSleep for Timers {
    fn sleep(&self, duration: Duration) -> Sleep {
        Sleep::new(SendWrapper::new(facade::sleep(duration)))
    }
}

#[cfg(test)]
mod tests;
