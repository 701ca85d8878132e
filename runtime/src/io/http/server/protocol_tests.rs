//! Both protocols, with and without TLS, on one server.

use super::tests::{MS, post, start};
use super::*;
use crate::facade::{now, run_here};
use crate::io::for_hyper::ForHyper;
use crate::io::http::{ClientSettings, HttpClient};
use crate::io::tls::Trust;
use crate::io::tls::testing::Authority;
use futures_lite::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use futures_rustls::TlsConnector;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::SendRequest;
use hyper::rt::Executor;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::io::Write as _;
use std::sync::Arc;

#[derive(Clone)]
struct Spawn;

impl<F: Future<Output = ()> + 'static> Executor<F> for Spawn {
    fn execute(&self, task: F) {
        spawn(task).detach();
    }
}

pub(super) type Http2Client = SendRequest<Full<Bytes>>;

async fn http2_over(stream: impl AsyncRead + AsyncWrite + Unpin + 'static) -> Http2Client {
    let (sender, connection) =
        hyper::client::conn::http2::handshake(Spawn, ForHyper(stream)).await.expect("it speaks HTTP/2");
    spawn(async move { drop(connection.await) }).detach();
    sender
}

pub(super) async fn socket(address: SocketAddr) -> tcp::Socket {
    tcp::connect(&[address], MS(1_000)).await.expect("it listens")
}

pub(super) async fn http2(address: SocketAddr) -> Http2Client {
    http2_over(socket(address).await).await
}

