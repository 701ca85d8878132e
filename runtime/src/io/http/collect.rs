//! Gathers a body into one piece, under a limit, noticing when nothing comes any more.

use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use futures_lite::future;

use crate::facade::sleep;

/// A declared length is believed, and room made for it at once, only up to here.
const RESERVE_BYTES_MAX: u64 = 16 << 20;

/// Why a body did not come whole.
pub(super) enum Cut {
    /// Nothing came for the whole of the stall limit.
    Stalled,
    /// It is longer than the limit.
    TooLarge,
    /// The connection failed.
    Failed(hyper::Error),
}

/// The whole body. Cost: one allocation if its length was declared, and none but hyper's if it came in one frame.
/// One timer each `stall`, not one a frame.
pub(super) async fn collect(body: &mut Incoming, bytes_max: u64, stall: Option<Duration>) -> Result<Bytes, Cut> {
    let declared = body.size_hint().exact();
    if declared.unwrap_or(0) > bytes_max {
        return Err(Cut::TooLarge);
    }
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    let mut timer = pin!(stall.map(sleep));
    let mut progress = false;
    loop {
        let next = async { Some(body.frame().await) };
        let timed_out = async {
            match timer.as_mut().as_pin_mut() {
                Some(timer) => timer.await,
                None => future::pending().await,
            }
            None
        };
        let frame = match future::or(next, timed_out).await {
            None if progress => {
                progress = false;
                timer.set(stall.map(sleep));
                continue;
            }
            None => return Err(Cut::Stalled),
            Some(None) => break,
            Some(Some(Err(error))) => return Err(Cut::Failed(error)),
            Some(Some(Ok(frame))) => frame,
        };
        progress = true;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let so_far = first.len() + whole.len();
        if u64::try_from(so_far + data.len()).unwrap_or(u64::MAX) > bytes_max {
            return Err(Cut::TooLarge);
        }
        if so_far == 0 {
            first = data;
            continue;
        }
        if whole.is_empty() {
            let room = declared.unwrap_or(0).min(RESERVE_BYTES_MAX);
            whole.reserve(usize::try_from(room).unwrap_or(0).max(first.len() + data.len()));
            whole.extend_from_slice(&std::mem::take(&mut first));
        }
        whole.extend_from_slice(&data);
    }
    Ok(if whole.is_empty() { first } else { whole.freeze() })
}

/// Reads on and keeps nothing, for at most so many bytes and so long.
pub(super) async fn discard(body: &mut Incoming, bytes_max: u64, patience: Duration) {
    if body.size_hint().exact().is_some_and(|bytes| bytes > bytes_max) {
        return;
    }
    let reading = async {
        let mut left = bytes_max;
        while let Some(Ok(frame)) = body.frame().await {
            let bytes = frame.data_ref().map_or(0, |data| u64::try_from(data.len()).unwrap_or(u64::MAX));
            match left.checked_sub(bytes) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    future::or(reading, sleep(patience)).await;
}
