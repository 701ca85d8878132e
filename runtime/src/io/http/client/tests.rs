use super::*;
use crate::facade::{now, run_here, sleep, spawn};
use crate::io::http::scripted::Scripted;
use futures_util::future::join_all;
use std::sync::{Arc, Mutex};

pub(super) const MS: fn(u64) -> Duration = Duration::from_millis;

pub(super) fn quick() -> ClientSettings {
    ClientSettings {
        patience: Patience { connect: MS(500), head: MS(300), stall: MS(300) },
        ..ClientSettings::default()
    }
}

pub(super) fn post(url: &str, body: &'static str) -> Request<Bytes> {
    Request::post(url).body(Bytes::from_static(body.as_bytes())).expect("a good request")
}

pub(super) fn run<F: Future>(f: F) -> F::Output {
    run_here(f).expect("an executor starts here")
}

pub(super) async fn text(client: &HttpClient, url: &str) -> Result<String, HttpError> {
    let body = client.call(post(url, "question")).await?.into_body();
    Ok(String::from_utf8_lossy(&body).into_owned())
}

#[test]
fn connection_is_kept_and_used_again() {
    let server = Scripted::start(|peer| peer.answer_all("answer"));
    run(async {
        let client = HttpClient::new(quick());
        for i in 0..5 {
            let response = client.call(post(&server.url("/"), "")).await.expect("it answers");
            let exchange = response.extensions().get::<Exchange>().expect("it is noted");
            assert_eq!(exchange.reused, i > 0);
            assert!(exchange.sent_at <= exchange.head_at);
        }
        assert_eq!((server.connections(), client.idle_connections()), (1, 1));
    });
}

#[test]
fn server_that_closes_after_each_answer_costs_a_connection_and_no_error() {
    let server = Scripted::start(|peer| {
        // Nothing announces the close.
        drop(peer.request());
        peer.ok("answer");
    });
    run(async {
        let client = HttpClient::new(quick());
        for _ in 0..10 {
            assert_eq!(text(&client, &server.url("/")).await.as_deref(), Ok("answer"));
            sleep(MS(5)).await;
        }
        assert_eq!(server.connections(), 10);
    });
}

#[test]
fn stale_connection_found_only_when_written_to_is_replaced() {
    let server = Scripted::start(|peer| {
        drop(peer.request());
        peer.ok("answer");
    });
    run(async {
        let client = HttpClient::new(quick());
        assert!(text(&client, &server.url("/")).await.is_ok());
        // The core is busy while the server closes: its connection's task has not run when the next call is made.
        std::thread::sleep(MS(30));
        assert_eq!(text(&client, &server.url("/")).await.as_deref(), Ok("answer"));
    });
}

#[test]
fn request_line_is_in_origin_form_and_host_is_exact() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let heads = Arc::clone(&seen);
    let server = Scripted::start(move |peer| {
        while let Some((head, body)) = peer.request() {
            heads.lock().expect("no panic").push((head, body));
            peer.ok("");
        }
    });
    run(async {
        let client = HttpClient::new(quick());
        client.call(post(&server.url("/a/b?c=d"), "body")).await.expect("it answers");
        let port = server.address.port();
        client.call(post(&format!("http://localhost:{port}"), "")).await.expect("it answers");
    });
    let seen = seen.lock().expect("no panic");
    let lines: Vec<Vec<&str>> = seen.iter().map(|(head, _)| head.lines().collect()).collect();
    assert_eq!(lines[0][0], "POST /a/b?c=d HTTP/1.1");
    assert!(lines[0].contains(&format!("host: {}", server.address).as_str()), "{:?}", lines[0]);
    assert_eq!(seen[0].1, b"body");
    assert_eq!(lines[1][0], "POST / HTTP/1.1");
    assert!(lines[1].contains(&format!("host: localhost:{}", server.address.port()).as_str()), "{:?}", lines[1]);
}

#[test]
fn default_port_is_left_out_of_host_and_brackets_out_of_the_address() {
    let target = |url: &'static str| Target::of(&Uri::from_static(url)).expect("a good address");
    assert_eq!(target("http://example.com:80/").host_header, "example.com");
    assert_eq!(target("http://example.com/").address, "example.com:80");
    assert_eq!(target("http://[::1]:4567/").host_header, "[::1]:4567");
    assert_eq!(target("http://[::1]:4567/").host, "::1");
    assert_eq!(target("https://example.com:443/").host_header, "example.com");
    assert_eq!(target("https://example.com/").address, "example.com:443");
    assert_eq!(target("https://example.com:80/").host_header, "example.com:80");
}

