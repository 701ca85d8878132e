//! A request in the one form that both sides sign.

use bytes::Bytes;
use http::Request;
use sha2::{Digest as _, Sha256};

use super::super::Refusal;
use super::{hexadecimal, invalid};

/// Names the payload's hash; its two words for other ways are those of the service's storage sibling.
const PAYLOAD_HEADER: &str = "x-amz-content-sha256";
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
const STREAMING: &str = "STREAMING-";

/// Method, path, query, the signed headers, their names, and the hash of the body, a line each.
pub fn request(request: &Request<Bytes>, signed_headers: &str) -> Result<String, Refusal> {
    let mut headers = String::new();
    for name in signed_headers.split(';') {
        headers += &format!("{name}:{}\n", header(request, name)?);
    }
    let uri = request.uri();
    Ok(format!(
        "{}\n{}\n{}\n{headers}\n{signed_headers}\n{}",
        request.method(),
        path(uri.path()),
        query(uri.query().unwrap_or_default()),
        payload_hash(request, signed_headers)?,
    ))
}

/// The header's values with single spaces, joined by commas.
fn header(request: &Request<Bytes>, name: &str) -> Result<String, Refusal> {
    let values = request.headers().get_all(name).iter();
    let values = values.map(|value| String::from_utf8_lossy(value.as_bytes()));
    let values: Vec<_> = values.map(|value| value.split_ascii_whitespace().collect::<Vec<_>>().join(" ")).collect();
    match (values.is_empty(), request.uri().authority()) {
        (false, _) => Ok(values.join(",")),
        // HTTP/2 has the host in the target.
        (true, Some(authority)) if name == "host" => Ok(authority.to_string()),
        (true, _) => Err(invalid(format!("The signed header '{name}' is not in the request."))),
    }
}

/// Every service but storage has the path encoded once more than it was sent.
fn path(sent: &str) -> String {
    sent.bytes().fold(String::new(), |mut path, byte| {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => path.push(char::from(byte)),
            _ => path += &format!("%{byte:02X}"),
        }
        path
    })
}

/// Sorted, each with its `=`, without the signature itself.
fn query(sent: &str) -> String {
    let pairs = sent.split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<_> = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect();
    pairs.retain(|(name, _)| *name != "X-Amz-Signature");
    pairs.sort_unstable();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

fn payload_hash(request: &Request<Bytes>, signed_headers: &str) -> Result<String, Refusal> {
    let said = request.headers().get(PAYLOAD_HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if said.starts_with(STREAMING) {
        return Err(invalid(format!("A payload signed in pieces ({said}) is not taken; sign it whole.")));
    }
    // Only if the signature covers these words is the body's freedom the signer's will.
    if said == UNSIGNED && signed_headers.split(';').any(|name| name == PAYLOAD_HEADER) {
        return Ok(UNSIGNED.to_owned());
    }
    Ok(hexadecimal(&Sha256::digest(request.body())))
}

/// `%2F` as `/`. What is no escape stays as it is.
pub fn percent_decoded(text: &str) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, behind @ ..] = rest {
        rest = behind;
        let escape = (*byte == b'%').then(|| super::from_hexadecimal(text_of(behind.get(..2)?))).flatten();
        match escape {
            Some(escaped) => {
                decoded.extend(escaped);
                rest = &behind[2..];
            }
            None => decoded.push(*byte),
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn text_of(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}
