//! The HTTP client: a request goes out on a pooled connection, the whole answer comes back.
//!
//! What it promises: a request is written at most once. A kept connection that turns out closed before anything was
//! written is replaced in silence; after that, trying again is the caller's to decide. Dropping a call closes its
//! connection.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_lite::io::{AsyncRead, AsyncWrite};
use http::header::{HOST, HeaderValue};
use http::uri::{PathAndQuery, Scheme};
use http::{Request, Response, Uri};
use http_body::Body as _;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};

use super::collect::{Cut, collect};
use super::error::{HttpError, Waited};
use super::names::Names;
use super::pool::{Link, Pool};
use crate::facade::spawn;
use crate::io::for_hyper::ForHyper;
use crate::io::tcp::{self, Socket};
use crate::io::tls::{self, HandshakeError, Trust};

/// A slower way up is taken for a dead one: 1 Mbit/s. What the kernel takes at once is not on its way yet, so that nobody but
/// the peer knows when a body has been sent; a call therefore waits as long as this pace needs, and the head's time.
pub const UPLOAD_BYTES_PER_S_MIN: u64 = 125_000;

/// How long a call waits for each of its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For name, connection and TLS handshake together.
    pub connect: Duration,
    /// From the request's last byte to the answer's head. A body that is sent has time of its own: see
    /// [`UPLOAD_BYTES_PER_S_MIN`].
    pub head: Duration,
    /// While nothing more of a body comes; a slow one may take as long as it likes.
    pub stall: Duration,
}

/// How a client behaves; the same for all hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSettings {
    /// Time-outs, unless a call brings its own.
    pub patience: Patience,
    /// Idle connections kept for each host and port.
    pub idle_max: usize,
    /// Older idle connections are not used again; servers close them at about this age.
    pub idle_age_max: Duration,
    /// Longest body taken.
    pub body_bytes_max: u64,
    /// Who may vouch for servers called by `https`.
    pub trust: Trust,
}

impl Default for ClientSettings {
    /// Connect 3 s, head 10 s, stall 10 s, 32 idle for at most 20 s, bodies up to 64 MiB, the system's authorities.
    fn default() -> Self {
        let patience =
            Patience { connect: Duration::from_secs(3), head: Duration::from_secs(10), stall: Duration::from_secs(10) };
        ClientSettings {
            patience,
            idle_max: 32,
            idle_age_max: Duration::from_secs(20),
            body_bytes_max: 64 << 20,
            trust: Trust::System,
        }
    }
}

/// When things happened; in the extensions of every answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Just before the request was given to its connection.
    pub sent_at: Instant,
    /// When the answer's head was here.
    pub head_at: Instant,
    /// Whether the connection had served another request before.
    pub reused: bool,
}

/// Put into a request's extensions, it lets the caller judge its connection afterwards.
#[derive(Clone, Debug, Default)]
pub struct Poison(Arc<AtomicBool>);

