//! Is a request signed by whom it says? Amazon's Signature Version 4, in headers or in the query.
//!
//! The signature is computed anew from what arrived and compared in constant time. Judged besides: that the credential
//! is meant for this service and day, and that the signature is not older or younger than 15 minutes (in the query: as
//! long as it says itself). Any region will do, and a session token is not looked at beyond its being signed.
//!
//! Sources: "Create a signed AWS API request" in the IAM user guide; sentences as the service's clients have seen them.

mod canonical;
mod date;

use std::fmt;

use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, Request};
use sha2::{Digest as _, Sha256};

use super::Refusal;
use date::Stamp;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const SERVICE: &str = "kinesis";
const SCOPE_END: &str = "aws4_request";
/// How far a request's clock may be from ours.
const SKEW_MS: i64 = 15 * 60 * 1_000;
/// How long a signature in a query may live: seven days.
const EXPIRES_S_MAX: i64 = 7 * 24 * 3_600;

/// The keys that callers must have.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    /// `None`: any key id will do.
    pub access_key_id: Option<String>,
    /// Secret.
    pub secret_access_key: String,
}

/// Does not show the secret.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// What a request says of its signature.
#[derive(Debug)]
struct Claim {
    credential: String,
    signed_headers: String,
    signature: String,
    stamp: Stamp,
    /// In a query: how long it is good from its stamp on.
    expires_ms: Option<i64>,
}

/// Refuses a request that bears no signature at all.
pub fn present(request: &Request<Bytes>) -> Result<(), Refusal> {
    match (authorization(request.headers()), in_query(request)) {
        (None, false) => Err(Refusal::Said {
            exception: "MissingAuthenticationTokenException",
            message: Some("Missing Authentication Token".to_owned()),
        }),
        (Some(_), true) => Err(invalid(
            "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.".to_owned(),
        )),
        _ => Ok(()),
    }
}

/// Refuses a request that was not signed with these keys, lately, for this service.
pub fn judge(keys: &Keys, now_ms: i64, request: &Request<Bytes>) -> Result<(), Refusal> {
    let claim = match authorization(request.headers()) {
        Some(header) => claim_of_header(header, request.headers())?,
        None => claim_of_query(request.uri().query().unwrap_or_default())?,
    };
    let mut scope = claim.credential.rsplitn(5, '/');
    let scope: [Option<&str>; 5] = std::array::from_fn(|_| scope.next());
    let [Some(end), Some(service), Some(region), Some(day), Some(key_id)] = scope else {
        return Err(incomplete(format!(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{}'",
            claim.credential
        )));
    };
    if keys.access_key_id.as_deref().is_some_and(|known| known != key_id) {
        let message = "The security token included in the request is invalid.".to_owned();
        return Err(Refusal::Said { exception: "UnrecognizedClientException", message: Some(message) });
    }
    if service != SERVICE {
        return Err(invalid(format!("Credential should be scoped to correct service: '{SERVICE}'.")));
    }
    if end != SCOPE_END {
        return Err(invalid(format!(
            "Credential should be scoped with a valid terminator: '{SCOPE_END}', not '{end}'."
        )));
    }
    let stamp = claim.stamp.text();
    if day != &stamp[..8] {
        return Err(invalid(format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{day}' != '{}', \
             from '{stamp}'.",
            &stamp[..8]
        )));
    }
    if !claim.signed_headers.split(';').any(|name| name == "host") {
        return Err(invalid("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.".to_owned()));
    }
    in_time(&claim, now_ms)?;

    let canonical = canonical::request(request, &claim.signed_headers)?;
    let to_sign = format!(
        "{ALGORITHM}\n{stamp}\n{day}/{region}/{SERVICE}/{SCOPE_END}\n{}",
        hexadecimal(&Sha256::digest(canonical))
    );
    let secret = format!("AWS4{}", keys.secret_access_key);
    let key = [day, region, SERVICE, SCOPE_END]
        .iter()
        .fold(secret.into_bytes(), |key, part| mac(&key, part).finalize().into_bytes().to_vec());
    let given = from_hexadecimal(&claim.signature).unwrap_or_default();
    // In constant time: how long a refusal takes tells nothing of the right signature.
    mac(&key, &to_sign).verify_slice(&given).map_err(|_| {
        invalid(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
             Access Key and signing method. Consult the service documentation for details."
                .to_owned(),
        )
    })
}

fn authorization(headers: &HeaderMap) -> Option<&str> {
    headers.get("authorization").and_then(|value| value.to_str().ok()).filter(|value| !value.is_empty())
}

