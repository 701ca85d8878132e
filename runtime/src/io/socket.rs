//! What must be done with bare sockets, because glommio offers no other way. All of `io` that is unsafe, in one file.

use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd};

use glommio::net::{TcpListener, TcpStream};

/// Hands a listening socket of the standard library to the executor. glommio's own `bind` shares the port
/// (`SO_REUSEPORT`), so that a second process would silently take half of the connections; the standard library's refuses
/// a port in use.
pub(super) fn listener(listener: std::net::TcpListener) -> TcpListener {
    // SAFETY: `from_raw_fd` asks for an open descriptor of a listening TCP socket that nobody else owns.
    // `into_raw_fd` gives just that, and gives up its ownership.
    #[expect(unsafe_code, reason = "glommio takes a bound socket in no other way")]
    unsafe {
        TcpListener::from_raw_fd(listener.into_raw_fd())
    }
}

/// Whether a connection on which nothing is expected is as we left it: the peer has neither closed it nor said anything.
/// Two system calls. The executor itself learns of a close only at its next turn of the ring, too late for a core that was
/// busy: the request would be written, and could not be repeated.
pub(super) fn is_quiet(stream: &TcpStream) -> bool {
    with_std(stream, |stream| {
        let asked = stream.set_nonblocking(true).and_then(|()| stream.peek(&mut [0]));
        matches!(asked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    })
}

#[expect(unsafe_code, reason = "glommio offers no look at a socket that does not wait")]
fn with_std<T>(stream: &TcpStream, f: impl FnOnce(&std::net::TcpStream) -> T) -> T {
    let descriptor = stream.as_raw_fd();
    // SAFETY: the descriptor is that of an open TCP socket, owned by `stream`, which is borrowed until the end of this
    // function; the second owner made here is never dropped, and `f` gets only a reference to it.
    let borrowed = unsafe { ManuallyDrop::new(std::net::TcpStream::from_raw_fd(descriptor)) };
    f(&borrowed)
}
