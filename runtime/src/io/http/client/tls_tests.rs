//! The client over TLS: whom it believes, and what it says about others.

use super::tests::{MS, quick, run, text};
use super::*;
use crate::facade::Task;
use crate::io::http::scripted::Scripted;
use crate::io::http::server::{self, ServerSettings};
use crate::io::tls::testing::Authority;
use crate::io::tls::{ServerIdentity, TlsProblem, TrustError};
use crate::signal::signal;
use futures_util::FutureExt;
use rcgen::CertificateParams;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use tempfile::NamedTempFile;

fn bundle(text: &str) -> NamedTempFile {
    let file = NamedTempFile::new().expect("there is room");
    file.as_file().write_all(text.as_bytes()).expect("there is room");
    file
}

/// A TLS server with this certificate; each request is answered with "answer".
async fn serve(certified: (String, String)) -> (SocketAddr, Task<()>) {
    serve_until(certified, std::future::pending()).await
}

async fn serve_until(
    (chain, key): (String, String),
    stop: impl Future<Output = ()> + 'static,
) -> (SocketAddr, Task<()>) {
    let identity = ServerIdentity::from_pem(chain.as_bytes(), key.as_bytes()).expect("they belong together");
    let settings = ServerSettings { tls: Some(identity), ..ServerSettings::default() };
    let listener = server::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = listener.local_addr();
    let handler: server::Handler =
        Rc::new(|_: Request<Bytes>| async { Response::new(Bytes::from_static(b"answer")) }.boxed_local());
    (address, spawn(server::serve(listener, settings, handler, stop)))
}

fn client(trust: Trust) -> HttpClient {
    HttpClient::new(ClientSettings {
        patience: Patience { connect: MS(5_000), ..quick().patience },
        trust,
        ..ClientSettings::default()
    })
}

/// What a client that believes the authority says about a server with this certificate, called by `host`.
async fn problem(
    authority: &Authority,
    host: &str,
    names: &[&str],
    spoil: impl FnOnce(&mut CertificateParams),
) -> (TlsProblem, HttpError) {
    let (address, _server) = serve(authority.certify_with(names, spoil)).await;
    let file = bundle(&authority.pem());
    let client = client(Trust::File(file.path().to_owned()));
    let error = text(&client, &format!("https://{host}:{}/", address.port())).await.expect_err("not trusted");
    assert!(error.was_not_sent());
    match &error {
        HttpError::Tls { problem, .. } => (problem.clone(), error.clone()),
        other => panic!("{other}"),
    }
}

#[test]
fn certificate_out_of_its_time_is_refused_with_the_time() {
    run(async {
        let authority = Authority::new();
        let (problem_found, error) = problem(&authority, "localhost", &["localhost"], |params| {
            params.not_after = rcgen::date_time_ymd(2020, 1, 2)
        })
        .await;
        assert_eq!(problem_found, TlsProblem::Expired { at: "2020-01-02T00:00:00Z".into() });
        assert!(error.to_string().ends_with(" failed: its certificate expired 2020-01-02T00:00:00Z"), "{error}");
        let early = |params: &mut CertificateParams| params.not_before = rcgen::date_time_ymd(2999, 1, 2);
        let (problem_found, _) = problem(&authority, "localhost", &["localhost"], early).await;
        assert_eq!(problem_found, TlsProblem::NotYetValid { from: "2999-01-02T00:00:00Z".into() });
    });
}

#[test]
fn certificate_of_somebody_else_is_refused_with_both_names() {
    run(async {
        let authority = Authority::new();
        for host in ["localhost", "127.0.0.1"] {
            let names = ["a.example.com", "10.0.0.1"];
            let (problem_found, _) = problem(&authority, host, &names, |_| {}).await;
            let TlsProblem::WrongName { wanted, presented } = &problem_found else { panic!("{problem_found}") };
            assert_eq!(wanted, host);
            assert!(presented.contains("a.example.com") && !presented.contains('"'), "{problem_found}");
        }
    });
}

#[test]
fn certificate_of_an_unknown_authority_is_refused_with_whom_we_believe() {
    run(async {
        let (address, _server) = serve(Authority::new().certify(&["localhost"])).await;
        let url = format!("https://localhost:{}/", address.port());
        for stranger in [Authority::named("Somebody else"), Authority::new()] {
            let file = bundle(&stranger.pem());
            let error = text(&client(Trust::File(file.path().to_owned())), &url).await.expect_err("a stranger");
            let expected = format!(
                "TLS with localhost:{} failed: its certificate is signed by no authority in {}",
                address.port(),
                file.path().display()
            );
            assert_eq!(error.to_string(), expected);
        }
    });
}

#[test]
fn certificates_that_cannot_be_had_are_said_with_their_file() {
    run(async {
        let server = Scripted::start(|peer| drop(peer.request()));
        let url = format!("https://{}/", server.address);
        let missing = PathBuf::from("/nonexistent/bundle.pem");
        let error = text(&client(Trust::File(missing.clone())), &url).await.expect_err("no such file");
        let reason = "No such file or directory (os error 2)".to_owned();
        assert_eq!(error, HttpError::Trust(TrustError::Unreadable { path: missing, reason }));
        let key = Authority::new().certify(&["localhost"]).1;
        for text_without in ["", "hello", key.as_str()] {
            let file = bundle(text_without);
            let path = file.path().to_owned();
            let error = text(&client(Trust::File(path.clone())), &url).await.expect_err("no certificate");
            assert_eq!(error.to_string(), format!("{} holds no certificate in PEM format", path.display()));
            assert!(error.was_not_sent());
        }
    });
}

