//! The model's HTTP face: a request in, an answer out, no I/O and no clock.
//!
//! `POST /` with `X-Amz-Target: Kinesis_20131202.<Operation>` and a body in JSON 1.1 or CBOR 1.1, as the service has it;
//! the answer, refusals too, comes in the encoding of the request. A request must carry a signature,
//! which is judged if the front was given keys. Every answer has a request id and a `Date` of whole seconds from the time passed in. When a required
//! parameter is absent, that alone is reported, not the other violations beside it.
//!
//! Not spoken: DryRun, cross-origin requests.
//!
//! # How an operation is added
//!
//! In a file of `operations/`, three things that belong together; none of them names an encoding:
//!
//! 1. a struct of the request's members, deriving `Deserialize` with `rename_all = "PascalCase"`: `Option<Text>` for
//!    text (with `#[serde(borrow)]`), `Option<i64>`, `Option<bool>`, `Option<Time>`, `Option<Data>`, lists, maps of text,
//!    other such structs; never `flatten`, which forgets the encoding;
//! 2. a function `fn(&mut Model, &Call) -> Result<Answer, Refusal>`: `call.read()?`, then `required([...])?` or
//!    `not_in_set(...)` for what the model does not look at, then the model's call with `call.now_ms`;
//!    its `ModelError` becomes the refusal by `?`;
//! 3. the answer: `Answer::Empty`, or `Map::new().with("Name", value).with_some("Maybe", option).into()`; parts that
//!    several answers share are in `answer.rs`; a timestamp is `Value::Time(ms)`.
//!
//! Then one arm in `operations::find`.

mod answer;
mod codec;
mod operations;
mod request;
mod signature;
mod value;

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};

use super::model::{Model, ModelError};
use codec::{BadBody, Codec};
use operations::Call;

pub use signature::Keys;

const SERVICE: &str = "Kinesis_20131202";

/// Turns requests into answers. Holds only what request ids are drawn from, and the keys that callers must have.
#[derive(Debug)]
pub struct Front {
    rng: fastrand::Rng,
    keys: Option<Keys>,
}

/// A request that is refused.
#[derive(Debug)]
enum Refusal {
    /// In the encoding of the request: exception and sentence.
    Said { exception: &'static str, message: Option<String> },
    /// Before the service knew which protocol it speaks: XML.
    Xml { status: StatusCode, exception: &'static str, message: Option<&'static str> },
}

impl From<ModelError> for Refusal {
    fn from(error: ModelError) -> Refusal {
        Refusal::Said { exception: error.code.name(), message: Some(error.message) }
    }
}

impl From<BadBody> for Refusal {
    fn from(bad: BadBody) -> Refusal {
        Refusal::Said { exception: "SerializationException", message: bad.message }
    }
}

impl Front {
    /// A front whose request ids follow from the seed.
    pub fn new(seed: u64) -> Front {
        Front { rng: fastrand::Rng::with_seed(seed), keys: None }
    }

    /// With signatures judged by these keys. Without, a request must bear one, and that is all.
    #[must_use]
    pub fn with_keys(self, keys: Option<Keys>) -> Front {
        Front { keys, ..self }
    }

    /// The service's answer at this time, ms since the epoch.
    pub fn answer(&mut self, model: &mut Model, now_ms: i64, request: Request<Bytes>) -> Response<Bytes> {
        let codec = Codec::of(content_type(&request));
        let (status, spoken, body) = match self.respond(model, now_ms, codec, &request) {
            Ok(body) => (StatusCode::OK, codec, body),
            Err(Refusal::Said { exception, message }) => {
                let body = codec.unwrap_or(Codec::Json).refusal(exception, message);
                (StatusCode::BAD_REQUEST, codec, body)
            }
            Err(Refusal::Xml { status, exception, message }) => (status, None, xml(exception, message)),
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        if let Some(codec) = spoken {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(codec.content_type()));
        }
        headers.insert(header::DATE, date(now_ms));
        headers.insert("x-amzn-requestid", self.request_id());
        headers.insert("x-amz-id-2", self.extended_id());
        response
    }

    fn respond(
        &self,
        model: &mut Model,
        now_ms: i64,
        codec: Option<Codec>,
        request: &Request<Bytes>,
    ) -> Result<Bytes, Refusal> {
        const NOT_TOLD: &str = "Unable to determine service/operation name to be authorized";
        let refuse = |status, exception, message| Err(Refusal::Xml { status, exception, message });
        if request.method() != Method::POST {
            return refuse(StatusCode::FORBIDDEN, "AccessDeniedException", Some(NOT_TOLD));
        }
        let target = header(request, "x-amz-target").split_once('.');
        let Some(codec) = codec else {
            return match target {
                None => refuse(StatusCode::FORBIDDEN, "AccessDeniedException", Some(NOT_TOLD)),
                Some(_) => refuse(StatusCode::NOT_FOUND, "UnknownOperationException", None),
            };
        };
        let operation = target.filter(|(service, _)| *service == SERVICE);
        let Some(operation) = operation.and_then(|(_, operation)| operations::find(operation)) else {
            return Err(Refusal::Said { exception: "UnknownOperationException", message: None });
        };
        signature::present(request)?;
        if let Some(keys) = &self.keys {
            signature::judge(keys, now_ms, request)?;
        }
        let call = Call { now_ms, codec, body: request.body() };
        Ok(codec.write(operation(model, &call)?))
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

fn header<'a>(request: &'a Request<Bytes>, name: &str) -> &'a str {
    request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Without its parameters.
fn content_type(request: &Request<Bytes>) -> &str {
    header(request, "content-type").split(';').next().unwrap_or_default().trim()
}

fn xml(exception: &str, message: Option<&str>) -> Bytes {
    let body = match message {
        Some(message) => format!("<{exception}>\n  <Message>{message}</Message>\n</{exception}>\n"),
        None => format!("<{exception}/>\n"),
    };
    body.into()
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
