//! Streams and timers as hyper wants them.

use std::cell::RefCell;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_lite::io::{AsyncRead, AsyncWrite};
use hyper::rt::{Read, ReadBufCursor, Sleep, Timer, Write};
use send_wrapper::SendWrapper;

use crate::facade;

/// One read's bytes, at most; and those of one write that gathers small things.
const SCRATCH_BYTES: usize = 64 << 10;

thread_local! {
    /// Bytes on their way from the stream to hyper's buffer, which is not initialised and so cannot be read into in safe
    /// code without zeroing all of it each time. The copy is of what has come, out of a warm cache. Also small things that
    /// are written together.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice());
}

/// A stream, for hyper.
pub(super) struct ForHyper<S>(pub(super) S);

impl<S: AsyncRead + Unpin> Read for ForHyper<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let room = cursor.remaining().min(SCRATCH_BYTES);
            let read = ready!(Pin::new(&mut self.0).poll_read(cx, &mut scratch[..room]))?;
            cursor.put_slice(&scratch[..read]);
            Poll::Ready(Ok(()))
        })
    }
}

impl<S: AsyncWrite + Unpin> Write for ForHyper<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    /// So that hyper hands over a body as it is: otherwise it copies all of it behind the head first.
    fn is_write_vectored(&self) -> bool {
        true
    }

    /// The stream takes one slice at a time. Those at the beginning that are small enough for one write leave in one; what
    /// is larger is not copied.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut bytes = 0;
        let together = slices.iter().take_while(|slice| {
            bytes += slice.len();
            bytes <= SCRATCH_BYTES
        });
        let together = together.count();
        if together <= 1 {
            let first = slices.iter().find(|slice| !slice.is_empty());
            return Pin::new(&mut self.0).poll_write(cx, first.map_or(&[], |slice| slice));
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let mut end = 0;
            for slice in &slices[..together] {
                scratch[end..end + slice.len()].copy_from_slice(slice);
                end += slice.len();
            }
            Pin::new(&mut self.0).poll_write(cx, &scratch[..end])
        })
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}

/// The executor's timers, for hyper.
pub(super) struct Timers;

/// Never leaves its executor, although hyper would have it able to.
struct Nap(SendWrapper<Pin<Box<dyn Future<Output = ()>>>>);

impl Future for Nap {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl Sleep for Nap {}

impl Timer for Timers {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(Nap(SendWrapper::new(Box::pin(facade::sleep(duration)))))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.sleep(deadline.saturating_duration_since(facade::now()))
    }
}
