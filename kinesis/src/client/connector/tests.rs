//! What the SDK is told of a failed request decides whether it repeats it.

use super::*;
use weir_runtime::io::http::Waited;

fn address() -> String {
    "host:1".to_owned()
}

#[test]
fn what_may_pass_is_repeated_by_the_sdk_and_what_cannot_is_not() {
    for waited in [Waited::Connect, Waited::Head, Waited::Body] {
        assert!(classify(HttpError::Timeout { waited, address: address(), limit_ms: 1 }).is_timeout());
    }
    let reason = || "why".to_owned();
    for lost in [
        HttpError::Dns { host: "host".into(), reason: reason() },
        HttpError::Connect { address: address(), reason: reason() },
        HttpError::Unwritten { address: address() },
        HttpError::Reset { address: address(), reason: reason() },
    ] {
        assert!(classify(lost.clone()).is_io(), "{lost}");
    }
    let garbled = classify(HttpError::Protocol { address: address(), reason: reason() });
    assert_eq!(garbled.as_other(), Some(ErrorKind::TransientError));
    for hopeless in
        [HttpError::TooLarge { address: address(), limit_bytes: 1 }, HttpError::Address { address: address() }]
    {
        assert!(classify(hopeless.clone()).is_user(), "{hopeless}");
    }
}