async fn call(client: &mut Http2Client, request: Request<Bytes>) -> Result<(u16, String), hyper::Error> {
    let response = client.send_request(request.map(Full::new)).await?;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

/// A server with a certificate for `localhost` and loopback, and who vouches for it.
pub(super) fn identity() -> (ServerSettings, Authority) {
    let authority = Authority::new();
    let (chain, key) = authority.certify(&["localhost", "127.0.0.1"]);
    let identity = ServerIdentity::from_pem(chain.as_bytes(), key.as_bytes()).expect("they belong together");
    (ServerSettings { tls: Some(identity), ..ServerSettings::default() }, authority)
}

pub(super) async fn http2_over_tls(address: SocketAddr, authority: &Authority, alpn: &[&str]) -> Http2Client {
    let mut roots = RootCertStore::empty();
    let pem = authority.pem();
    roots.add(PemObject::from_pem_slice(pem.as_bytes()).expect("a certificate")).expect("a good one");
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has them")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let name = ServerName::try_from("localhost").expect("a name");
    let stream =
        TlsConnector::from(Arc::new(config)).connect(name, socket(address).await).await.expect("it is trusted");
    http2_over(stream).await
}

fn run<F: Future>(f: F) -> F::Output {
    run_here(f).expect("an executor starts here")
}

async fn serving(settings: ServerSettings) -> (SocketAddr, Task<()>, Notifier) {
    let listener = bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = listener.local_addr();
    let (served, stop) = start(listener, settings);
    (address, served, stop)
}

#[test]
fn one_port_speaks_both_protocols_and_the_handler_sees_no_difference() {
    run(async {
        let (address, served, stop) = serving(ServerSettings::default()).await;
        let mut http2 = http2(address).await;
        let http1 = HttpClient::new(ClientSettings::default());
        for bytes in [0, 7, 12 << 20] {
            let (status, text) = call(&mut http2, post(address, "/a?b", bytes)).await.expect("it answers");
            assert_eq!((status, text), (200, format!("POST /a?b {bytes} bytes for {address}")));
            let response = http1.call(post(address, "/a?b", bytes)).await.expect("it answers");
            assert_eq!(response.body(), format!("POST /a?b {bytes} bytes for {address}").as_bytes());
        }
        stop.notify();
        served.await;
    });
}

#[test]
fn requests_of_one_http2_connection_are_answered_side_by_side() {
    run(async {
        let (address, _served, _stop) = serving(ServerSettings::default()).await;
        let client = http2(address).await;
        let begun = now();
        let calls = (0..20).map(|_| {
            let mut client = client.clone();
            async move { call(&mut client, post(address, "/slow", 1)).await.expect("it answers").0 }
        });
        let statuses = futures_util::future::join_all(calls).await;
        assert_eq!(statuses, [200; 20]);
        assert!(begun.elapsed() < MS(1_500), "one after the other: {:?}", begun.elapsed());
    });
}

#[test]
fn tls_offers_both_protocols() {
    run(async {
        let (settings, authority) = identity();
        let (address, served, stop) = serving(settings).await;
        let file = tempfile::NamedTempFile::new().expect("there is room");
        file.as_file().write_all(authority.pem().as_bytes()).expect("there is room");
        let trust = Trust::File(file.path().to_owned());
        let http1 = HttpClient::new(ClientSettings { trust, ..ClientSettings::default() });
        for host in ["localhost", "127.0.0.1"] {
            let url = format!("https://{host}:{}/a", address.port());
            for _ in 0..3 {
                let request = Request::post(&url).body(Bytes::from_static(b"body")).expect("a good request");
                let response = http1.call(request).await.expect("it answers");
                let expected = format!("POST /a 4 bytes for {host}:{}", address.port());
                assert_eq!(response.body(), expected.as_bytes());
            }
        }
        assert_eq!(http1.idle_connections(), 2, "connections were not kept");
        for alpn in [&["h2"][..], &["h2", "http/1.1"], &[]] {
            let mut http2 = http2_over_tls(address, &authority, alpn).await;
            let answered = call(&mut http2, post(address, "/a", 3 << 20)).await.expect("it answers");
            assert_eq!(answered, (200, format!("POST /a 3145728 bytes for {address}")));
        }
        stop.notify();
        served.await;
    });
}

#[test]
fn http2_answer_under_way_is_finished_when_stopped_but_not_beyond_the_grace() {
    run(async {
        for (grace, finished) in [(MS(2_000), true), (MS(20), false)] {
            let (address, served, stop) = serving(ServerSettings { grace, ..ServerSettings::default() }).await;
            let mut client = http2(address).await;
            let calling = {
                let mut client = client.clone();
                spawn(async move { call(&mut client, post(address, "/slow", 0)).await })
            };
            sleep(MS(50)).await;
            let stopped = now();
            stop.notify();
            served.await;
            assert!(stopped.elapsed() < MS(500), "{:?}", stopped.elapsed());
            assert_eq!(calling.await.is_ok(), finished, "grace {grace:?}");
            assert!(call(&mut client, post(address, "/", 0)).await.is_err(), "served after the stop");
        }
    });
}

#[test]
fn idle_http2_connection_does_not_hold_up_a_stop() {
    run(async {
        let (address, served, stop) = serving(ServerSettings::default()).await;
        let mut client = http2(address).await;
        call(&mut client, post(address, "/", 0)).await.expect("it answers");
        let stopped = now();
        stop.notify();
        served.await;
        assert!(stopped.elapsed() < MS(500), "{:?}", stopped.elapsed());
    });
}

#[test]
fn body_beyond_the_limit_is_answered_with_413_and_the_http2_connection_lives_on() {
    run(async {
        let settings = ServerSettings { body_bytes_max: 1_000, ..ServerSettings::default() };
        let (address, _served, _stop) = serving(settings).await;
        let mut client = http2(address).await;
        for bytes in [1_001, 8 << 20] {
            let (status, text) = call(&mut client, post(address, "/", bytes)).await.expect("it answers");
            assert_eq!((status, text.as_str()), (413, "the body is longer than 1000 bytes"));
        }
        assert_eq!(call(&mut client, post(address, "/", 1_000)).await.expect("it answers").0, 200);
    });
}

/// Whether the server closes a connection on which only `said` is said, within a second.
async fn is_closed_after(address: SocketAddr, said: &[u8]) -> bool {
    let mut socket = socket(address).await;
    socket.write_all(said).await.expect("it is open");
    let mut answer = Vec::new();
    tcp::within(MS(1_000), socket.read_to_end(&mut answer)).await.is_some()
}

#[test]
fn connection_that_stops_before_it_is_known_what_it_speaks_is_closed() {
    run(async {
        let (with_tls, _) = identity();
        for (settings, half) in [
            (ServerSettings::default(), &b"PRI * HTTP/2.0\r\n"[..]),
            (ServerSettings::default(), b""),
            (with_tls.clone(), &[22, 3, 1, 2, 0, 1]),
            (with_tls, b""),
        ] {
            let (address, _served, _stop) = serving(ServerSettings { opening: MS(50), ..settings }).await;
            assert!(is_closed_after(address, half).await, "{half:?} keeps it open");
        }
    });
}

#[test]
fn connection_that_is_idle_between_requests_is_not_closed() {
    run(async {
        let settings = ServerSettings { opening: MS(30), ..ServerSettings::default() };
        let (address, _served, _stop) = serving(settings).await;
        let (http1, mut http2) = (HttpClient::new(ClientSettings::default()), http2(address).await);
        for _ in 0..2 {
            let response = http1.call(post(address, "/", 0)).await.expect("it answers");
            call(&mut http2, post(address, "/", 0)).await.expect("it answers");
            drop(response);
            sleep(MS(100)).await;
        }
        assert_eq!(http1.idle_connections(), 1);
    });
}

#[test]
fn connection_that_says_nonsense_to_tls_does_not_disturb_others() {
    run(async {
        let (settings, authority) = identity();
        let (address, _served, _stop) = serving(settings).await;
        let waiting = socket(address).await;
        assert!(is_closed_after(address, b"GET / HTTP/1.1\r\n\r\n").await);
        let mut client = http2_over_tls(address, &authority, &["h2"]).await;
        assert_eq!(call(&mut client, post(address, "/", 0)).await.expect("it answers").0, 200);
        drop(waiting);
    });
}

#[test]
fn cut_answer_is_announced_whole_and_breaks_where_it_is_cut() {
    run(async {
        let (address, _served, _stop) = serving(ServerSettings::default()).await;
        let mut raw = socket(address).await;
        raw.write_all(b"POST /cut HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n").await.expect("it is connected");
        let mut seen = Vec::new();
        // Closed or reset: either way that was all.
        let _ = raw.read_to_end(&mut seen).await;
        let seen = String::from_utf8(seen).expect("text");
        let (head, body) = seen.split_once("\r\n\r\n").expect("the head goes out whole");
        assert!(head.contains("content-length: 23"), "{head}");
        assert_eq!(body, "POST /cu");

        let mut client = http2(address).await;
        let cut = call(&mut client, post(address, "/cut", 0)).await;
        assert!(cut.is_err(), "{cut:?}");
        let whole = call(&mut client, post(address, "/whole", 0)).await.expect("the connection goes on");
        assert_eq!(whole.0, 200);
    });
}