/// What the environment says is a process's affair: runs the named test alone, with only this variable.
fn rerun(test: &str, variable: &str, value: &str) -> bool {
    if std::env::var_os("WEIR_TEST_INNER").is_some() {
        return false;
    }
    let output = Command::new(std::env::current_exe().expect("a test has a path"))
        .args(["--exact", &format!("io::http::client::tls_tests::{test}"), "--nocapture"])
        .env_clear()
        .envs([("WEIR_TEST_INNER", "1"), (variable, value)])
        .output()
        .expect("it starts");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    true
}

#[test]
fn system_without_authorities_is_said() {
    if rerun("system_without_authorities_is_said", "SSL_CERT_FILE", "/dev/null") {
        return;
    }
    run(async {
        let server = Scripted::start(|peer| drop(peer.request()));
        let url = format!("https://{}/", server.address);
        let error = text(&client(Trust::System), &url).await.expect_err("nobody to believe");
        assert_eq!(error.to_string(), "this system has no certificate authorities");
    });
}

#[test]
fn system_authorities_are_believed() {
    let authority = Authority::new();
    if std::env::var_os("WEIR_TEST_INNER").is_none() {
        let both = format!("{}{}", authority.pem(), {
            let (chain, key) = authority.certify(&["localhost"]);
            format!("{chain}{key}")
        });
        let file = bundle(&both);
        assert!(rerun("system_authorities_are_believed", "SSL_CERT_FILE", file.path().to_str().expect("a plain path")));
        return;
    }
    run(async {
        let pem = std::fs::read_to_string(std::env::var_os("SSL_CERT_FILE").expect("it is set")).expect("it is there");
        let at = pem.rfind("-----BEGIN CERTIFICATE").expect("two certificates");
        let (address, _server) = serve((pem[at..].to_owned(), pem[at..].to_owned())).await;
        let url = format!("https://localhost:{}/", address.port());
        assert_eq!(text(&client(Trust::System), &url).await.as_deref(), Ok("answer"));
    });
}

#[test]
fn server_that_does_not_speak_tls_is_said() {
    let server = Scripted::start(|peer| {
        peer.write("HTTP/1.1 400 Bad Request\r\n\r\n");
        drop(peer.request());
    });
    run(async {
        let file = bundle(&Authority::new().pem());
        let error = text(&client(Trust::File(file.path().to_owned())), &format!("https://{}/", server.address)).await;
        let address = server.address.to_string();
        assert_eq!(error, Err(HttpError::Tls { address, problem: TlsProblem::NotTls }));
    });
}

#[test]
fn handshake_that_hangs_counts_as_connecting_and_one_that_is_cut_as_a_reset() {
    let server = Scripted::start(|peer| {
        if peer.index == 0 {
            // Ends when the client closes.
            drop(peer.request());
        }
    });
    run(async {
        let file = bundle(&Authority::new().pem());
        let client = HttpClient::new(ClientSettings { trust: Trust::File(file.path().to_owned()), ..quick() });
        let (url, address) = (format!("https://{}/", server.address), server.address.to_string());
        let error = text(&client, &url).await.expect_err("it hangs");
        assert_eq!(error, HttpError::Timeout { waited: Waited::Connect, address, limit_ms: 500 });
        let error = text(&client, &url).await.expect_err("it is cut");
        assert!(matches!(&error, HttpError::Reset { reason, .. } if reason.contains("TLS handshake")), "{error}");
    });
}

#[test]
fn tls_connection_is_kept_and_one_that_the_server_closed_is_replaced() {
    run(async {
        let authority = Authority::new();
        let (stop, mut stopping) = signal();
        let until = async move { stopping.wait().await };
        let (address, server) = serve_until(authority.certify(&["127.0.0.1"]), until).await;
        let file = bundle(&authority.pem());
        let client = client(Trust::File(file.path().to_owned()));
        let call =
            || client.call(Request::post(format!("https://{address}/")).body(Bytes::new()).expect("a good request"));
        for i in 0..4 {
            let response = call().await.expect("it answers");
            let exchange = response.extensions().get::<Exchange>().expect("it is noted");
            assert_eq!(exchange.reused, i > 0, "call {i}");
        }
        stop.notify();
        server.await;
        // Nobody is there, but nothing was written to the dead connection: the failure is that of a new one. The kernel
        // may take it for a moment yet.
        let error = call().await.expect_err("nobody is there").to_string();
        assert!(error.contains("cannot be reached") || error.contains("during the TLS handshake"), "{error}");
    });
}

#[test]
fn plain_and_tls_connections_to_one_port_are_kept_apart() {
    run(async {
        let authority = Authority::new();
        let (address, _server) = serve(authority.certify(&["127.0.0.1"])).await;
        let file = bundle(&authority.pem());
        let client = client(Trust::File(file.path().to_owned()));
        let url = format!("https://{address}/");
        assert_eq!(text(&client, &url).await.as_deref(), Ok("answer"));
        assert_eq!(client.idle_connections(), 1);
        assert!(text(&client, &format!("http://{address}/")).await.is_err(), "a TLS connection was used for http");
        assert_eq!(text(&client, &url).await.as_deref(), Ok("answer"));
    });
}