#[test]
fn address_that_cannot_be_called_is_refused_at_once() {
    run(async {
        let client = HttpClient::new(quick());
        assert!(matches!(client.call(post("/no/host", "")).await, Err(HttpError::Address { .. })));
        assert!(matches!(client.call(post("ftp://host/", "")).await, Err(HttpError::Address { .. })));
    });
}

#[test]
fn head_that_does_not_come_times_out_and_the_next_call_works() {
    let server = Scripted::start(|peer| {
        if peer.index == 0 {
            drop(peer.request());
            std::thread::sleep(MS(2_000));
        } else {
            peer.answer_all("answer");
        }
    });
    run(async {
        let client = HttpClient::new(quick());
        let start = now();
        let error = text(&client, &server.url("/")).await.expect_err("nothing comes");
        assert_eq!(
            error,
            HttpError::Timeout { waited: Waited::Head, address: server.address.to_string(), limit_ms: 300 }
        );
        assert!(start.elapsed() < MS(1_000), "{:?}", start.elapsed());
        assert_eq!(text(&client, &server.url("/")).await.as_deref(), Ok("answer"));
    });
}

#[test]
fn body_that_stalls_is_given_up() {
    let server = Scripted::start(|peer| {
        drop(peer.request());
        peer.write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf");
        std::thread::sleep(MS(2_000));
    });
    run(async {
        let client = HttpClient::new(quick());
        let start = now();
        let error = text(&client, &server.url("/")).await.expect_err("the rest does not come");
        assert_eq!(
            error,
            HttpError::Timeout { waited: Waited::Body, address: server.address.to_string(), limit_ms: 300 }
        );
        assert!(start.elapsed() < MS(1_200), "{:?}", start.elapsed());
        assert_eq!(client.idle_connections(), 0);
    });
}

#[test]
fn slow_big_body_is_not_killed_by_the_time_out_of_the_head() {
    let server = Scripted::start(|peer| {
        drop(peer.request());
        peer.write(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 12 * 100_000));
        for _ in 0..12 {
            peer.write(vec![b'x'; 100_000]);
            std::thread::sleep(MS(60));
        }
    });
    run(async {
        let start = now();
        let body = text(&HttpClient::new(quick()), &server.url("/")).await.expect("it comes in the end");
        assert_eq!(body.len(), 12 * 100_000);
        assert!(start.elapsed() > MS(600), "the test tests nothing");
    });
}

#[test]
fn body_in_chunks_and_body_in_pieces_come_whole() {
    let server = Scripted::start(|peer| {
        while let Some((head, _)) = peer.request() {
            if head.contains("/chunked") {
                peer.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n");
                std::thread::sleep(MS(10));
                peer.write("2\r\nde\r\n0\r\n\r\n");
            } else {
                peer.write("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nab");
                std::thread::sleep(MS(10));
                peer.write("cd");
                std::thread::sleep(MS(10));
                peer.write("ef");
            }
        }
    });
    run(async {
        let client = HttpClient::new(quick());
        assert_eq!(text(&client, &server.url("/chunked")).await.as_deref(), Ok("abcde"));
        assert_eq!(text(&client, &server.url("/pieces")).await.as_deref(), Ok("abcdef"));
        assert_eq!(server.connections(), 1);
    });
}

#[test]
fn connection_cut_in_the_answer_is_an_error_and_is_not_repeated() {
    let server = Scripted::start(|peer| {
        drop(peer.request());
        if peer.index == 1 {
            peer.write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf");
        }
    });
    run(async {
        let client = HttpClient::new(quick());
        for _ in 0..2 {
            let error = text(&client, &server.url("/")).await.expect_err("it is cut");
            assert!(matches!(error, HttpError::Reset { .. }), "{error}");
            assert!(!error.was_not_sent());
        }
        // A written request is the caller's to repeat: it may have been carried out.
        assert_eq!(server.connections(), 2);
    });
}

#[test]
fn refused_connection_is_said_quickly() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("loopback");
    run(async {
        let start = now();
        let error = text(&HttpClient::new(quick()), &format!("http://{free}/")).await.expect_err("nobody is there");
        assert_eq!(error.to_string(), format!("{free} cannot be reached: Connection refused (os error 111)"));
        assert!(error.was_not_sent());
        assert!(start.elapsed() < MS(200), "{:?}", start.elapsed());
    });
}

#[test]
fn all_addresses_of_a_name_are_tried() {
    let server = Scripted::start(|peer| peer.answer_all("answer"));
    let dead = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("loopback");
    run(async {
        assert!(tcp::connect(&[dead, server.address], MS(500)).await.is_ok());
        assert!(tcp::connect(&[dead, dead], MS(500)).await.is_err());
        assert!(tcp::connect(&[], MS(500)).await.is_err());
    });
}

