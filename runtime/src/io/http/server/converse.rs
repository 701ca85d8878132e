//! One connection, from its first byte to its close; both protocols behind one handler.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::{FusedFuture, LocalBoxFuture, poll_fn};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt, select_biased};
use http::header::{CONNECTION, HOST, HeaderValue};
use http::uri::PathAndQuery;
use http::{Request, Response, Uri, Version};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;

use super::opening::{Opened, Stream, open};
use super::patience::Patient;
use super::sending::{Pieces, Reset, Sending, Watch};
use super::{Handler, ServerSettings, Unread};
use crate::facade::sleep;
use crate::io::for_hyper::{ForHyper, Timers};
use crate::io::http::collect::{Cut, collect, discard};
use crate::io::tcp::Socket;

/// A client of HTTP/2 that is gone without a word is found out by a ping each; HTTP/1.1 has none.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// What a client may send before it hears from us; also what one of its requests may, so that ten megabytes do not wait
/// for a round trip each 64 KiB.
const WINDOW_BYTES: u32 = 4 << 20;

/// Of a body that is too long so many times the longest is read and dropped, so that its sender gets to see the answer.
const DISCARD_FACTOR: u64 = 4;

/// Serves the connection until it ends, or until `stopping` is ready and the answers under way are given.
pub(super) async fn converse(
    socket: Socket,
    settings: ServerSettings,
    handler: Handler,
    stopping: impl Future<Output = ()>,
) {
    let mut stopping = pin!(stopping.fuse());
    // What goes wrong between a client and its connection concerns nobody else.
    let opened = select_biased! {
        () = stopping => return,
        opened = open(Patient::new(socket, settings.stall), settings.tls.as_ref()).fuse() => opened,
        () = sleep(settings.opening).fuse() => return,
    };
    match opened {
        Ok(Opened::Http1(stream)) => serve_http1(stream, settings, handler, stopping).await,
        Ok(Opened::Http2(stream)) => serve_http2(stream, settings, handler, stopping).await,
        Err(error) => tracing::debug!(%error, "a connection was not opened"),
    }
}

async fn serve_http1(
    stream: Stream,
    settings: ServerSettings,
    handler: Handler,
    mut stopping: impl FusedFuture<Output = ()> + Unpin,
) {
    let stall = settings.stall;
    // Not looked at here: what is not taken of a body stands in the stream, whose writes then fail.
    let watch = Watch::default();
    let service = service_fn(move |request| answer(request, settings.clone(), Rc::clone(&handler), watch.clone()));
    let mut connection = pin!(
        http1::Builder::new().timer(Timers).header_read_timeout(stall).serve_connection(ForHyper(stream), service)
    );
    select_biased! {
        ended = (&mut connection).fuse() => return drop(ended),
        () = stopping => {}
    }
    connection.as_mut().graceful_shutdown();
    drop(connection.await);
}

async fn serve_http2(
    stream: Stream,
    settings: ServerSettings,
    handler: Handler,
    mut stopping: impl FusedFuture<Output = ()> + Unpin,
) {
    let stall = settings.stall;
    let watch = Watch::default();
    let service = {
        let watch = watch.clone();
        service_fn(move |request| answer(request, settings.clone(), Rc::clone(&handler), watch.clone()))
    };
    let requests = Requests::default();
    let mut connection = pin!(
        http2::Builder::new(requests.clone())
            .timer(Timers)
            .keep_alive_interval(PING_INTERVAL)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .serve_connection(ForHyper(stream), service)
    );
    let mut under_way = FuturesUnordered::new();
    let mut stopped = false;
    // A client may read its connection and yet take nothing of an answer: it grants no window.
    let mut look = pin!(sleep(stall));
    poll_fn(|cx| {
        while look.as_mut().poll(cx).is_ready() {
            if watch.is_one_stuck() {
                tracing::debug!("an answer was not read for {stall:?}: its connection is closed");
                return Poll::Ready(());
            }
            look.set(sleep(stall));
        }
        if !stopped && stopping.poll_unpin(cx).is_ready() {
            stopped = true;
            connection.as_mut().graceful_shutdown();
        }
        if connection.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        loop {
            under_way.extend(requests.0.borrow_mut().drain(..));
            match under_way.poll_next_unpin(cx) {
                Poll::Ready(Some(())) => {}
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
}

/// Takes hyper's requests of HTTP/2 into their connection's own task, so that they end with it.
#[derive(Clone, Default)]
struct Requests(Rc<RefCell<Vec<LocalBoxFuture<'static, ()>>>>);

impl<F: Future<Output = ()> + 'static> Executor<F> for Requests {
    fn execute(&self, request: F) {
        self.0.borrow_mut().push(Box::pin(request));
    }
}

async fn answer(
    request: Request<Incoming>,
    settings: ServerSettings,
    handler: Handler,
    watch: Watch,
) -> io::Result<Response<Sending>> {
    let (head, mut body) = request.into_parts();
    let version = head.version;
    let unread = match collect(&mut body, settings.body_bytes_max, Some(settings.stall)).await {
        Ok(body) => {
            let response = handler.answer(in_origin_form(Request::from_parts(head, body))).await;
            return send(response, &watch);
        }
        Err(Cut::TooLarge) => {
            // Who only sends would not see an answer in front of a connection that closes; HTTP/2 just ends the stream.
            if version < Version::HTTP_2 {
                discard(&mut body, settings.body_bytes_max.saturating_mul(DISCARD_FACTOR), settings.stall).await;
            }
            Unread::TooLong { bytes_max: settings.body_bytes_max }
        }
        Err(Cut::Stalled) => Unread::Stalled,
        Err(Cut::Failed(_)) => Unread::Broken,
    };
    let mut response = handler.refuse(in_origin_form(Request::from_parts(head, unread)));
    if version < Version::HTTP_2 {
        // What more comes would be taken for the next request.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    send(response, &watch)
}

fn send(response: Response<Pieces>, watch: &Watch) -> io::Result<Response<Sending>> {
    match response.extensions().get::<Reset>() {
        Some(Reset) => Err(io::Error::new(io::ErrorKind::ConnectionReset, "reset on purpose")),
        None => Ok(Sending::of(response, watch)),
    }
}

/// Requests of HTTP/2 have the host in their address; handlers find it in `Host`, as those of HTTP/1.1 have it.
fn in_origin_form<B>(mut request: Request<B>) -> Request<B> {
    let authority = request.uri().authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    if let Some(authority) = authority {
        request.headers_mut().entry(HOST).or_insert(authority);
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = Uri::from(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
    }
    request
}
