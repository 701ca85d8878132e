//! What can be asked of the endpoint itself, on its port beside the service's protocol: faults and the clock.
//!
//! | request | what it does |
//! |---|---|
//! | `GET /_weir/faults` | says the faults, and how often each has happened |
//! | `POST /_weir/faults` `{"faults": ["throttle:GetRecords:rate=0.5"]}` | adds faults ([`super::faults`] has the words), all or none |
//! | `DELETE /_weir/faults` | ends all |
//! | `GET /_weir/clock` | says the time and how far it is from the machine's |
//! | `POST /_weir/clock` `{"offset_ms": 600000}` | the endpoint's clock is so much ahead (negative: behind) from now on |
//!
//! Requests are not signed. A POST must say `application/json`, which no web page can send here unasked. Set back, the
//! clock shows in `Date`, and in the stamps of records if the model lets them fall; nothing else goes back, so an iterator
//! does not live longer for it.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::faults::{Fault, Faults};

const PREFIX: &str = "/_weir/";
/// How far the clock may be set: a year, which is the longest retention.
const OFFSET_MS_MAX: i64 = 366 * 86_400_000;

/// By so much a machine's clock may have been set back without anybody caring.
const LITTLE_MS: i64 = 60_000;

/// The endpoint's clock: the machine's, moved.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    offset_ms: i64,
}

impl Clock {
    /// One that does not stand behind `reached_ms`, which records and iterators are of already. A little behind is no
    /// matter: the model takes it as that time.
    pub fn not_behind(reached_ms: i64, machine_ms: i64) -> Clock {
        let offset_ms = reached_ms.saturating_sub(machine_ms);
        Clock { offset_ms: if offset_ms > LITTLE_MS { offset_ms } else { 0 } }
    }

    pub fn offset_ms(self) -> i64 {
        self.offset_ms
    }