impl Poison {
    /// The connection that served the request is not used again.
    pub fn poison(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_poisoned(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A client of one executor; clones share its connections.
#[derive(Clone)]
pub struct HttpClient(Rc<Inner>);

struct Inner {
    settings: ClientSettings,
    pool: Pool,
    names: Names,
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").field("settings", &self.0.settings).field("idle", &self.0.pool.idle()).finish()
    }
}

/// Where a request goes.
struct Target {
    /// Scheme, host and port: the pool's key.
    origin: String,
    /// Host and port: people's name for it.
    address: String,
    tls: bool,
    host: String,
    port: u16,
    /// As it must be sent: without the scheme's own port, since signatures cover it.
    host_header: HeaderValue,
}

impl HttpClient {
    /// A client without connections.
    #[must_use]
    pub fn new(settings: ClientSettings) -> Self {
        HttpClient(Rc::new(Inner { settings, pool: Pool::default(), names: Names::default() }))
    }

    /// Sends the request, whose address is absolute, and gives the whole answer, whatever its status.
    ///
    /// # Errors
    /// See [`HttpError`]. Cost: no connection is made if one is idle.
    pub async fn call(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        self.call_within(request, self.0.settings.patience).await
    }

    /// As `call`, with time-outs of its own.
    ///
    /// # Errors
    /// As `call`.
    pub async fn call_within(&self, request: Request<Bytes>, patience: Patience) -> Result<Response<Bytes>, HttpError> {
        let target = Target::of(request.uri())?;
        let poison = request.extensions().get::<Poison>().cloned();
        let mut request = in_origin_form(request, &target);
        loop {
            let (mut link, reused) = match self.0.pool.take(&target.origin, self.0.settings.idle_age_max) {
                Some(kept) => (kept, true),
                None => (self.dial(&target, patience.connect).await?, false),
            };
            match self.exchange(&mut link, request, &target, patience, reused).await {
                Ok(response) => {
                    link.poison = poison;
                    self.0.pool.put(&target.origin, link, self.0.settings.idle_max);
                    return Ok(response);
                }
                Err(Refused::Unwritten(unwritten)) if reused => request = *unwritten,
                Err(Refused::Unwritten(_)) => return Err(HttpError::Unwritten { address: target.address }),
                Err(Refused::Failed(error)) => {
                    if reused && matches!(error, HttpError::Timeout { waited: Waited::Head, .. }) {
                        // Perhaps the peer is gone without a word, as behind a NAT that forgot us. Then all connections of
                        // its time are dead, and each would cost a call its whole time-out.
                        self.0.pool.forget(&target.origin);
                    }
                    return Err(error);
                }
            }
        }
    }

    /// How many connections are idle.
    #[must_use]
    pub fn idle_connections(&self) -> usize {
        self.0.pool.idle()
    }

    async fn dial(&self, target: &Target, limit: Duration) -> Result<Link, HttpError> {
        let connected = tcp::within(limit, async {
            let socket = self.connect(target, limit).await?;
            let glimpse = socket.glimpse();
            let sender = if target.tls {
                let stream = tls::connect(socket, &target.host, &self.0.settings.trust).await;
                shake_hands(stream.map_err(|error| target.refusal(error))?, target).await?
            } else {
                shake_hands(socket, target).await?
            };
            Ok(Link { sender, glimpse, poison: None })
        });
        let connected = connected.await.unwrap_or_else(|| Err(target.timeout(Waited::Connect, limit)));
        connected.inspect_err(|_| self.0.names.forget(&target.host, target.port))
    }

    async fn connect(&self, target: &Target, limit: Duration) -> Result<Socket, HttpError> {
        let deadline = Instant::now() + limit;
        let addresses = self.0.names.resolve(&target.host, target.port).await;
        let addresses = addresses.map_err(|reason| HttpError::Dns { host: target.host.clone(), reason })?;
        // What the name has left of the time; each address gets its share of that.
        let left = deadline.saturating_duration_since(Instant::now());
        tcp::connect(&addresses, left).await.map_err(|error| match error.kind() {
            std::io::ErrorKind::TimedOut => target.timeout(Waited::Connect, limit),
            _ => HttpError::Connect { address: target.address.clone(), reason: error.to_string() },
        })
    }

    async fn exchange(
        &self,
        link: &mut Link,
        request: Request<Full<Bytes>>,
        target: &Target,
        patience: Patience,
        reused: bool,
    ) -> Result<Response<Bytes>, Refused> {
        let body_bytes = request.body().size_hint().exact().unwrap_or(0);
        let limit = patience.head + Duration::from_millis(body_bytes * 1_000 / UPLOAD_BYTES_PER_S_MIN);
        let answered = tcp::within(limit, async {
            if link.sender.ready().await.is_err() {
                return Err(Refused::Unwritten(Box::new(request)));
            }
            let sent_at = Instant::now();
            match link.sender.try_send_request(request).await {
                Ok(response) => Ok((sent_at, response)),
                Err(mut refused) => Err(match refused.take_message() {
                    Some(unwritten) => Refused::Unwritten(Box::new(unwritten)),
                    None => Refused::Failed(target.failure(refused.error())),
                }),
            }
        });
        let (sent_at, response) =
            answered.await.unwrap_or_else(|| Err(Refused::Failed(target.timeout(Waited::Head, limit))))?;
        let exchange = Exchange { sent_at, head_at: Instant::now(), reused };
        let (mut head, mut body) = response.into_parts();
        // The body has its own clock: a big one may take longer than a head may.
        let bytes_max = self.0.settings.body_bytes_max;
        let body = collect(&mut body, bytes_max, Some(patience.stall)).await.map_err(|cut| {
            Refused::Failed(match cut {
                Cut::Stalled => target.timeout(Waited::Body, patience.stall),
                Cut::TooLarge => HttpError::TooLarge { address: target.address.clone(), limit_bytes: bytes_max },
                Cut::Failed(error) => target.failure(&error),
            })
        })?;
        head.extensions.insert(exchange);
        Ok(Response::from_parts(head, body))
    }
}

/// Gives a connection to hyper; its task runs beside us.
async fn shake_hands<S>(stream: S, target: &Target) -> Result<SendRequest<Full<Bytes>>, HttpError>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let (sender, connection) = http1::handshake(ForHyper(stream)).await.map_err(|error| target.failure(&error))?;
    // Ends when either side closes; what it says then, the call has heard.
    spawn(async move { drop(connection.await) }).detach();
    Ok(sender)
}

/// Why an exchange gave no answer.
enum Refused {
    /// The connection was closed before anything was written; here is the request.
    Unwritten(Box<Request<Full<Bytes>>>),
    Failed(HttpError),
}

impl Target {
    fn of(uri: &Uri) -> Result<Target, HttpError> {
        let unusable = || HttpError::Address { address: uri.to_string() };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(unusable)?;
        let tls = uri.scheme() == Some(&Scheme::HTTPS);
        if !tls && uri.scheme() != Some(&Scheme::HTTP) {
            return Err(unusable());
        }
        let default_port = if tls { 443 } else { 80 };
        let port = uri.port_u16().unwrap_or(default_port);
        let address = format!("{host}:{port}");
        let host_header = if port == default_port { host } else { &address };
        let host_header = HeaderValue::from_str(host_header).map_err(|_| unusable())?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let origin = format!("{}://{address}", if tls { "https" } else { "http" });
        Ok(Target { origin, address, tls, host, port, host_header })
    }

