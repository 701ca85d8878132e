//! The body of an answer on its way out: whole, or cut on purpose.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use hyper::body::{Body, Frame, SizeHint};

/// Put among a response's extensions: the head goes out as it is, with the length of the whole body, then so many bytes
/// of that, then the connection breaks (HTTP/2: the stream is reset). For endpoints that must be able to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CutAfter(pub usize);

/// One body. Its length is announced from the start.
#[derive(Debug)]
pub(super) struct Sending {
    length: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    Whole(Bytes),
    /// Sends this, and then fails.
    Part(Bytes),
    /// A pause in which hyper sends what it has: failing at once would take that back.
    Pause,
    Fail,
    Done,
}

impl Sending {
    pub fn of(response: Response<Bytes>) -> Response<Sending> {
        let cut = response.extensions().get::<CutAfter>().copied();
        response.map(|body| Sending {
            length: u64::try_from(body.len()).expect("memory has less than 2^64 bytes"),
            state: match cut {
                Some(CutAfter(bytes)) if bytes < body.len() => State::Part(body.slice(..bytes)),
                _ => State::Whole(body),
            },
        })
    }
}

impl Body for Sending {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let (state, frame) = match std::mem::replace(&mut self.state, State::Done) {
            State::Whole(body) if !body.is_empty() => (State::Done, Some(Ok(Frame::data(body)))),
            State::Part(part) if !part.is_empty() => (State::Pause, Some(Ok(Frame::data(part)))),
            State::Part(_) | State::Pause => {
                self.state = State::Fail;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            State::Fail => (State::Done, Some(Err(io::Error::other("cut on purpose")))),
            State::Whole(_) | State::Done => (State::Done, None),
        };
        self.state = state;
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.state {
            State::Whole(body) => body.is_empty(),
            State::Done => true,
            State::Part(_) | State::Pause | State::Fail => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}
