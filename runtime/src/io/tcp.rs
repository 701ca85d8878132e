//! Sockets that can be looked at from outside, dialling, and name look-up off the core.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_lite::io::{AsyncRead, AsyncWrite};
use glommio::GlommioError;
use glommio::net::TcpStream;

use super::socket;
use crate::facade::spawn_blocking;

/// A connected socket.
pub(super) struct Socket(Rc<RefCell<TcpStream>>);

/// A look at a socket that somebody else has.
pub(super) struct Glimpse(Weak<RefCell<TcpStream>>);

impl Glimpse {
    /// Whether it is open and the peer has said nothing. For connections on which nothing is expected.
    pub(super) fn is_quiet(&self) -> bool {
        self.0.upgrade().is_some_and(|stream| socket::is_quiet(&stream.borrow()))
    }
}

impl Socket {
    /// Takes over a stream; small writes leave at once.
    pub(super) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true).map_err(into_io)?;
        Ok(Socket(Rc::new(RefCell::new(stream))))
    }

    pub(super) fn glimpse(&self) -> Glimpse {
        Glimpse(Rc::downgrade(&self.0))
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_read(cx, bytes)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
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
pub(super) async fn connect(addresses: &[SocketAddr], patience: Duration) -> io::Result<Socket> {
    let deadline = Instant::now() + patience;
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "it has no address");
    for (i, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let others = u32::try_from(addresses.len() - i).unwrap_or(u32::MAX);
        let share = (left / others).max(Duration::from_millis(1));
        match TcpStream::connect_timeout(address, share).await.map_err(into_io).and_then(Socket::new) {
            Ok(socket) => return Ok(socket),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facade::{run_here, spawn};
    use std::sync::{Arc, Mutex, mpsc};

    // The system's look-up may take seconds, and a core has thousands of other things to do.
    #[test]
    fn name_is_looked_up_on_a_thread_for_blocking_work_and_not_on_the_core() {
        run_here(async {
            let (open, gate) = mpsc::channel::<()>();
            let gate = Arc::new(Mutex::new(gate));
            let (begin, begun) = mpsc::channel();
            // All three threads are busy until the gate opens, so that nobody can look up anything.
            let busy: Vec<_> = (0..3)
                .map(|_| {
                    let (gate, begin) = (Arc::clone(&gate), begin.clone());
                    spawn(spawn_blocking(move || {
                        begin.send(()).expect("the test waits");
                        let _ = gate.lock().expect("nobody panics").recv();
                    }))
                })
                .collect();
            let mut count = 0;
            while count < 3 {
                crate::facade::sleep(Duration::from_millis(1)).await;
                count += begun.try_iter().count();
            }
            let mut asking = Box::pin(resolve("localhost", 7));
            assert!(futures_util::poll!(&mut asking).is_pending(), "it was looked up here");
            assert_eq!(resolve("127.0.0.1", 7).await.expect("no name"), ["127.0.0.1:7".parse().expect("an address")]);
            drop(open);
            let found = asking.await.expect("every machine has it");
            assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 7), "{found:?}");
            for task in busy {
                task.await;
            }
        })
        .expect("an executor starts here");
    }

    // A request's head and body are two writes: with Nagle's algorithm the second waits for the peer's delayed
    // acknowledgement, 40 ms a call.
    #[test]
    fn connection_sends_small_writes_at_once() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        run_here(async {
            let socket = connect(&[address], Duration::from_secs(3)).await.expect("it listens");
            assert!(socket.0.borrow().nodelay().expect("it is a TCP socket"));
        })
        .expect("an executor starts here");
    }
}
