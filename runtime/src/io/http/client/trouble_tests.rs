//! The client and peers that are slow, silent, clogged or rude.

use super::tests::{MS, post, quick, run, text};
use super::*;
use crate::facade::sleep;
use crate::io::http::names::LookUp;
use crate::io::http::scripted::Scripted;
use futures_util::FutureExt;
use futures_util::future::join_all;
use std::cell::{Cell, RefCell};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::AtomicUsize;

/// Listens, but its queue is full: the kernel drops whoever else wants to connect, as a firewall does.
struct Clogged {
    address: SocketAddr,
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Clogged {
    fn start() -> Clogged {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        let connect = |_| TcpStream::connect_timeout(&address, MS(100)).ok();
        Clogged { address, _listener: listener, _waiting: (0..10_000).map_while(connect).collect() }
    }
}

thread_local! {
    /// What a name is found to be, after how long, and how often it was asked for.
    static FOUND: RefCell<Vec<SocketAddr>> = const { RefCell::new(Vec::new()) };
    static AFTER: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

fn look_up(_: String, _: u16) -> LookUp {
    ASKED.set(ASKED.get() + 1);
    let (found, after) = (FOUND.with_borrow(Clone::clone), AFTER.get());
    async move {
        sleep(after).await;
        Ok(found)
    }
    .boxed_local()
}

fn client(connect: Duration) -> HttpClient {
    let patience = Patience { connect, ..quick().patience };
    let settings = ClientSettings { patience, ..quick() };
    HttpClient(Rc::new(Inner { settings, pool: Pool::default(), names: Names::asking(look_up) }))
}

#[test]
fn connection_that_does_not_come_times_out_and_its_name_is_asked_for_anew() {
    let (clogged, server) = (Clogged::start(), Scripted::start(|peer| peer.answer_all("answer")));
    run(async {
        let client = client(MS(200));
        FOUND.set(vec![clogged.address]);
        let start = Instant::now();
        let error = text(&client, "http://name:1/").await.expect_err("nobody is let in");
        assert_eq!(error, HttpError::Timeout { waited: Waited::Connect, address: "name:1".into(), limit_ms: 200 });
        assert!(error.was_not_sent());
        assert!((MS(150)..MS(800)).contains(&start.elapsed()), "{:?}", start.elapsed());
        FOUND.set(vec![server.address]);
        assert_eq!(text(&client, "http://name:1/").await.as_deref(), Ok("answer"));
        assert_eq!(ASKED.get(), 2);
        // The outer timer may fire first, while the name is still being asked for.
        AFTER.set(MS(5_000));
        let error = text(&client, "http://slow:1/").await.expect_err("the name takes too long");
        assert_eq!(error, HttpError::Timeout { waited: Waited::Connect, address: "slow:1".into(), limit_ms: 200 });
        AFTER.set(Duration::ZERO);
        assert_eq!(text(&client, "http://slow:1/").await.as_deref(), Ok("answer"));
    });
}

#[test]
fn second_address_has_its_share_of_what_a_slow_name_left() {
    let (clogged, server) = (Clogged::start(), Scripted::start(|peer| peer.answer_all("answer")));
    run(async {
        let client = client(MS(1_000));
        FOUND.set(vec![clogged.address, server.address]);
        AFTER.set(MS(600));
        assert_eq!(text(&client, "http://name:1/").await.as_deref(), Ok("answer"));
    });
}

#[test]
fn resolved_name_is_believed_until_nobody_is_reached_there() {
    let server = Scripted::start(|peer| {
        drop(peer.request());
        peer.ok("answer");
    });
    run(async {
        let client = client(MS(500));
        FOUND.set(vec![server.address]);
        for _ in 0..3 {
            assert_eq!(text(&client, "http://name:1/").await.as_deref(), Ok("answer"));
            sleep(MS(5)).await;
        }
        assert_eq!((server.connections(), ASKED.get()), (3, 1));
    });
}

#[test]
fn silence_on_a_kept_connection_condemns_its_like() {
    let dark = Arc::new(AtomicBool::new(false));
    let turned = Arc::clone(&dark);
    let server = Scripted::start(move |peer| {
        while peer.request().is_some() {
            if turned.load(Ordering::SeqCst) && peer.index < 4 {
                // As behind a NAT that forgot the connection: no close, no answer.
                std::thread::sleep(MS(3_000));
                return;
            }
            std::thread::sleep(MS(20));
            peer.ok("answer");
        }
    });
    run(async {
        let client = HttpClient::new(quick());
        let url = server.url("/");
        join_all((0..4).map(|_| text(&client, &url))).await;
        assert_eq!(client.idle_connections(), 4);
        dark.store(true, Ordering::SeqCst);
        let error = text(&client, &url).await.expect_err("nothing comes");
        assert!(matches!(error, HttpError::Timeout { waited: Waited::Head, .. }), "{error}");
        assert_eq!(client.idle_connections(), 0);
        assert_eq!(text(&client, &url).await.as_deref(), Ok("answer"), "on a new connection");
    });
}

#[test]
fn big_body_has_time_to_be_sent_before_the_head_is_waited_for() {
    let served = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&served);
    let server = Scripted::start(move |peer| {
        let (_, body) = peer.request().expect("a request");
        // As on a slow way up: the whole of it is here only now.
        std::thread::sleep(MS(700));
        count.fetch_add(body.len(), Ordering::SeqCst);
        peer.ok("answer");
    });
    run(async {
        let client = HttpClient::new(quick());
        let big = Request::post(server.url("/")).body(Bytes::from(vec![b'x'; 1 << 20])).expect("a good request");
        assert_eq!(client.call(big).await.expect("it is waited for").body(), "answer");
        assert_eq!(served.load(Ordering::SeqCst), 1 << 20);
        let start = Instant::now();
        assert!(client.call(post(&server.url("/"), "small")).await.is_err());
        assert!(start.elapsed() < MS(600), "{:?}", start.elapsed());
    });
}

#[test]
fn connection_that_is_reset_does_not_pass_for_the_end_of_a_body() {
    // Its end is the connection's end: only a proper close may be taken for it.
    let server = Scripted::start(|peer| {
        let mut some = [0; 64];
        let _ = peer.stream.read(&mut some).expect("a request");
        peer.stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhalf").expect("the client is there");
        // Long enough for the client to read it. What is unread when a socket is closed makes the kernel reset.
        std::thread::sleep(MS(50));
    });
    run(async {
        let client = HttpClient::new(quick());
        let big = Request::post(server.url("/")).body(Bytes::from(vec![b'x'; 1 << 20])).expect("a good request");
        let answer = client.call(big).await;
        assert!(matches!(answer, Err(HttpError::Reset { .. })), "{answer:?}");
    });
}

#[test]
fn request_that_finds_its_kept_connection_closed_comes_back_unwritten() {
    let (close, closing) = std::sync::mpsc::channel::<()>();
    let closing = std::sync::Mutex::new(closing);
    let server = Scripted::start(move |peer| {
        drop(peer.request());
        peer.ok("answer");
        let _ = closing.lock().expect("no panic").recv();
    });
    run(async {
        let client = HttpClient::new(quick());
        let target = Target::of(&server.url("/").parse().expect("a good address")).expect("a good address");
        let mut link = client.dial(&target, MS(500)).await.expect("it listens");
        let ask = || in_origin_form(post(&server.url("/"), "question"), &target);
        assert!(client.exchange(&mut link, ask(), &target, quick().patience, false).await.is_ok());
        close.send(()).expect("the script waits");
        // The connection's task sees the close, after the pool had its look.
        sleep(MS(50)).await;
        match client.exchange(&mut link, ask(), &target, quick().patience, true).await {
            Err(Refused::Unwritten(request)) => assert_eq!(request.uri().path(), "/"),
            Err(Refused::Failed(error)) => panic!("{error}"),
            Ok(_) => panic!("answered by nobody"),
        }
    });
}
