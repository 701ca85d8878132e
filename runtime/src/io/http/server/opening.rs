//! What a connection speaks: TLS or not, HTTP/2 or HTTP/1.1; found out from its first bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_lite::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use futures_rustls::TlsAcceptor;

use crate::io::tls::ServerIdentity;

/// What a client of HTTP/2 says first. Source: RFC 9113, section 3.4.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Plain or TLS. One type, so that hyper's connections are compiled once.
pub(super) type Stream = Pin<Box<dyn ReadWrite>>;

pub(super) trait ReadWrite: AsyncRead + AsyncWrite {}

impl<S: AsyncRead + AsyncWrite> ReadWrite for S {}

/// A connection that is ready for its first request.
pub(super) enum Opened {
    Http1(Stream),
    Http2(Stream),
}

/// Shakes hands if there is an identity, then finds out the protocol. May wait for ever: the caller has the time-out.
pub(super) async fn open(
    socket: impl AsyncRead + AsyncWrite + Unpin + 'static,
    identity: Option<&ServerIdentity>,
) -> io::Result<Opened> {
    let Some(identity) = identity else {
        return sniff(socket).await;
    };
    let stream = TlsAcceptor::from(identity.0.clone()).accept(socket).await?;
    match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => Ok(Opened::Http2(Box::pin(stream))),
        Some(_) => Ok(Opened::Http1(Box::pin(stream))),
        // Asked for nothing: it may know beforehand, as without TLS.
        None => sniff(stream).await,
    }
}

/// Reads until the bytes are HTTP/2's preface or cannot become it.
async fn sniff(mut stream: impl AsyncRead + AsyncWrite + Unpin + 'static) -> io::Result<Opened> {
    let mut seen = Vec::with_capacity(PREFACE.len());
    let mut bytes = [0; PREFACE.len()];
    let is_http2 = loop {
        let read = stream.read(&mut bytes[seen.len()..]).await?;
        let all = seen.len() + read;
        seen.extend_from_slice(&bytes[seen.len()..all]);
        if read == 0 || !PREFACE.starts_with(&seen) {
            break false;
        }
        if all == PREFACE.len() {
            break true;
        }
    };
    let stream = Box::pin(Rewound { seen, at: 0, stream });
    Ok(if is_http2 { Opened::Http2(stream) } else { Opened::Http1(stream) })
}

/// A stream whose first bytes were looked at and are read again.
struct Rewound<S> {
    seen: Vec<u8>,
    at: usize,
    stream: S,
}

impl<S: AsyncRead + Unpin> AsyncRead for Rewound<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &mut [u8]) -> Poll<io::Result<usize>> {
        let seen = &self.seen[self.at..];
        if seen.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, bytes);
        }
        let count = seen.len().min(bytes.len());
        bytes[..count].copy_from_slice(&seen[..count]);
        self.at += count;
        Poll::Ready(Ok(count))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rewound<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}