fn in_query(request: &Request<Bytes>) -> bool {
    request.uri().query().is_some_and(|query| query.contains("X-Amz-Algorithm="))
}

/// `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`
fn claim_of_header(authorization: &str, headers: &HeaderMap) -> Result<Claim, Refusal> {
    let given = authorization.strip_prefix(ALGORITHM).unwrap_or(authorization);
    let parameter = |name: &str| {
        let found = given.split(',').find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='));
        found.filter(|value| !value.is_empty()).map(str::to_owned)
    };
    let date = ["x-amz-date", "date"].into_iter().find_map(|name| headers.get(name)?.to_str().ok());
    let parameters = ["Credential", "Signature", "SignedHeaders"];
    if let [Some(credential), Some(signature), Some(signed_headers)] = parameters.map(parameter)
        && let Some(date) = date
        && authorization.starts_with(ALGORITHM)
    {
        let stamp = Stamp::parse(date).ok_or_else(|| {
            incomplete(format!(
                "Date must be in ISO-8601 'basic format'. Got '{date}'. See http://en.wikipedia.org/wiki/ISO_8601"
            ))
        })?;
        return Ok(Claim { credential, signed_headers, signature, stamp, expires_ms: None });
    }
    let mut message = String::new();
    for name in parameters.into_iter().filter(|name| parameter(name).is_none()) {
        message += &format!("Authorization header requires '{name}' parameter. ");
    }
    if date.is_none() {
        message += "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ";
    }
    if message.is_empty() {
        message = format!("Authorization header must begin with '{ALGORITHM}'. ");
    }
    // The service shows the header as it came. Not its signature, here: whoever can read logs need not have that.
    let shown = given.split("Signature=").next().unwrap_or_default().trim();
    Err(incomplete(format!("{message}Authorization={shown}")))
}

fn claim_of_query(query: &str) -> Result<Claim, Refusal> {
    let parameter = |name: &str| {
        let found = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name);
        found.map(|(_, value)| canonical::percent_decoded(value)).filter(|value| !value.is_empty())
    };
    let names = ["X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date"];
    let [Some(credential), Some(signature), Some(signed_headers), Some(date)] = names.map(parameter) else {
        let missing: String = names
            .into_iter()
            .filter(|name| parameter(name).is_none())
            .map(|name| format!("AWS query-string parameters must include '{name}'. "))
            .collect();
        return Err(incomplete(format!("{missing}Re-examine the query-string parameters.")));
    };
    let expires_s = parameter("X-Amz-Expires").map_or(Some(SKEW_MS / 1_000), |text| text.parse().ok());
    let expires_s = expires_s
        .filter(|seconds| (0..=EXPIRES_S_MAX).contains(seconds))
        .ok_or_else(|| incomplete(format!("X-Amz-Expires must be a number of seconds, 0 to {EXPIRES_S_MAX}.")))?;
    let stamp = Stamp::parse(&date).ok_or_else(|| {
        incomplete(format!("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\", got '{date}'."))
    })?;
    Ok(Claim { credential, signed_headers, signature, stamp, expires_ms: Some(expires_s * 1_000) })
}

fn in_time(claim: &Claim, now_ms: i64) -> Result<(), Refusal> {
    let (signed, now) = (claim.stamp, Stamp::of_millis(now_ms));
    let life_ms = claim.expires_ms.unwrap_or(SKEW_MS);
    let (earliest, latest) = (now_ms.saturating_sub(life_ms), now_ms.saturating_add(SKEW_MS));
    // Stamps are whole seconds, so the seconds are compared.
    if signed < Stamp::of_millis(earliest) {
        return Err(invalid(format!(
            "Signature expired: {} is now earlier than {} ({} - {} min.)",
            signed.text(),
            Stamp::of_millis(earliest).text(),
            now.text(),
            life_ms / 60_000
        )));
    }
    if signed > Stamp::of_millis(latest) {
        return Err(invalid(format!(
            "Signature not yet current: {} is still later than {} ({} + {} min.)",
            signed.text(),
            Stamp::of_millis(latest).text(),
            now.text(),
            SKEW_MS / 60_000
        )));
    }
    Ok(())
}

fn mac(key: &[u8], message: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key may have any length");
    mac.update(message.as_bytes());
    mac
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    text.as_bytes().chunks(2).map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)).collect()
}

fn invalid(message: String) -> Refusal {
    Refusal::Said { exception: "InvalidSignatureException", message: Some(message) }
}

fn incomplete(message: String) -> Refusal {
    Refusal::Said { exception: "IncompleteSignatureException", message: Some(message) }
}

#[cfg(test)]
mod tests;
