use super::*;
use crate::facade::{now, run_here};
use crate::io::http::{ClientSettings, HttpClient};
use crate::signal::Listener as Stop;
use std::cell::RefCell;

pub(super) const MS: fn(u64) -> Duration = Duration::from_millis;

/// Answers with method, path, body and host; `/slow` after 200 ms; `/cut` with eight bytes of that.
fn echo(request: Request<Bytes>) -> LocalBoxFuture<'static, Response<Bytes>> {
    async move {
        if request.uri().path() == "/slow" {
            sleep(MS(200)).await;
        }
        let host = request.headers().get("host").and_then(|host| host.to_str().ok()).unwrap_or("nobody");
        let text = format!("{} {} {} bytes for {host}", request.method(), request.uri(), request.body().len());
        let mut response = Response::new(Bytes::from(text));
        if request.uri().path() == "/cut" {
            response.extensions_mut().insert(CutAfter(8));
        }
        response
    }
    .boxed_local()
}

pub(super) fn start(listener: Listener, settings: ServerSettings) -> (Task<()>, Notifier) {
    let (notifier, mut stop): (Notifier, Stop) = signal();
    let served = spawn(async move { serve(listener, settings, Rc::new(echo), async move { stop.wait().await }).await });
    (served, notifier)
}

pub(super) fn post(address: SocketAddr, path: &str, bytes: usize) -> Request<Bytes> {
    Request::post(format!("http://{address}{path}")).body(Bytes::from(vec![b'x'; bytes])).expect("a good request")
}

#[test]
fn requests_are_answered_on_a_kept_connection_until_stopped() {
    run_here(async {
        let listener = bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr();
        assert_ne!(address.port(), 0);
        let (served, stop) = start(listener, ServerSettings::default());
        let client = HttpClient::new(ClientSettings::default());
        for bytes in [0, 7, 1 << 20] {
            let response = client.call(post(address, "/a?b", bytes)).await.expect("it answers");
            assert_eq!(response.body(), format!("POST /a?b {bytes} bytes for {address}").as_bytes());
            assert!(response.headers().contains_key("date"));
        }
        assert_eq!(client.idle_connections(), 1);
        // An idle connection does not hold up a stop, nor is anyone served after it.
        let stopped = now();
        stop.notify();
        served.await;
        assert!(stopped.elapsed() < MS(500), "{:?}", stopped.elapsed());
        assert!(client.call(post(address, "/", 0)).await.is_err());
        bind(&address.to_string()).await.expect("the port is free again");
    })
    .expect("an executor starts here");
}

#[test]
fn answer_under_way_is_finished_when_stopped_but_not_beyond_the_grace() {
    run_here(async {
        for (grace, finished) in [(MS(2_000), true), (MS(20), false)] {
            let listener = bind("127.0.0.1:0").await.expect("loopback has a free port");
            let address = listener.local_addr();
            let (served, stop) = start(listener, ServerSettings { grace, ..ServerSettings::default() });
            let call =
                spawn(async move { HttpClient::new(ClientSettings::default()).call(post(address, "/slow", 0)).await });
            sleep(MS(50)).await;
            stop.notify();
            served.await;
            assert_eq!(call.await.is_ok(), finished, "grace {grace:?}");
        }
    })
    .expect("an executor starts here");
}

#[test]
fn body_beyond_the_limit_is_answered_with_413() {
    run_here(async {
        let listener = bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr();
        let (_served, _stop) = start(listener, ServerSettings { body_bytes_max: 1_000, ..ServerSettings::default() });
        let client = HttpClient::new(ClientSettings::default());
        assert_eq!(client.call(post(address, "/", 1_000)).await.expect("it answers").status(), 200);
        assert_eq!(client.call(post(address, "/", 1_001)).await.expect("it answers").status(), 413);
    })
    .expect("an executor starts here");
}

#[test]
fn many_connections_come_and_go() {
    run_here(async {
        let listener = bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr();
        let (served, stop) = start(listener, ServerSettings::default());
        let answered = Rc::new(RefCell::new(0));
        let clients = (0..50).map(|_| {
            let answered = Rc::clone(&answered);
            async move {
                let client = HttpClient::new(ClientSettings::default());
                for _ in 0..4 {
                    client.call(post(address, "/", 10)).await.expect("it answers");
                    *answered.borrow_mut() += 1;
                }
            }
        });
        futures_util::future::join_all(clients).await;
        assert_eq!(*answered.borrow(), 200);
        stop.notify();
        served.await;
    })
    .expect("an executor starts here");
}

#[test]
fn port_in_use_is_said_though_the_other_is_ours() {
    run_here(async {
        let listener = bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().to_string();
        let error = bind(&address).await.expect_err("it is in use");
        assert_eq!(
            error.to_string(),
            format!("{address} is in use by another program; choose another port, or 0 for any free one")
        );
    })
    .expect("an executor starts here");
}

#[test]
fn what_is_no_address_of_ours_is_said() {
    run_here(async {
        for bad in ["", "4567", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", "no-such-host.invalid:1"] {
            let error = bind(bad).await.expect_err(bad);
            assert!(error.to_string().starts_with(&format!("`{bad}` is not an address to listen at")), "{error}");
        }
        assert_eq!(bind("192.0.2.1:0").await.map(drop), Err(BindError::NotHere("192.0.2.1:0".into())));
    })
    .expect("an executor starts here");
}

/// Says something on a connection of its own and then only listens; gives what was answered before the server closed.
async fn says(address: SocketAddr, said: &[u8]) -> String {
    use futures_lite::io::{AsyncReadExt, AsyncWriteExt};
    let mut socket =
        tcp::Socket::new(glommio::net::TcpStream::connect(address).await.expect("it listens")).expect("set");
    socket.write_all(said).await.expect("it is taken");
    let mut answer = Vec::new();
    // A reset is as good as a close here.
    let _ = socket.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn request_that_stops_half_way_is_not_waited_for() {
    run_here(async {
        let listener = bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr();
        let settings = ServerSettings { stall: MS(150), ..ServerSettings::default() };
        let (served, stop) = start(listener, settings);
        let began = now();
        let half_head = says(address, b"POST / HTTP/1.1\r\nhost: a\r\ncontent-le").await;
        assert!(!half_head.contains("200 OK"), "{half_head}");
        let half_body = says(address, b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf").await;
        assert!(half_body.starts_with("HTTP/1.1 408"), "{half_body}");
        assert!(began.elapsed() < MS(3_000), "{:?}", began.elapsed());
        stop.notify();
        served.await;
    })
    .expect("an executor starts here");
}

#[test]
fn connections_beyond_the_most_wait_until_one_ends() {
    run_here(async {
        let listener = bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr();
        let (served, stop) = start(listener, ServerSettings { connections_max: 1, ..ServerSettings::default() });
        let first = HttpClient::new(ClientSettings::default());
        let _ = first.call(post(address, "/", 1)).await.expect("it is the first");
        let second = HttpClient::new(ClientSettings::default());
        let waited = tcp::within(MS(200), second.call(post(address, "/", 1))).await;
        assert!(waited.is_none(), "the first is still connected");
        let (mut freed, answered) = (Some(first), second.call(post(address, "/", 1)));
        let free = async {
            sleep(MS(50)).await;
            drop(freed.take());
            std::future::pending().await
        };
        let _ = futures_lite::future::or(answered, free).await.expect("there is room now");
        stop.notify();
        served.await;
    })
    .expect("an executor starts here");
}
