//! A small HTTP server: one task a connection, keep-alive, whole bodies in and out.
//!
//! On one port it speaks HTTP/1.1 and HTTP/2. Without TLS it tells them apart by their first bytes, so a client of HTTP/2
//! must know beforehand ("prior knowledge"; there is no upgrade). With [`ServerSettings::tls`] every connection is TLS and
//! the handshake decides (ALPN). The handler sees no difference: the request's address is a path, the host is in `Host`.
//!
//! ```no_run
//! use weir_runtime::io::http::server::{self, Handler, ServerSettings};
//! use weir_runtime::io::tls::ServerIdentity;
//!
//! async fn start(handler: Handler) -> Result<(), Box<dyn std::error::Error>> {
//!     let (certificate, key) = (std::fs::read("server.pem")?, std::fs::read("server.key")?);
//!     let tls = Some(ServerIdentity::from_pem(&certificate, &key)?);
//!     let listener = server::bind("127.0.0.1:4567").await?;
//!     server::serve(listener, ServerSettings { tls, ..ServerSettings::default() }, handler, std::future::pending()).await;
//!     Ok(())
//! }
//! ```

mod converse;
mod opening;
mod patience;
mod sending;

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt, select_biased};
use http::{Request, Response, StatusCode};

use self::converse::converse;
pub use self::sending::{CutAfter, Pieces, Reset};
use crate::facade::{Task, sleep, spawn};
use crate::io::tls::ServerIdentity;
use crate::io::{socket, tcp};
use crate::signal::{Notifier, signal};

/// After a failed accept (too many open files, mostly), so that the core is not burnt.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a server asks for its answers.
pub type Handler = Rc<dyn Answers>;

/// Answers requests. A panic in it ends the executor. A function of a request is one that refuses in plain words.
pub trait Answers {
    /// The answer to a request that has come whole.
    fn answer(&self, request: Request<Bytes>) -> LocalBoxFuture<'static, Response<Pieces>>;

    /// What is said to a request whose body has not. A connection of HTTP/1.1 is closed behind it.
    fn refuse(&self, request: Request<Unread>) -> Response<Pieces> {
        let why = request.into_body();
        let mut response = Response::new(Pieces::from(Bytes::from(why.to_string())));
        *response.status_mut() = why.status();
        response
    }
}

impl<F: Fn(Request<Bytes>) -> LocalBoxFuture<'static, Response<Bytes>>> Answers for F {
    fn answer(&self, request: Request<Bytes>) -> LocalBoxFuture<'static, Response<Pieces>> {
        self(request).map(|response| response.map(Pieces::from)).boxed_local()
    }
}

/// Why the body of a request was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// It is longer than the server takes.
    #[error("the body is longer than {bytes_max} bytes")]
    TooLong {
        /// The longest it takes.
        bytes_max: u64,
    },
    /// It stopped half-way.
    #[error("the rest of the body did not come in time")]
    Stalled,
    /// It is not what its framing says.
    #[error("the body is broken")]
    Broken,
}

impl Unread {
    /// What HTTP has for it: 413, 408, 400.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Unread::TooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Unread::Stalled => StatusCode::REQUEST_TIMEOUT,
            Unread::Broken => StatusCode::BAD_REQUEST,
        }
    }
}

/// How a server behaves.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// Longest request body; a longer one is answered with 413, and its connection closed if it is one of HTTP/1.1.
    pub body_bytes_max: u64,
    /// How long a stopping server waits for answers under way.
    pub grace: Duration,
    /// Longest time from a connection's beginning until it is known what it speaks, the TLS handshake included; one that
    /// says nothing, or stops half-way, is closed then.
    pub opening: Duration,
    /// Longest time in which nothing more comes of a request's body, or nothing more is taken of an answer (the connection
    /// is closed then; with HTTP/2 it may take twice as long); and in which the whole head of an HTTP/1.1 request has to
    /// come, the silence before it included.
    pub stall: Duration,
    /// Connections at a time; further ones wait to be taken.
    pub connections_max: usize,
    /// Certificate and key: all connections are TLS then. Without it none is.
    pub tls: Option<ServerIdentity>,
}

impl Default for ServerSettings {
    /// 16 MiB; 1 s; 10 s; 60 s; 4 096; no TLS.
    fn default() -> Self {
        ServerSettings {
            body_bytes_max: 16 << 20,
            grace: Duration::from_secs(1),
            opening: Duration::from_secs(10),
            stall: Duration::from_secs(60),
            connections_max: 4_096,
            tls: None,
        }
    }
}

