//! A local endpoint that breaks does not leave its process behind as if it still served.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use weir_kinesis::local::{LocalEndpoint, LocalSettings};

const ALONE: &str = "WEIR_TEST_ALONE";

#[test]
fn panic_on_the_endpoints_thread_ends_the_process_after_saying_why() {
    if std::env::var_os(ALONE).is_none() {
        let output = std::process::Command::new(std::env::current_exe().expect("a test has a path"))
            .args(["--exact", "panic_on_the_endpoints_thread_ends_the_process_after_saying_why", "--nocapture"])
            .env(ALONE, "1")
            .output()
            .expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("a panic under this lock has ended the endpoint"), "{said}");
        return;
    }
    let endpoint = LocalEndpoint::spawn_thread("127.0.0.1:0", LocalSettings::default()).expect("loopback");
    let poisoned = catch_unwind(AssertUnwindSafe(|| endpoint.with_model(|_| panic!("planted"))));
    assert!(poisoned.is_err());
    // The next request finds the model broken.
    let mut client = TcpStream::connect(endpoint.address()).expect("it listens");
    let request = b"POST / HTTP/1.1\r\nhost: x\r\nx-amz-target: Kinesis_20131202.ListStreams\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: 2\r\n\r\n{}";
    client.write_all(request).expect("it reads");
    client.set_read_timeout(Some(Duration::from_secs(5))).expect("a good time");
    let _ = client.read(&mut [0; 1]);
    std::thread::sleep(Duration::from_secs(5));
    std::process::exit(0);
}
