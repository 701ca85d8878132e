//! The model's HTTP face: a request in, an answer out, no I/O and no clock.
//!
//! `POST /` with `X-Amz-Target: Kinesis_20131202.<Operation>` and a body in JSON 1.1 or CBOR 1.1, as the service has it;
//! the answer, refusals too, comes in the encoding of the request. A request must carry a signature,
//! which is judged if the front was given keys. Every answer has a request id and a `Date` of whole seconds from the time passed in. When a required
//! parameter is absent, that alone is reported, not the other violations beside it.
//!
//! Not spoken: cross-origin requests.
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
mod common;
mod operations;
mod place;
mod rates;
mod request;
mod signature;
mod value;

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};

use weir_runtime::io::http::server::Unread;

use super::faults::{Faults, Refused};
use super::model::{Model, ModelError};
use codec::{BadBody, Codec, Pieces};
use operations::Call;
use rates::Rates;

pub use signature::Keys;

const SERVICE: &str = "Kinesis_20131202";
/// Operations whose requests may be large or many.
const OF_RECORDS: [&str; 3] = ["GetRecords", "PutRecord", "PutRecords"];

/// Turns requests into answers. Holds only what request ids are drawn from, the keys that callers must have, the faults
/// in force, and how often operations were called of late.
#[derive(Debug)]
pub struct Front {
    rng: fastrand::Rng,
    keys: Option<Keys>,
    faults: Faults,
    rates: Rates,
}

/// Among a response's extensions: what whoever sends it must do to it, by a fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disturbance {
    /// Send it so much later.
    pub delay_ms: u64,
    /// Break it off half-way.
    pub cut: bool,
    /// Send nothing of it and close the connection.
    pub reset: bool,
}

/// Does this endpoint have an operation of this name?
pub(super) fn is_operation(name: &str) -> bool {
    operations::find(name).is_some()
}

/// A request that is refused.
#[derive(Debug)]
enum Refusal {
    /// In the encoding of the request: exception and sentence.
    Said { exception: &'static str, message: Option<String> },
    /// Likewise, and the service's own fault.
    Failed { status: StatusCode },
    /// Likewise, because the request did not come whole.
    Unread(Unread),
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
        Front { rng: fastrand::Rng::with_seed(seed), keys: None, faults: Faults::new(seed), rates: Rates::default() }
    }

    /// With signatures judged by these keys. Without, a request must bear one, and that is all.
    #[must_use]
    pub fn with_keys(self, keys: Option<Keys>) -> Front {
        Front { keys, ..self }
    }

    /// The faults in force.
    pub fn faults_mut(&mut self) -> &mut Faults {
        &mut self.faults
    }

    /// The service's answer at this time, ms since the epoch. A [`Disturbance`] is among its extensions if a fault asks
    /// for one.
    pub fn answer(&mut self, model: &mut Model, now_ms: i64, request: Request<Bytes>) -> Response<Pieces> {
        let codec = Codec::of(content_type(&request));
        let mut disturbance = Disturbance::default();
        let answered = self.respond(model, now_ms, codec, &request, &mut disturbance);
        let mut response = self.dressed(now_ms, codec, answered);
        if disturbance != Disturbance::default() {
            response.extensions_mut().insert(disturbance);
        }
        response
    }

    /// What is said to a request whose body did not come whole.
    pub fn refuse(&mut self, now_ms: i64, request: &Request<Unread>) -> Response<Pieces> {
        self.dressed(now_ms, Codec::of(content_type(request)), Err(Refusal::Unread(*request.body())))
    }

    /// The answer to a request that the endpoint cannot serve, by no fault of anybody's making: an internal failure.
    pub fn failure(&mut self, now_ms: i64, content_type: &str) -> Response<Pieces> {
        let failed = Refusal::Failed { status: StatusCode::INTERNAL_SERVER_ERROR };
        self.dressed(now_ms, Codec::of(content_type), Err(failed))
    }

