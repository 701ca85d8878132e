//! Requests as botocore 1.44.5 signed them, and what may be wrong with such a one.

use http::HeaderValue;

use super::*;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
/// 2026-11-23T00:51:00Z, when they were signed.
const SIGNED_MS: i64 = 1_795_395_060_000;
const MINUTE_MS: i64 = 60_000;

fn keys() -> Keys {
    Keys { access_key_id: Some("AKIDEXAMPLE".to_owned()), secret_access_key: SECRET.to_owned() }
}

fn request(uri: &str, body: &'static str) -> Request<Bytes> {
    let mut request = Request::post(uri)
        .header("host", "127.0.0.1:4567")
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", "Kinesis_20131202.ListStreams")
        .header("x-spaced", "  a   b ")
        .body(Bytes::from_static(body.as_bytes()))
        .expect("a plain request");
    request.headers_mut().append("user-agent", HeaderValue::from_static("changes on its way"));
    request
}

fn set(request: &mut Request<Bytes>, name: &'static str, value: &str) {
    let _ = request.headers_mut().insert(name, HeaderValue::from_str(value).expect("visible"));
}

/// Signed in its headers.
fn signed() -> Request<Bytes> {
    let mut request = request("/", r#"{"Limit":3}"#);
    set(&mut request, "x-amz-date", "20261123T005100Z");
    let scope = "AKIDEXAMPLE/20261123/eu-central-1/kinesis/aws4_request";
    let names = "content-type;host;x-amz-date;x-amz-target;x-spaced";
    let signature = "d4bc3cf9f3f1227692ff464385e73c8296ce8aee9fa5f103efeb920c6b326b00";
    let authorization = format!("{ALGORITHM} Credential={scope}, SignedHeaders={names}, Signature={signature}");
    set(&mut request, "authorization", &authorization);
    request
}

/// Signed in its query, good for an hour.
fn presigned() -> Request<Bytes> {
    let uri = "/?Limit=3&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20261123%2Feu-central-1%2F\
               kinesis%2Faws4_request&X-Amz-Date=20261123T005100Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=content-type\
               %3Bhost%3Bx-amz-target%3Bx-spaced&X-Amz-Signature=\
               08edb313e492376f0795b61590e67db5a40ccba8b172ddd4fc2384cd4d9bc643";
    request(uri, "")
}

fn refusal(keys: &Keys, now_ms: i64, request: &Request<Bytes>) -> (&'static str, String) {
    match judge(keys, now_ms, request) {
        Err(Refusal::Said { exception, message }) => (exception, message.unwrap_or_default()),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn mismatch(request: &Request<Bytes>) {
    let (exception, message) = refusal(&keys(), SIGNED_MS, request);
    assert_eq!(exception, "InvalidSignatureException");
    assert!(message.starts_with("The request signature we calculated does not match"), "{message}");
}

#[test]
fn request_signed_by_botocore_is_taken_by_key_id_or_any() {
    judge(&keys(), SIGNED_MS, &signed()).expect("signed with this secret");
    judge(&Keys { access_key_id: None, ..keys() }, SIGNED_MS, &signed()).expect("any key id");
    judge(&keys(), SIGNED_MS, &presigned()).expect("signed in its query");

    let mut with_token = signed();
    *with_token.uri_mut() = "/?b=2&a=x%20y&a=1".parse().expect("a path");
    set(&mut with_token, "x-amz-security-token", "TOKEN");
    let names = "content-type;host;x-amz-date;x-amz-security-token;x-amz-target;x-spaced";
    let signature = "0de7bf9e230584f79edecfb4fea70f883255c620b40b1d8b816e9bd669fb7ad8";
    let scope = "AKIDEXAMPLE/20261123/eu-central-1/kinesis/aws4_request";
    let authorization = format!("{ALGORITHM} Credential={scope}, SignedHeaders={names}, Signature={signature}");
    set(&mut with_token, "authorization", &authorization);
    judge(&keys(), SIGNED_MS, &with_token).expect("signed with a session token and a query");
}

#[test]
fn host_of_an_http_2_request_is_its_authority() {
    let mut request = signed();
    let _ = request.headers_mut().remove("host");
    *request.uri_mut() = "http://127.0.0.1:4567/".parse().expect("a URL");
    judge(&keys(), SIGNED_MS, &request).expect("the same host");
    *request.uri_mut() = "http://localhost:4567/".parse().expect("a URL");
    mismatch(&request);
}

#[test]
fn other_secret_or_any_change_is_a_mismatch() {
    let other = Keys { secret_access_key: "another".to_owned(), ..keys() };
    let (exception, message) = refusal(&other, SIGNED_MS, &signed());
    assert_eq!(exception, "InvalidSignatureException");
    assert!(!message.contains("another") && !message.contains(SECRET), "{message}");

    let mut body = signed();
    *body.body_mut() = Bytes::from_static(b"{\"Limit\":4}");
    mismatch(&body);
    let mut target = signed();
    set(&mut target, "x-amz-target", "Kinesis_20131202.DeleteStream");
    mismatch(&target);
    let mut path = signed();
    *path.uri_mut() = "/other".parse().expect("a path");
    mismatch(&path);
    for broken in ["Signature=d4bc", "Signature=xyz", "Signature=é"] {
        let mut request = signed();
        let header = format!(
            "{ALGORITHM} Credential=AKIDEXAMPLE/20261123/eu-central-1/kinesis/aws4_request, \
                              SignedHeaders=host;x-amz-date, {broken}"
        );
        let _ = request.headers_mut().insert("authorization", HeaderValue::from_bytes(header.as_bytes()).unwrap());
        assert!(judge(&keys(), SIGNED_MS, &request).is_err(), "{broken}");
    }
    let mut twice = signed();
    twice.headers_mut().append("x-spaced", HeaderValue::from_static("c"));
    mismatch(&twice);
}

#[test]
fn another_key_id_is_not_recognized() {
    let other = Keys { access_key_id: Some("AKIDOTHER".to_owned()), ..keys() };
    let said = refusal(&other, SIGNED_MS, &signed());
    assert_eq!(said, ("UnrecognizedClientException", "The security token included in the request is invalid.".into()));
}

#[test]
fn clock_may_be_off_by_15_minutes_and_no_more() {
    for off_ms in [-15 * MINUTE_MS, 15 * MINUTE_MS + 999] {
        judge(&keys(), SIGNED_MS + off_ms, &signed()).expect("within 15 minutes");
    }
    let (exception, message) = refusal(&keys(), SIGNED_MS + 15 * MINUTE_MS + 1_000, &signed());
    assert_eq!(exception, "InvalidSignatureException");
    assert_eq!(
        message,
        "Signature expired: 20261123T005100Z is now earlier than 20261123T005101Z (20261123T010601Z - 15 min.)"
    );
    let (_, message) = refusal(&keys(), SIGNED_MS - 15 * MINUTE_MS - 1, &signed());
    assert_eq!(
        message,
        "Signature not yet current: 20261123T005100Z is still later than 20261123T005059Z (20261123T003559Z + 15 min.)"
    );
    judge(&keys(), SIGNED_MS + 60 * MINUTE_MS, &presigned()).expect("good for an hour");
    let (_, message) = refusal(&keys(), SIGNED_MS + 61 * MINUTE_MS, &presigned());
    assert!(message.ends_with("- 60 min.)"), "{message}");
}

#[test]
fn credential_must_be_for_this_service_and_day() {
    let scoped = |scope: &str| {
        let mut request = signed();
        let header = format!("{ALGORITHM} Credential={scope},SignedHeaders=host,Signature=00");
        set(&mut request, "authorization", &header);
        refusal(&keys(), SIGNED_MS, &request)
    };
    let (exception, message) = scoped("AKIDEXAMPLE/20261123/eu-central-1/s3/aws4_request");
    assert_eq!(exception, "InvalidSignatureException");
    assert_eq!(message, "Credential should be scoped to correct service: 'kinesis'.");
    let (_, message) = scoped("AKIDEXAMPLE/20261122/eu-central-1/kinesis/aws4_request");
    assert!(message.contains("'20261122' != '20261123', from '20261123T005100Z'"), "{message}");
    let (_, message) = scoped("AKIDEXAMPLE/20261123/eu-central-1/kinesis/aws3_request");
    assert!(message.contains("valid terminator"), "{message}");
    assert_eq!(scoped("AKIDEXAMPLE/kinesis").0, "IncompleteSignatureException");
}

#[test]
fn what_a_signature_lacks_is_named() {
    let with = |header: &str, date: Option<&str>| {
        let mut request = request("/", "");
        set(&mut request, "authorization", header);
        date.inspect(|date| set(&mut request, "x-amz-date", date));
        refusal(&keys(), SIGNED_MS, &request)
    };
    let (exception, message) = with("AWS4-HMAC-SHA256 Signature=abc", None);
    assert_eq!(exception, "IncompleteSignatureException");
    assert_eq!(
        message,
        "Authorization header requires 'Credential' parameter. Authorization header requires 'SignedHeaders' \
         parameter. Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. Authorization="
    );
    let whole = "Credential=a/b/c/kinesis/d, SignedHeaders=host, Signature=00";
    let (_, message) = with(whole, Some("20261123T005100Z"));
    assert!(message.starts_with("Authorization header must begin with 'AWS4-HMAC-SHA256'."), "{message}");
    let (_, message) = with(&format!("{ALGORITHM} {whole}"), Some("yesterday"));
    assert!(message.contains("Got 'yesterday'"), "{message}");

    let scope = "AKIDEXAMPLE/20261123/eu-central-1/kinesis/aws4_request";
    let header = |names: &str| format!("{ALGORITHM} Credential={scope}, SignedHeaders={names}, Signature=00");
    let (_, message) = with(&header("x-amz-date"), Some("20261123T005100Z"));
    assert!(message.starts_with("'Host' or ':authority' must be"), "{message}");
    let (_, message) = with(&header("host;x-absent"), Some("20261123T005100Z"));
    assert_eq!(message, "The signed header 'x-absent' is not in the request.");

    let (exception, message) = refusal(&keys(), SIGNED_MS, &request("/?X-Amz-Algorithm=AWS4-HMAC-SHA256", ""));
    assert_eq!(exception, "IncompleteSignatureException");
    assert!(message.contains("must include 'X-Amz-Credential'. "), "{message}");
    for expires in ["-1", "604801", "soon"] {
        let query = presigned().uri().to_string().replace("X-Amz-Expires=3600", &format!("X-Amz-Expires={expires}"));
        let (_, message) = refusal(&keys(), SIGNED_MS, &request(&query, ""));
        assert!(message.starts_with("X-Amz-Expires must be"), "{message}");
    }
}

#[test]
fn two_signatures_are_one_too_many() {
    let mut both = presigned();
    set(&mut both, "authorization", "AWS4-HMAC-SHA256 Credential=x");
    assert!(matches!(present(&both), Err(Refusal::Said { exception: "InvalidSignatureException", .. })));
    present(&presigned()).expect("one");
    let none = request("/", "");
    assert!(matches!(present(&none), Err(Refusal::Said { exception: "MissingAuthenticationTokenException", .. })));
}

#[test]
fn unsigned_payload_counts_only_if_that_was_signed_and_pieces_never() {
    let mut request = signed();
    set(&mut request, "x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    judge(&keys(), SIGNED_MS, &request).expect("not covered by the signature, so the body's own hash holds");
    let names = "host;x-amz-content-sha256";
    let canonical =
        canonical::request(&request, names).map_err(|refusal| format!("{refusal:?}")).expect("both are there");
    assert!(canonical.ends_with("\nUNSIGNED-PAYLOAD"), "{canonical}");
    set(&mut request, "x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
    let (exception, message) = refusal(&keys(), SIGNED_MS, &request);
    assert_eq!(exception, "InvalidSignatureException");
    assert!(message.contains("sign it whole"), "{message}");
}

#[test]
fn secret_is_not_shown() {
    let shown = format!("{:?} {:#?}", keys(), keys());
    assert!(!shown.contains(SECRET) && shown.contains("AKIDEXAMPLE"), "{shown}");
}