/// Why an address cannot be listened at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// Somebody else listens there.
    #[error("{0} is in use by another program; choose another port, or 0 for any free one")]
    InUse(String),
    /// We may not.
    #[error("{0} may not be listened at by this user; choose a port above 1023")]
    Forbidden(String),
    /// It is none of this machine's.
    #[error("{0} is no address of this machine; use 127.0.0.1:PORT or 0.0.0.0:PORT")]
    NotHere(String),
    /// It is no address.
    #[error("`{address}` is not an address to listen at ({reason}); write HOST:PORT, such as 127.0.0.1:4567")]
    Address {
        /// As given.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Anything else.
    #[error("{address} cannot be listened at: {reason}; choose another address")]
    Other {
        /// As given.
        address: String,
        /// The system's words.
        reason: String,
    },
}

/// A bound socket. Connections wait in it until it is served.
pub struct Listener {
    socket: glommio::net::TcpListener,
    address: SocketAddr,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Listener").field(&self.address).finish()
    }
}

impl Listener {
    /// Where it listens; the port the kernel chose if 0 was asked for.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

/// Listens at `address`, `HOST:PORT`; port 0 is any free one.
///
/// # Errors
/// Each a sentence with the remedy.
pub async fn bind(address: &str) -> Result<Listener, BindError> {
    let unusable = |reason: String| BindError::Address { address: address.to_owned(), reason };
    let (host, port) = address.rsplit_once(':').ok_or_else(|| unusable("there is no port".into()))?;
    let port = port.parse().map_err(|_| unusable("the port is no number up to 65535".into()))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let addresses = tcp::resolve(host, port).await.map_err(|error| unusable(error.to_string()))?;
    // Binding and listening return at once; a shared port would be found by nobody (see `socket`).
    let listener = std::net::TcpListener::bind(addresses.as_slice()).map_err(|error| {
        let address = address.to_owned();
        match error.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse(address),
            io::ErrorKind::PermissionDenied => BindError::Forbidden(address),
            io::ErrorKind::AddrNotAvailable => BindError::NotHere(address),
            _ => BindError::Other { address, reason: error.to_string() },
        }
    })?;
    let address = listener
        .local_addr()
        .map_err(|error| BindError::Other { address: address.to_owned(), reason: error.to_string() })?;
    Ok(Listener { socket: socket::listener(listener), address })
}

/// Serves until `stop` is ready: then no connection is taken any more, answers under way are finished for at most
/// `grace`, and all connections are closed. Dropping the future closes everything at once.
pub async fn serve(listener: Listener, settings: ServerSettings, handler: Handler, stop: impl Future<Output = ()>) {
    let mut connections = FuturesUnordered::new();
    let mut stoppers = Vec::new();
    accept_until(stop, &listener, &settings, &handler, &mut connections, &mut stoppers).await;
    // Who connects from now on is refused, not kept waiting.
    drop(listener);
    stoppers.iter().for_each(|(_, notifier)| notifier.notify());
    let _ = tcp::within(settings.grace, async { while connections.next().await.is_some() {} }).await;
    for late in connections {
        let _ = late.cancel().await;
    }
}

/// Whether its connection is still open, and what makes it finish.
type Stopper = (Rc<Cell<bool>>, Notifier);

async fn accept_until(
    stop: impl Future<Output = ()>,
    listener: &Listener,
    settings: &ServerSettings,
    handler: &Handler,
    connections: &mut FuturesUnordered<Task<()>>,
    stoppers: &mut Vec<Stopper>,
) {
    let mut stop = pin!(stop.fuse());
    let mut accept = pin!(listener.socket.accept().fuse());
    loop {
        if connections.len() >= settings.connections_max {
            select_biased! {
                () = stop => return,
                () = connections.select_next_some() => stoppers.retain(|(alive, _)| alive.get()),
            }
            continue;
        }
        select_biased! {
            () = stop => return,
            () = connections.select_next_some() => stoppers.retain(|(alive, _)| alive.get()),
            accepted = accept => {
                match accepted.map_err(tcp::into_io).and_then(tcp::Socket::new) {
                    Ok(stream) => {
                        let (notifier, mut stopping) = signal();
                        let alive = Rc::new(Cell::new(true));
                        stoppers.push((Rc::clone(&alive), notifier));
                        let (settings, handler) = (settings.clone(), Rc::clone(handler));
                        connections.push(spawn(async move {
                            converse(stream, settings, handler, async { stopping.wait().await }).await;
                            alive.set(false);
                        }));
                    }
                    Err(error) => {
                        tracing::debug!(%error, "a connection was not taken");
                        sleep(ACCEPT_PAUSE).await;
                    }
                }
                accept.set(listener.socket.accept().fuse());
            }
        }
    }
}

#[cfg(test)]
mod protocol_tests;
#[cfg(test)]
mod stall_tests;
#[cfg(test)]
mod tests;