    /// With status, encoding, date and request id.
    fn dressed(&mut self, now_ms: i64, codec: Option<Codec>, answered: Result<Pieces, Refusal>) -> Response<Pieces> {
        let refusal = |exception, message| codec.unwrap_or(Codec::Json).refusal(exception, message).into();
        let (status, spoken, body) = match answered {
            Ok(body) => (StatusCode::OK, codec, body),
            Err(Refusal::Said { exception, message }) => (StatusCode::BAD_REQUEST, codec, refusal(exception, message)),
            Err(Refusal::Failed { status }) => {
                let (exception, message) = match status {
                    StatusCode::SERVICE_UNAVAILABLE => ("ServiceUnavailableException", "The service is unavailable."),
                    _ => ("InternalFailureException", "Internal service failure."),
                };
                (status, codec, refusal(exception, Some(message.to_owned())))
            }
            Err(Refusal::Unread(unread)) => {
                let exception = match unread {
                    Unread::TooLong { .. } => "RequestEntityTooLargeException",
                    Unread::Stalled => "RequestTimeoutException",
                    Unread::Broken => "SerializationException",
                };
                (unread.status(), codec, refusal(exception, Some(unread.to_string())))
            }
            Err(Refusal::Xml { status, exception, message }) => (status, None, xml(exception, message).into()),
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
        &mut self,
        model: &mut Model,
        now_ms: i64,
        codec: Option<Codec>,
        request: &Request<Bytes>,
        disturbance: &mut Disturbance,
    ) -> Result<Pieces, Refusal> {
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
        let name = operation.map_or("", |(_, operation)| operation);
        let Some(operation) = operations::find(name) else {
            return Err(Refusal::Said { exception: "UnknownOperationException", message: None });
        };
        signature::present(request)?;
        if let Some(keys) = &self.keys {
            signature::judge(keys, now_ms, request)?;
        }
        let call = Call { now_ms, codec, body: request.body() };
        if !OF_RECORDS.contains(&name) {
            self.keep_to_rates(model, name, &call)?;
            common::check(&call)?;
        }
        let verdict = self.faults.verdict(|| place::of(model, name, &call));
        let reset = verdict.reset || verdict.refusal == Some(Refused::Reset);
        *disturbance = Disturbance { delay_ms: verdict.delay_ms, cut: verdict.cut, reset };
        if let Some(refused) = verdict.refusal {
            return Err(by_fault(refused, name));
        }
        model.throttle_puts(verdict.puts);
        let answered = operation(model, &call).map(|answer| codec.write(answer));
        self.faults.on_throttled_puts(model.throttled_puts());
        match verdict.lost {
            Some(status) => Err(by_fault(Refused::Failed(status), name)),
            None => answered,
        }
    }

    /// Refuses what is called too often, if the model keeps limits.
    fn keep_to_rates(&mut self, model: &Model, operation: &str, call: &Call<'_>) -> Result<(), Refusal> {
        if !model.settings().throughput_limits || !rates::is_limited(operation) {
            return Ok(());
        }
        let place = place::of(model, operation, call);
        if self.rates.allow(call.now_ms, operation, place.stream.as_deref()) {
            return Ok(());
        }
        let account = &model.settings().account;
        let message = match &place.stream {
            Some(stream) => format!("Rate exceeded for stream {stream} under account {account}."),
            None => format!("Rate exceeded under account {account}."),
        };
        Err(Refusal::Said { exception: "LimitExceededException", message: Some(message) })
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

/// A refusal that a fault asks for. It says so: nobody should look for its cause in the limits.
fn by_fault(refused: Refused, operation: &str) -> Refusal {
    let of_data = OF_RECORDS.contains(&operation) || operation == "GetShardIterator";
    let said = |exception, message: &str| Refusal::Said { exception, message: Some(message.to_owned()) };
    match refused {
        Refused::Throttled if of_data => said("ProvisionedThroughputExceededException", "Rate exceeded (by a fault)."),
        Refused::Throttled => said("LimitExceededException", "Rate exceeded (by a fault)."),
        Refused::Expired if of_data => said("ExpiredIteratorException", "Iterator expired (by a fault)."),
        Refused::Expired => said("ExpiredNextTokenException", "NextToken expired (by a fault)."),
        Refused::Failed(status) => {
            Refusal::Failed { status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR) }
        }
        // Nobody will read it.
        Refused::Reset => Refusal::Failed { status: StatusCode::INTERNAL_SERVER_ERROR },
    }
}

fn header<'a, B>(request: &'a Request<B>, name: &str) -> &'a str {
    request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Without its parameters.
pub(super) fn content_type<B>(request: &Request<B>) -> &str {
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
