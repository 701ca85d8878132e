//! The model's HTTP face: a request in, an answer out, no I/O and no clock.
//!
//! `POST /` with `X-Amz-Target: Kinesis_20131202.<Operation>` and a JSON 1.1 body, as the service has it. A request must
//! carry a signature, which is not judged. Every answer has a request id and a `Date` of whole seconds from the time
//! passed in. When a required parameter is absent, that alone is reported, not the other violations beside it.
//!
//! Not spoken yet: CBOR, DryRun, cross-origin requests.

mod answer;
mod operations;
mod request;

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};

use super::model::{Model, ModelError};

const JSON: &str = "application/x-amz-json-1.1";
const SERVICE: &str = "Kinesis_20131202";

/// Turns requests into answers. Holds only what request ids are drawn from.
#[derive(Debug)]
pub struct Front {
    rng: fastrand::Rng,
}

/// A request that is refused.
#[derive(Debug)]
enum Refusal {
    /// In the protocol's own form: exception and sentence.
    Json { exception: &'static str, message: Option<String> },
    /// Before the service knew which protocol it speaks: XML.
    Xml { status: StatusCode, exception: &'static str, message: Option<&'static str> },
}

impl From<ModelError> for Refusal {
    fn from(error: ModelError) -> Refusal {
        Refusal::Json { exception: error.code.name(), message: Some(error.message) }
    }
}

impl From<serde_json::Error> for Refusal {
    fn from(error: serde_json::Error) -> Refusal {
        // The service says what is wrong with a value's type, and nothing of text that is no JSON at all.
        let message = (error.classify() == serde_json::error::Category::Data).then(|| error.to_string());
        Refusal::Json { exception: "SerializationException", message }
    }
}

impl Front {
    /// A front whose request ids follow from the seed.
    pub fn new(seed: u64) -> Front {
        Front { rng: fastrand::Rng::with_seed(seed) }
    }

    /// The service's answer at this time, ms since the epoch.
    pub fn answer(&mut self, model: &mut Model, now_ms: i64, request: Request<Bytes>) -> Response<Bytes> {
        let (status, content_type, body) = match respond(model, now_ms, &request) {
            Ok(body) => (StatusCode::OK, Some(JSON), body),
            Err(Refusal::Json { exception, message }) => {
                (StatusCode::BAD_REQUEST, Some(JSON), answer::error(exception, message.as_deref()))
            }
            Err(Refusal::Xml { status, exception, message }) => {
                let body = match message {
                    Some(message) => {
                        format!("<{exception}>\n  <Message>{message}</Message>\n</{exception}>\n")
                    }
                    None => format!("<{exception}/>\n"),
                };
                (status, None, body.into())
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        if let Some(content_type) = content_type {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        headers.insert(header::DATE, date(now_ms));
        headers.insert("x-amzn-requestid", self.request_id());
        headers.insert("x-amz-id-2", self.extended_id());
        response
    }

    /// A UUID of version 4.
    fn request_id(&mut self) -> HeaderValue {
        let id = self.rng.u128(..) & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
        let digits = format!("{id:032x}");
        let (a, b, c, d, e) = (&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]);
        HeaderValue::try_from(format!("{a}-{b}-{c}-{d}-{e}")).expect("hexadecimal digits and dashes")
    }

    fn extended_id(&mut self) -> HeaderValue {
        let mut bytes = [0; 72];
        self.rng.fill(&mut bytes);
        HeaderValue::try_from(base64_simd::STANDARD.encode_to_string(bytes)).expect("base64 is visible ASCII")
    }
}

fn respond(model: &mut Model, now_ms: i64, request: &Request<Bytes>) -> Result<Bytes, Refusal> {
    const NOT_TOLD: &str = "Unable to determine service/operation name to be authorized";
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let refuse = |status, exception, message| Err(Refusal::Xml { status, exception, message });
    if request.method() != Method::POST {
        return refuse(StatusCode::FORBIDDEN, "AccessDeniedException", Some(NOT_TOLD));
    }
    let content_type = header("content-type").split(';').next().unwrap_or_default().trim();
    let target = header("x-amz-target").split_once('.');
    if content_type != JSON {
        return match target {
            None => refuse(StatusCode::FORBIDDEN, "AccessDeniedException", Some(NOT_TOLD)),
            Some(_) => refuse(StatusCode::NOT_FOUND, "UnknownOperationException", None),
        };
    }
    let operation = target.filter(|(service, _)| *service == SERVICE);
    let Some(operation) = operation.and_then(|(_, operation)| operations::find(operation)) else {
        return Err(Refusal::Json { exception: "UnknownOperationException", message: None });
    };
    let by_query = request.uri().query().is_some_and(|query| query.contains("X-Amz-Algorithm="));
    if header("authorization").is_empty() && !by_query {
        return Err(Refusal::Json {
            exception: "MissingAuthenticationTokenException",
            message: Some("Missing Authentication Token".to_owned()),
        });
    }
    // A derived decoder would take `["a"]` for `{"StreamName": "a"}`; the service does not.
    if request.body().iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(Refusal::Json { exception: "SerializationException", message: None });
    }
    operation(model, now_ms, request.body())
}

/// `Date` in whole seconds, as HTTP has it. Times before the epoch and beyond the year 9999 are taken as those.
fn date(now_ms: i64) -> HeaderValue {
    const YEAR_9999_END_S: u64 = 253_402_300_799;
    let seconds = u64::try_from(now_ms.div_euclid(1_000)).unwrap_or(0).min(YEAR_9999_END_S);
    let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
    HeaderValue::try_from(date).expect("an HTTP date is visible ASCII")
}

#[cfg(test)]
mod tests;