    pub fn now_ms(self, machine_ms: i64) -> i64 {
        machine_ms.saturating_add(self.offset_ms)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetFaults {
    faults: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetClock {
    offset_ms: i64,
}

/// The answer, if the request is one of these.
pub(super) fn answer(
    faults: &mut Faults,
    clock: &mut Clock,
    machine_ms: i64,
    request: &Request<Bytes>,
) -> Option<Response<Bytes>> {
    let what = request.uri().path().strip_prefix(PREFIX)?;
    let done = match (what, request.method()) {
        ("faults", &Method::GET) => Ok(()),
        ("faults", &Method::POST) => read(request).and_then(|set| add(faults, &set)),
        ("faults", &Method::DELETE) => {
            faults.clear();
            Ok(())
        }
        ("clock", &Method::GET) => Ok(()),
        ("clock", &Method::POST) => read(request).and_then(|set| move_clock(clock, &set)),
        ("faults" | "clock", method) => {
            return Some(json_answer(
                StatusCode::METHOD_NOT_ALLOWED,
                &json!({"error": format!("{method} says nothing here")}),
            ));
        }
        _ => {
            let error = "there are /_weir/faults and /_weir/clock";
            return Some(json_answer(StatusCode::NOT_FOUND, &json!({ "error": error })));
        }
    };
    Some(match done {
        Err(error) => json_answer(StatusCode::BAD_REQUEST, &json!({ "error": error })),
        Ok(()) if what == "faults" => json_answer(StatusCode::OK, &say_faults(faults)),
        Ok(()) => {
            let said = json!({"offset_ms": clock.offset_ms, "now_ms": clock.now_ms(machine_ms)});
            json_answer(StatusCode::OK, &said)
        }
    })
}

fn read<'a, T: Deserialize<'a>>(request: &'a Request<Bytes>) -> Result<T, String> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().map(str::trim) != Some("application/json") {
        return Err("the content type must be application/json".to_owned());
    }
    serde_json::from_slice(request.body()).map_err(|error| error.to_string())
}

fn add(faults: &mut Faults, set: &SetFaults) -> Result<(), String> {
    let parsed: Result<Vec<Fault>, _> = set.faults.iter().map(|text| text.parse()).collect();
    parsed.map_err(|error| error.to_string())?.into_iter().for_each(|fault| faults.add(fault));
    Ok(())
}

fn move_clock(clock: &mut Clock, set: &SetClock) -> Result<(), String> {
    if !(-OFFSET_MS_MAX..=OFFSET_MS_MAX).contains(&set.offset_ms) {
        return Err(format!("offset_ms of {} is more than {OFFSET_MS_MAX}, which is a year", set.offset_ms));
    }
    clock.offset_ms = set.offset_ms;
    Ok(())
}

fn say_faults(faults: &Faults) -> Value {
    let said: Vec<_> = faults
        .all()
        .iter()
        .map(|armed| json!({"fault": armed.fault.to_string(), "happened": armed.happened, "over": armed.is_over()}))
        .collect();
    json!({ "faults": said })
}

fn json_answer(status: StatusCode, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Endpoint(Faults, Clock);

    impl Endpoint {
        fn ask(&mut self, method: Method, path: &str, body: &str) -> (u16, Value) {
            let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
            let request = request.body(Bytes::copy_from_slice(body.as_bytes())).unwrap();
            let response = answer(&mut self.0, &mut self.1, 1_000, &request).expect("it is asked of the endpoint");
            (response.status().as_u16(), serde_json::from_slice(response.body()).unwrap())
        }
    }

    fn endpoint() -> Endpoint {
        Endpoint(Faults::new(0), Clock::default())
    }

    #[test]
    fn faults_are_added_said_and_ended() {
        let mut endpoint = endpoint();
        let set = r#"{"faults": ["cut:GetRecords:count=1", "delay:ms=3"]}"#;
        let said = json!({"faults": [
            {"fault": "cut:GetRecords:count=1", "happened": 0, "over": false},
            {"fault": "delay:*:ms=3", "happened": 0, "over": false},
        ]});
        assert_eq!(endpoint.ask(Method::POST, "/_weir/faults", set), (200, said.clone()));
        assert_eq!(endpoint.ask(Method::GET, "/_weir/faults", ""), (200, said));
        assert_eq!(endpoint.ask(Method::DELETE, "/_weir/faults", ""), (200, json!({"faults": []})));
    }

    #[test]
    fn bad_fault_adds_none_of_its_call() {
        let mut endpoint = endpoint();
        let (status, said) = endpoint.ask(Method::POST, "/_weir/faults", r#"{"faults": ["cut", "cutt"]}"#);
        assert_eq!(status, 400);
        assert_eq!(said["error"], "`cutt` is no kind of fault; write throttle, delay, cut, reset, 5xx or expire");
        assert!(endpoint.0.all().is_empty());
        for odd in ["", "[]", r#"{"fault": []}"#] {
            assert_eq!(endpoint.ask(Method::POST, "/_weir/faults", odd).0, 400, "{odd}");
        }
    }

    #[test]
    fn clock_is_moved_and_said() {
        let mut endpoint = endpoint();
        let moved = endpoint.ask(Method::POST, "/_weir/clock", r#"{"offset_ms": -600}"#);
        assert_eq!(moved, (200, json!({"offset_ms": -600, "now_ms": 400})));
        assert_eq!(endpoint.ask(Method::GET, "/_weir/clock", ""), moved);
        assert_eq!(endpoint.ask(Method::POST, "/_weir/clock", r#"{"offset_ms": 40000000000000}"#).0, 400);
        assert_eq!(endpoint.1.now_ms(1_000), 400);
    }

    #[test]
    fn clock_goes_on_from_what_was_reached_unless_that_is_a_little_ahead() {
        assert_eq!(Clock::not_behind(i64::MIN, 1_000).now_ms(1_000), 1_000);
        assert_eq!(Clock::not_behind(61_000, 1_000).now_ms(1_005), 1_005);
        assert_eq!(Clock::not_behind(3_601_000, 1_000).now_ms(1_005), 3_601_005);
    }

    #[test]
    fn other_paths_are_not_ours_and_other_words_are_refused() {
        let mut endpoint = endpoint();
        let other = Request::post("/").body(Bytes::new()).unwrap();
        assert!(answer(&mut endpoint.0, &mut endpoint.1, 0, &other).is_none());
        assert_eq!(endpoint.ask(Method::GET, "/_weir/x", "").0, 404);
        assert_eq!(endpoint.ask(Method::PUT, "/_weir/clock", "").0, 405);
        let unsaid = Request::post("/_weir/faults").body(Bytes::from_static(b"{\"faults\": []}")).unwrap();
        let refused = answer(&mut endpoint.0, &mut endpoint.1, 0, &unsaid).unwrap();
        assert_eq!(refused.status(), 400);
    }
}
