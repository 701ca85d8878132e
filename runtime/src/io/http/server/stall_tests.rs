//! Readers that stop reading, are slow, or are told nothing at all.

use super::protocol_tests::{http2, http2_over_tls, identity, socket};
use super::tests::{MS, post};
use super::*;
use crate::facade::{now, run_here};
use crate::io::http::{ClientSettings, HttpClient};
use futures_lite::io::{AsyncReadExt, AsyncWriteExt};
use http_body_util::{BodyExt, Full};

const PIECE: usize = 64 << 10;
/// More than the kernel keeps between two sockets.
const LARGE: usize = 64 << 20;

/// Answers with as many bytes as the path says, in pieces; `/reset` with none.
struct Large;

impl Answers for Large {
    fn answer(&self, request: Request<Bytes>) -> LocalBoxFuture<'static, Response<Pieces>> {
        let path = request.uri().path().trim_start_matches('/').to_owned();
        async move {
            if path == "reset" {
                let mut response = Response::new(Pieces::from(Bytes::from_static(b"never seen")));
                response.extensions_mut().insert(Reset);
                return response;
            }
            let bytes: usize = path.parse().expect("a number");
            let piece = Bytes::from(vec![b'x'; PIECE.min(bytes)]);
            Response::new((0..bytes.div_ceil(PIECE)).map(|_| piece.clone()).collect())
        }
        .boxed_local()
    }
}

/// Takes one connection at a time, so that whoever is answered next proves that the one before is gone.
async fn serving(settings: ServerSettings) -> (SocketAddr, Task<()>) {
    let listener = bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = listener.local_addr();
    let settings = ServerSettings { connections_max: 1, ..settings };
    (address, spawn(async move { serve(listener, settings, Rc::new(Large), std::future::pending()).await }))
}

async fn next_is_answered(address: SocketAddr) -> bool {
    let client = HttpClient::new(ClientSettings::default());
    tcp::within(MS(5_000), client.call(post(address, "/1", 0))).await.is_some_and(|answered| answered.is_ok())
}

fn stalling_after(stall: u64) -> ServerSettings {
    ServerSettings { stall: MS(stall), ..ServerSettings::default() }
}

#[test]
fn connection_whose_answer_is_not_read_is_closed() {
    run_here(async {
        let (address, _served) = serving(stalling_after(100)).await;
        let mut stalled = socket(address).await;
        let asked = format!("POST /{LARGE} HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n");
        stalled.write_all(asked.as_bytes()).await.expect("it is connected");
        let began = now();
        assert!(next_is_answered(address).await, "it is still connected");
        assert!(began.elapsed() >= MS(100), "closed after {:?} already", began.elapsed());
        let mut seen = Vec::new();
        // Closed or reset: either way that was all.
        let _ = stalled.read_to_end(&mut seen).await;
        assert!(seen.len() < LARGE, "all of it was sent");
    })
    .expect("an executor starts here");
}

#[test]
fn http2_connection_that_takes_nothing_of_an_answer_is_closed() {
    run_here(async {
        let (with_tls, authority) = identity();
        for (settings, tls) in [(stalling_after(100), false), (ServerSettings { stall: MS(100), ..with_tls }, true)] {
            let (address, _served) = serving(settings).await;
            let mut client = match tls {
                true => http2_over_tls(address, &authority, &["h2"]).await,
                false => http2(address).await,
            };
            let request = post(address, &format!("/{LARGE}"), 0).map(Full::new);
            let response = client.send_request(request).await.expect("the head comes");
            let other = socket(address).await;
            let mut freed = other;
            // The next to be taken: closed for what it says, or asked for TLS; either way it is heard.
            freed.write_all(b"nonsense\r\n\r\n").await.expect("it waits to be taken");
            let heard = tcp::within(MS(5_000), freed.read_to_end(&mut Vec::new())).await;
            assert!(heard.is_some(), "it is still connected; TLS: {tls}");
            assert!(response.into_body().collect().await.is_err(), "all of it was sent");
        }
    })
    .expect("an executor starts here");
}

#[test]
fn reader_that_is_only_slow_gets_all_of_its_answer() {
    run_here(async {
        let (address, _served) = serving(stalling_after(150)).await;
        let mut client = http2(address).await;
        let bytes = 12 * PIECE;
        let response = client.send_request(post(address, &format!("/{bytes}"), 0).map(Full::new)).await;
        let (mut body, began, mut seen) = (response.expect("it answers").into_body(), now(), 0);
        while let Some(frame) = body.frame().await {
            seen += frame.expect("it is not cut").into_data().expect("data").len();
            if seen % PIECE == 0 {
                sleep(MS(50)).await;
            }
        }
        assert_eq!(seen, bytes);
        assert!(began.elapsed() > MS(450), "it took long enough to show something: {:?}", began.elapsed());
    })
    .expect("an executor starts here");
}

#[test]
fn reset_says_nothing_at_all() {
    run_here(async {
        let (address, _served) = serving(ServerSettings::default()).await;
        let mut raw = socket(address).await;
        raw.write_all(b"POST /reset HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n").await.expect("it is connected");
        let mut seen = Vec::new();
        let _ = raw.read_to_end(&mut seen).await;
        assert_eq!(String::from_utf8_lossy(&seen), "");
        drop(raw);
        let mut client = http2(address).await;
        assert!(client.send_request(post(address, "/reset", 0).map(Full::new)).await.is_err());
        let next = client.send_request(post(address, "/3", 0).map(Full::new)).await.expect("the connection goes on");
        assert_eq!(next.into_body().collect().await.expect("it comes").to_bytes(), "xxx");
    })
    .expect("an executor starts here");
}