#[test]
fn name_that_does_not_resolve_is_said() {
    run(async {
        let settings = ClientSettings { patience: Patience { connect: MS(20_000), ..quick().patience }, ..quick() };
        let error = text(&HttpClient::new(settings), "http://no-such-host.invalid:1/").await.expect_err("no such name");
        assert!(matches!(&error, HttpError::Dns { host, .. } if host == "no-such-host.invalid"), "{error}");
    });
}

#[test]
fn what_is_not_http_is_said() {
    let server = Scripted::start(|peer| {
        drop(peer.request());
        peer.write("SSH-2.0-OpenSSH_9.9\r\n\r\n");
    });
    run(async {
        let error = text(&HttpClient::new(quick()), &server.url("/")).await.expect_err("not HTTP");
        assert!(matches!(error, HttpError::Protocol { .. }), "{error}");
    });
}

#[test]
fn answer_beyond_the_limit_is_refused_whether_declared_or_not() {
    let server = Scripted::start(|peer| {
        let Some((head, _)) = peer.request() else {
            return;
        };
        if head.contains("/declared") {
            peer.write("HTTP/1.1 200 OK\r\ncontent-length: 99999999999999\r\n\r\n");
        } else {
            peer.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
            for _ in 0..100 {
                peer.write(format!("400\r\n{}\r\n", "x".repeat(1024)));
            }
        }
    });
    run(async {
        let client = HttpClient::new(ClientSettings { body_bytes_max: 10_000, ..quick() });
        for path in ["/declared", "/chunked"] {
            let error = text(&client, &server.url(path)).await.expect_err("too long");
            assert_eq!(error, HttpError::TooLarge { address: server.address.to_string(), limit_bytes: 10_000 });
        }
    });
}

#[test]
fn dropped_call_closes_its_connection_and_the_next_works() {
    let (sender, closed) = std::sync::mpsc::channel();
    let server = Scripted::start(move |peer| {
        if peer.index > 0 {
            return peer.answer_all("answer");
        }
        drop(peer.request());
        // Ends only when the client closes.
        sender.send(peer.request().is_none()).expect("the test waits");
    });
    run(async {
        let client =
            HttpClient::new(ClientSettings { patience: Patience { head: MS(60_000), ..quick().patience }, ..quick() });
        let call = {
            let (client, url) = (client.clone(), server.url("/"));
            spawn(async move { text(&client, &url).await })
        };
        sleep(MS(50)).await;
        assert!(call.cancel().await.is_none());
        assert_eq!(text(&client, &server.url("/")).await.as_deref(), Ok("answer"));
    });
    assert!(closed.recv_timeout(MS(2_000)).expect("the connection was closed"));
}

#[test]
fn parallel_calls_have_connections_of_their_own_which_are_kept() {
    let server = Scripted::start(|peer| {
        while peer.request().is_some() {
            std::thread::sleep(MS(20));
            peer.ok("answer");
        }
    });
    run(async {
        let client = HttpClient::new(quick());
        for _ in 0..3 {
            let url = server.url("/");
            let answers = join_all((0..8).map(|_| text(&client, &url))).await;
            assert!(answers.iter().all(|answer| answer.as_deref() == Ok("answer")), "{answers:?}");
        }
        assert_eq!((server.connections(), client.idle_connections()), (8, 8));
    });
}

#[test]
fn idle_connections_are_bounded_in_number_and_age() {
    let server = Scripted::start(|peer| peer.answer_all("answer"));
    run(async {
        let client = HttpClient::new(ClientSettings { idle_max: 2, idle_age_max: MS(100), ..quick() });
        let url = server.url("/");
        join_all((0..6).map(|_| text(&client, &url))).await;
        assert_eq!(client.idle_connections(), 2);
        sleep(MS(150)).await;
        let before = server.connections();
        text(&client, &url).await.expect("it answers");
        assert_eq!(server.connections(), before + 1, "an old connection was used");
    });
}

#[test]
fn poisoned_connection_is_not_used_again() {
    let server = Scripted::start(|peer| peer.answer_all("answer"));
    run(async {
        let client = HttpClient::new(quick());
        for (poisoned, connections) in [(false, 1), (true, 1), (false, 2), (false, 2)] {
            let poison = Poison::default();
            let mut request = post(&server.url("/"), "");
            request.extensions_mut().insert(poison.clone());
            client.call(request).await.expect("it answers");
            assert_eq!(server.connections(), connections);
            if poisoned {
                poison.poison();
            }
        }
    });
}
