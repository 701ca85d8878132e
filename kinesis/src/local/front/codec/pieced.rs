//! A large body as it is written: in pieces of their own memory, so that one which is sent is free again.

use std::cell::RefCell;

use bytes::Bytes;

pub use weir_runtime::io::http::server::Pieces;

/// A piece's bytes: more than what is copied to be written together, and few enough to be sent out of a near cache.
const PIECE_BYTES: usize = 96 << 10;
/// A page of so few items is begun small.
const FEW: usize = 64;
/// Pieces that are kept to be filled again: 6 MiB a thread, two pages of 10,000 small records.
const SPARE_MAX: usize = 64;

thread_local! {
    /// Pieces that were sent. Given back to the allocator, they would go on to the kernel, and each page of theirs would
    /// have to be had from there anew: that cost more than a third of the time that an answer took.
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Comes back to be filled again when nobody has it any more.
struct Piece(Vec<u8>);

impl Piece {
    fn spare() -> Vec<u8> {
        SPARE.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(PIECE_BYTES))
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let mut spare = std::mem::take(&mut self.0);
        spare.clear();
        // A thread that ends has no use for it.
        let _ = SPARE.try_with(|spares| {
            let mut spares = spares.borrow_mut();
            if spares.len() < SPARE_MAX {
                spares.push(spare);
            }
        });
    }
}

/// Grows at its end, a piece at a time.
pub struct Pieced {
    full: Vec<Bytes>,
    body: Vec<u8>,
}

impl Pieced {
    /// For about so many items.
    pub fn new(items: usize) -> Pieced {
        Pieced { full: Vec::new(), body: if items < FEW { Vec::new() } else { Piece::spare() } }
    }

    /// Where to write on, with room for so many bytes; it grows if they are more.
    pub fn room(&mut self, bytes: usize) -> &mut Vec<u8> {
        if self.body.len() + bytes > PIECE_BYTES && !self.body.is_empty() {
            let next = if bytes > PIECE_BYTES { Vec::with_capacity(bytes) } else { Piece::spare() };
            self.end_piece(next);
        } else {
            self.body.reserve(bytes);
        }
        &mut self.body
    }

    pub fn finish(mut self) -> Pieces {
        self.end_piece(Vec::new());
        self.full.into_iter().collect()
    }

    fn end_piece(&mut self, next: Vec<u8>) {
        let piece = std::mem::replace(&mut self.body, next);
        // One of another size would be too small for the next, or keep too much.
        let is_usual = piece.capacity() == PIECE_BYTES;
        self.full.push(if is_usual { Bytes::from_owner(Piece(piece)) } else { piece.into() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_full_but_for_what_comes_next_and_hold_all_in_order() {
        for item in [1, 300, PIECE_BYTES - 1, PIECE_BYTES, 3 * PIECE_BYTES] {
            let mut body = Pieced::new(0);
            let count = 4 * PIECE_BYTES / item + 3;
            let byte = |index: usize| u8::try_from(index % 251).expect("small");
            for index in 0..count {
                let body = body.room(item);
                body.resize(body.len() + item, byte(index));
            }
            assert!(body.full.iter().all(|piece| piece.len() <= PIECE_BYTES.max(item)));
            assert!(body.full.iter().all(|piece| piece.len() + item > PIECE_BYTES));
            let whole = body.finish().into_bytes();
            assert_eq!(whole.len(), count * item);
            assert!(whole.chunks(item).enumerate().all(|(index, chunk)| chunk.iter().all(|b| *b == byte(index))));
        }
    }

    #[test]
    fn piece_that_nobody_has_any_more_is_filled_again() {
        let spares = || SPARE.with_borrow(Vec::len);
        assert_eq!(spares(), 0, "this thread has sent nothing yet");
        let mut body = Pieced::new(FEW);
        body.room(10).extend_from_slice(b"something");
        let pieces = body.finish();
        assert_eq!(pieces.clone().into_bytes(), "something");
        assert_eq!(spares(), 0, "it is still to be sent");
        drop(pieces);
        assert_eq!(spares(), 1);
        let mut body = Pieced::new(FEW);
        assert_eq!((spares(), body.room(1).len()), (0, 0));
    }
}
