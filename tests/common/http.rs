//! Requests byte by byte, to see answers as they are and not as a client would have them.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

/// One request on a connection of its own; gives the status and the body. `head` is further header lines.
#[track_caller]
pub fn ask(address: &str, method: &str, path: &str, head: &str, body: &str) -> (u16, String) {
    let mut wire = TcpStream::connect(address).expect("it listens");
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{head}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    wire.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    let _ = wire.read_to_string(&mut answer).expect("it answers and closes");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head and body: {answer:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("no status: {head}")), body.to_owned())
}

/// An operation of the service, in JSON, with a signature that nobody judges.
#[track_caller]
pub fn call(address: &str, operation: &str, body: &str) -> (u16, String) {
    let head = format!(
        "content-type: application/x-amz-json-1.1\r\nx-amz-target: Kinesis_20131202.{operation}\r\n\
         x-amz-date: 20261124T000000Z\r\nauthorization: AWS4-HMAC-SHA256 \
         Credential=a/20261124/us-east-1/kinesis/aws4_request, SignedHeaders=host;x-amz-date, Signature=0\r\n"
    );
    ask(address, "POST", "/", &head, body)
}

/// A request to the endpoint itself, of `/_weir/faults` or `/_weir/clock`; gives the answer's JSON.
#[track_caller]
pub fn admin(address: &str, method: &str, path: &str, body: &str) -> serde_json::Value {
    let (status, said) = ask(address, method, path, "content-type: application/json\r\n", body);
    assert!((200..300).contains(&status), "{method} {path}: {status} {said}");
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}
