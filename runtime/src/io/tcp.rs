//! A glommio stream as hyper wants it, dialling, and name look-up off the core.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_lite::io::{AsyncRead, AsyncWrite};
use glommio::GlommioError;
use glommio::net::TcpStream;
use hyper::rt::{Read, ReadBufCursor, Write};

use super::socket;
use crate::facade::spawn_blocking;

/// One read's bytes, at most.
const READ_BYTES_MAX: usize = 64 << 10;

thread_local! {
    /// Bytes on their way from the socket to hyper's buffer, which is not initialised and so cannot be read into in safe
    /// code without zeroing all of it each time. The copy is of what has come, out of a warm cache.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES_MAX].into_boxed_slice());
}

/// A connection, for hyper.
pub(super) struct Connection(Rc<RefCell<TcpStream>>);

/// A look at a connection that hyper has.
pub(super) struct Glimpse(Weak<RefCell<TcpStream>>);

impl Glimpse {
    /// Whether it is open and the peer has said nothing. For connections on which nothing is expected.
    pub(super) fn is_quiet(&self) -> bool {
        self.0.upgrade().is_some_and(|stream| socket::is_quiet(&stream.borrow()))
    }
}

impl Connection {
    /// Takes over a stream; small writes leave at once.
    pub(super) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true).map_err(into_io)?;
        Ok(Connection(Rc::new(RefCell::new(stream))))
    }

    pub(super) fn glimpse(&self) -> Glimpse {
        Glimpse(Rc::downgrade(&self.0))
    }
}

impl Read for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, mut cursor: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let room = cursor.remaining().min(READ_BYTES_MAX);
            let read = ready!(Pin::new(&mut *self.0.borrow_mut()).poll_read(cx, &mut scratch[..room]))?;
            cursor.put_slice(&scratch[..read]);
            Poll::Ready(Ok(()))
        })
    }
}

impl Write for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_close(cx)
    }
}

pub(super) fn into_io(error: GlommioError<()>) -> io::Error {
    match error {
        GlommioError::IoError(error) | GlommioError::EnhancedIoError { source: error, .. } => error,
        other => io::Error::other(other.to_string()),
    }
}

/// All addresses of a host. Names are asked for on a blocking thread: the system's look-up would stop the core.
pub(super) async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(ip) = host.parse() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let name = host.to_owned();
    let addresses =
        spawn_blocking(move || (name.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>)).await?;
    match addresses.is_empty() {
        true => Err(io::Error::new(io::ErrorKind::NotFound, "it has no address")),
        false => Ok(addresses),
    }
}

/// Connects to the first address that answers. Each gets its share of the time that is left, so that one that
/// swallows packets does not use it up.
pub(super) async fn connect(addresses: &[SocketAddr], patience: Duration) -> io::Result<Connection> {
    let deadline = Instant::now() + patience;
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "it has no address");
    for (i, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let others = u32::try_from(addresses.len() - i).unwrap_or(u32::MAX);
        let share = (left / others).max(Duration::from_millis(1));
        match TcpStream::connect_timeout(address, share).await.map_err(into_io).and_then(Connection::new) {
            Ok(connection) => return Ok(connection),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// `None` when `f` takes longer than `limit`; it is dropped then.
pub(super) async fn within<T>(limit: Duration, f: impl Future<Output = T>) -> Option<T> {
    futures_lite::future::or(async { Some(f.await) }, async {
        crate::facade::sleep(limit).await;
        None
    })
    .await
}
