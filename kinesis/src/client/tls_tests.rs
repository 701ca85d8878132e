//! The client against https endpoints, each as a process of its own sees `AWS_CA_BUNDLE`.

use super::tests::{is_inner, rerun_in, run};
use super::*;
use bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::NamedTempFile;
use weir_runtime::facade;
use weir_runtime::io::http::server::{self, Handler, ServerSettings};
use weir_runtime::io::tls::ServerIdentity;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).expect("no names are good names");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("randomness")).expect("a key signs")
}

fn file(text: &str) -> NamedTempFile {
    let file = NamedTempFile::new().expect("there is room");
    file.as_file().write_all(text.as_bytes()).expect("there is room");
    file
}

/// Answers each GetRecords with an empty page, over TLS, with the certificate and key in the file that the variable names.
async fn serve() -> (String, Arc<AtomicUsize>) {
    let pem = std::fs::read(std::env::var_os("WEIR_TEST_SERVER").expect("it is set")).expect("it is there");
    let tls = Some(ServerIdentity::from_pem(&pem, &pem).expect("they belong together"));
    let listener = server::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let url = format!("https://localhost:{}", listener.local_addr().port());
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&requests);
    let handler: Handler = Rc::new(move |_: http::Request<Bytes>| {
        counter.fetch_add(1, Ordering::SeqCst);
        let page = r#"{"Records":[],"NextShardIterator":"next","MillisBehindLatest":0}"#;
        std::future::ready(http::Response::new(Bytes::from_static(page.as_bytes()))).boxed_local()
    });
    let settings = ServerSettings { tls, ..ServerSettings::default() };
    facade::spawn(server::serve(listener, settings, handler, std::future::pending())).detach();
    (url, requests)
}

async fn client(url: String) -> Client {
    let settings = ServiceSettings {
        endpoint_url: Some(url),
        region: Some("eu-central-1".into()),
        access_key_id: Some("AKID".into()),
        secret_access_key: Some("secret".into()),
        ..ServiceSettings::default()
    };
    Client::connect(&settings).await.expect("keys and region are set")
}

/// Runs the named test alone, with a server's certificate for `localhost` and this bundle.
fn outer(test: &str, bundle: &str, signer: &Authority) {
    let key = KeyPair::generate().expect("randomness");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a good name");
    let certificate = params.signed_by(&key, signer).expect("a key signs");
    let server = file(&format!("{}{}", certificate.pem(), key.serialize_pem()));
    let server = server.path().to_str().expect("a plain path");
    rerun_in("tls_tests", test, &[("AWS_CA_BUNDLE", bundle), ("WEIR_TEST_SERVER", server)]);
}

#[test]
fn https_endpoint_is_called_if_the_bundle_vouches_for_it() {
    if !is_inner() {
        let signer = authority("Ours");
        let bundle = file(&signer.pem());
        return outer(
            "https_endpoint_is_called_if_the_bundle_vouches_for_it",
            bundle.path().to_str().expect("a plain path"),
            &signer,
        );
    }
    run(async {
        let (url, requests) = serve().await;
        let client = client(url).await;
        for _ in 0..3 {
            assert!(client.get_records("it".into(), 1).await.expect("a page").batch.is_empty());
        }
        assert_eq!(requests.load(Ordering::SeqCst), 3);
    });
}

#[test]
fn https_endpoint_that_nobody_vouches_for_is_not_tried_again() {
    if !is_inner() {
        let bundle = file(&authority("Others").pem());
        return outer(
            "https_endpoint_that_nobody_vouches_for_is_not_tried_again",
            bundle.path().to_str().expect("a plain path"),
            &authority("Ours"),
        );
    }
    run(async {
        let (url, requests) = serve().await;
        let begun = facade::now();
        let client = client(url).await;
        let error = client.list_streams().await.expect_err("not trusted");
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Tls, "Tls"));
        let bundle = std::env::var("AWS_CA_BUNDLE").expect("it is set");
        assert!(
            error.message.ends_with(&format!(
                "failed: its certificate is signed by no authority in {bundle}; set AWS_CA_BUNDLE to a PEM file with the authority that signed it"
            )),
            "{error}"
        );
        assert_eq!(requests.load(Ordering::SeqCst), 0);
        // Three attempts would have waited in between.
        assert!(begun.elapsed().as_millis() < 500, "{:?}", begun.elapsed());
    });
}

#[test]
fn bundle_that_is_not_there_is_said_with_its_name() {
    if !is_inner() {
        return outer("bundle_that_is_not_there_is_said_with_its_name", "/nonexistent/ca.pem", &authority("Ours"));
    }
    run(async {
        let (url, _) = serve().await;
        let error = client(url).await.get_records("it".into(), 1).await.expect_err("no bundle");
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Tls, "CaBundle"));
        assert_eq!(
            error.message,
            "the certificates in /nonexistent/ca.pem cannot be read: No such file or directory (os error 2); correct AWS_CA_BUNDLE, or unset it"
        );
    });
}
