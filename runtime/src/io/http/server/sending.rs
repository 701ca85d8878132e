//! The body of an answer on its way out: in pieces, whole, or cut on purpose.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::Response;
use hyper::body::{Body, Frame, SizeHint};

/// Put among a response's extensions: the head goes out as it is, with the length of the whole body, then so many bytes
/// of that, then the connection breaks (HTTP/2: the stream is reset). For endpoints that must be able to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CutAfter(pub usize);

/// Put among a response's extensions: nothing of it goes out, the connection is closed (HTTP/2: the stream is reset).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reset;

/// A body in pieces, in their order. Each is let go of once it is sent, so a slow reader keeps in memory only what it has
/// not read; for that, large bodies are made of pieces that share no buffer.
#[derive(Clone, Debug, Default)]
pub struct Pieces {
    pieces: VecDeque<Bytes>,
    length: usize,
}

impl Pieces {
    /// Bytes of all of them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Is there not one byte?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// All of it in one piece. Copies unless there is but one.
    #[must_use]
    pub fn into_bytes(mut self) -> Bytes {
        if self.pieces.len() <= 1 {
            return self.pieces.pop_front().unwrap_or_default();
        }
        let mut whole = BytesMut::with_capacity(self.length);
        self.pieces.iter().for_each(|piece| whole.extend_from_slice(piece));
        whole.freeze()
    }

    fn truncate(&mut self, length: usize) {
        while self.length > length {
            let last = self.pieces.pop_back().expect("it has bytes");
            self.length -= last.len();
            if self.length < length {
                let kept = last.slice(..length - self.length);
                self.length += kept.len();
                self.pieces.push_back(kept);
            }
        }
    }
}

impl FromIterator<Bytes> for Pieces {
    fn from_iter<T: IntoIterator<Item = Bytes>>(pieces: T) -> Pieces {
        let pieces: VecDeque<Bytes> = pieces.into_iter().filter(|piece| !piece.is_empty()).collect();
        let length = pieces.iter().map(Bytes::len).sum();
        Pieces { pieces, length }
    }
}

impl From<Bytes> for Pieces {
    fn from(piece: Bytes) -> Pieces {
        Pieces::from_iter([piece])
    }
}

/// One body. Its length is announced from the start.
#[derive(Debug)]
pub(super) struct Sending {
    /// Of the whole, also if it is cut.
    length: u64,
    rest: Pieces,
    end: End,
    taken: Rc<Cell<u64>>,
}

/// What comes behind the last piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Well,
    /// A pause in which hyper sends what it has, and then a failure: failing at once would take that back.
    Pause,
    Fail,
}

impl Sending {
    pub fn of(response: Response<Pieces>, watch: &Watch) -> Response<Sending> {
        let cut = response.extensions().get::<CutAfter>().copied();
        response.map(|mut rest| {
            let length = u64::try_from(rest.len()).expect("memory has less than 2^64 bytes");
            let end = match cut {
                Some(CutAfter(bytes)) if bytes < rest.len() => {
                    rest.truncate(bytes);
                    End::Pause
                }
                _ => End::Well,
            };
            Sending { length, rest, end, taken: watch.begin() }
        })
    }
}

impl Body for Sending {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.taken.set(self.taken.get() + 1);
        if let Some(piece) = self.rest.pieces.pop_front() {
            self.rest.length -= piece.len();
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match self.end {
            End::Well => Poll::Ready(None),
            End::Pause => {
                self.end = End::Fail;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            End::Fail => {
                self.end = End::Well;
                Poll::Ready(Some(Err(io::Error::other("cut on purpose"))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.end == End::Well
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}

/// Which bodies of a connection are on their way, and whether one of them waits.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch(Rc<RefCell<Vec<Watched>>>);

#[derive(Debug)]
struct Watched {
    taken: Weak<Cell<u64>>,
    /// As it was when last looked at.
    seen: Option<u64>,
}

impl Watch {
    fn begin(&self) -> Rc<Cell<u64>> {
        let taken = Rc::new(Cell::new(0));
        let mut bodies = self.0.borrow_mut();
        bodies.retain(|watched| watched.taken.strong_count() > 0);
        bodies.push(Watched { taken: Rc::downgrade(&taken), seen: None });
        taken
    }

    /// Is there a body of which nothing was taken since this was asked last?
    pub fn is_one_stuck(&self) -> bool {
        let mut stuck = false;
        self.0.borrow_mut().retain_mut(|watched| {
            let Some(taken) = watched.taken.upgrade() else { return false };
            stuck |= watched.seen.replace(taken.get()) == Some(taken.get());
            true
        });
        stuck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(texts: &[&'static str]) -> Pieces {
        texts.iter().map(|text| Bytes::from_static(text.as_bytes())).collect()
    }

    #[test]
    fn pieces_are_one_body_and_are_cut_as_one() {
        let whole = pieces(&["abc", "", "de", "f"]);
        assert_eq!((whole.len(), whole.pieces.len()), (6, 3));
        assert_eq!(whole.clone().into_bytes(), "abcdef");
        for (length, expected) in [(0, ""), (2, "ab"), (3, "abc"), (4, "abcd"), (6, "abcdef"), (9, "abcdef")] {
            let mut cut = whole.clone();
            cut.truncate(length);
            assert_eq!((cut.len(), cut.into_bytes()), (expected.len(), Bytes::from_static(expected.as_bytes())));
        }
        assert!(Pieces::from(Bytes::new()).is_empty());
    }

    #[test]
    fn body_of_which_nothing_is_taken_is_stuck_and_one_that_is_gone_is_not() {
        let watch = Watch::default();
        let body = Sending::of(Response::new(pieces(&["a", "b"])), &watch).into_body();
        assert!(!watch.is_one_stuck(), "it has only begun");
        body.taken.set(1);
        assert!(!watch.is_one_stuck());
        assert!(watch.is_one_stuck());
        drop(body);
        assert!(!watch.is_one_stuck());
    }
}