    fn timeout(&self, waited: Waited, limit: Duration) -> HttpError {
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        HttpError::Timeout { waited, address: self.address.clone(), limit_ms }
    }

    fn refusal(&self, error: HandshakeError) -> HttpError {
        let address = self.address.clone();
        match error {
            HandshakeError::Refused(problem) => HttpError::Tls { address, problem },
            HandshakeError::Trust(error) => HttpError::Trust(error),
            HandshakeError::Broken(error) => {
                HttpError::Reset { address, reason: format!("during the TLS handshake: {error}") }
            }
        }
    }

    fn failure(&self, error: &hyper::Error) -> HttpError {
        let address = self.address.clone();
        let mut reason = error.to_string();
        if let Some(cause) = std::error::Error::source(error) {
            reason = format!("{reason}: {cause}");
        }
        if error.is_parse() { HttpError::Protocol { address, reason } } else { HttpError::Reset { address, reason } }
    }
}

/// As it goes over the wire: path and query in the request line, the rest in `Host`.
fn in_origin_form(request: Request<Bytes>, target: &Target) -> Request<Full<Bytes>> {
    let (mut head, body) = request.into_parts();
    let path = head.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    head.uri = Uri::from(path);
    head.version = http::Version::HTTP_11;
    head.headers.entry(HOST).or_insert_with(|| target.host_header.clone());
    Request::from_parts(head, Full::new(body))
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;
#[cfg(test)]
mod trouble_tests;
