//! A scripted Kinesis: a stream of few shards with known records, which refuses what a row of the table says.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::scripted::{Peer, Scripted};

/// The shard that is there from the beginning.
pub const SHARD: &str = "shardId-000000000000";
/// The sequence numbers of its records; a page holds two.
pub const RECORDS: [u64; 4] = [101, 102, 103, 104];
const PAGE: usize = 2;

/// What happens to some calls of one operation.
#[derive(Clone)]
pub struct Fault {
    pub operation: &'static str,
    /// Calls before the first that it happens to.
    pub after: usize,
    /// How many it happens to.
    pub times: usize,
    pub reply: Reply,
}

/// What is answered in place of what was asked for.
#[derive(Clone)]
pub enum Reply {
    /// This status, and an error of this name as the service writes it.
    Refuse(u16, &'static str),
    /// This status and body.
    Say(u16, String),
    /// Nothing: the connection is closed.
    Reset,
    /// The answer's head and half of its body.
    Cut,
    /// The call has its effect, but its answer does not come.
    Lost,
    /// `PutRecords`: every other record is refused with this code, beginning with the first.
    Each(&'static str),
}

/// A call as it came.
#[derive(Clone, Debug)]
pub struct Called {
    pub operation: String,
    pub body: Value,
    pub at: Instant,
    /// Whether it was answered as asked.
    pub good: bool,
}

#[derive(Default)]
struct State {
    calls: Vec<Called>,
    by_operation: HashMap<String, usize>,
    iterators: usize,
    /// Data of records put, in the order taken.
    taken: Vec<String>,
}

/// Runs until the test program ends.
pub struct Service {
    pub url: String,
    state: Arc<Mutex<State>>,
}

impl Service {
    /// One that answers by `faults`, the first that fits, with `mark` in its words.
    pub fn start(mark: &'static str, faults: Vec<Fault>) -> Service {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let server = Scripted::start(move |peer| {
            while let Some((head, body)) = peer.request() {
                let target = head.lines().find_map(|line| line.strip_prefix("x-amz-target: Kinesis_20131202."));
                let operation = target.expect("the SDK names the operation").to_owned();
                let body: Value = serde_json::from_slice(&body).expect("the SDK writes JSON");
                if !answer(peer, &shared, mark, &faults, operation, body) {
                    return;
                }
            }
        });
        Service { url: server.url(""), state }
    }

    /// Every call so far, in order.
    pub fn calls(&self) -> Vec<Called> {
        self.state.lock().expect("no panic").calls.clone()
    }

    /// What is in the stream of what was put, in order.
    pub fn taken(&self) -> Vec<String> {
        self.state.lock().expect("no panic").taken.clone()
    }
}

/// Whether the connection goes on.
fn answer(peer: &mut Peer, state: &Mutex<State>, mark: &str, faults: &[Fault], operation: String, body: Value) -> bool {
    let mut state = state.lock().expect("no panic");
    let number = state.by_operation.entry(operation.clone()).or_default();
    let met = |fault: &&Fault| {
        fault.operation == operation && (fault.after..fault.after.saturating_add(fault.times)).contains(number)
    };
    let reply = faults.iter().find(met).map(|fault| fault.reply.clone());
    *number += 1;
    let at = Instant::now();
    state.calls.push(Called { operation: operation.clone(), body: body.clone(), at, good: reply.is_none() });
    let mut usual = |each| usual(&mut state, &operation, &body, each).to_string();
    match reply {
        None => say(peer, 200, &usual(None)),
        Some(Reply::Each(code)) => say(peer, 200, &usual(Some(code))),
        Some(Reply::Refuse(status, code)) => {
            say(peer, status, &json!({ "__type": code, "message": format!("because of {mark}") }).to_string());
        }
        Some(Reply::Say(status, body)) => say(peer, status, &body),
        Some(Reply::Reset) => return false,
        Some(Reply::Lost) => {
            let _ = usual(None);
            return false;
        }
        Some(Reply::Cut) => {
            let body = usual(None);
            peer.write(format!("{}{}", head(200, body.len()), &body[..body.len() / 2]));
            return false;
        }
    }
    true
}

fn say(peer: &mut Peer, status: u16, body: &str) {
    peer.write(head(status, body.len()) + body);
}

fn head(status: u16, length: usize) -> String {
    // Of now: the SDK takes a clock that is far off for the reason of what is refused, and tries again.
    let date = format!("Date: {}", httpdate::fmt_http_date(std::time::SystemTime::now()));
    let kind = "Content-Type: application/x-amz-json-1.1";
    format!("HTTP/1.1 {status} Said\r\n{date}\r\n{kind}\r\nContent-Length: {length}\r\n\r\n")
}

/// The answer of a service in health.
fn usual(state: &mut State, operation: &str, body: &Value, each: Option<&str>) -> Value {
    match operation {
        "DescribeStreamSummary" => json!({"StreamDescriptionSummary": {
            "StreamName": "s", "StreamARN": format!("arn:aws:kinesis:us-east-1:1:stream/{}", body["StreamName"]),
            "StreamStatus": "ACTIVE", "OpenShardCount": 1, "RetentionPeriodHours": 24, "EnhancedMonitoring": [],
            "StreamCreationTimestamp": 1_764_000_000,
        }}),
        "ListShards" => json!({ "Shards": [shard(SHARD)] }),
        "GetShardIterator" => {
            state.iterators += 1;
            let after = body["StartingSequenceNumber"].as_str().unwrap_or("0");
            json!({ "ShardIterator": format!("{}|{}|{after}", state.iterators, body["ShardId"].as_str().expect("it is named")) })
        }
        "GetRecords" => records(body["ShardIterator"].as_str().expect("it is given")),
        "PutRecords" => {
            let records = body["Records"].as_array().expect("it is a list");
            let mut outcomes = Vec::new();
            for (index, record) in records.iter().enumerate() {
                if let Some(code) = each.filter(|_| index % 2 == 0) {
                    outcomes.push(json!({ "ErrorCode": code, "ErrorMessage": "planted" }));
                    continue;
                }
                let data = record["Data"].as_str().expect("base64");
                let data = base64_simd::STANDARD.decode_to_vec(data).expect("base64");
                state.taken.push(String::from_utf8(data).expect("text"));
                outcomes.push(json!({ "ShardId": SHARD, "SequenceNumber": state.taken.len().to_string() }));
            }
            json!({ "FailedRecordCount": outcomes.iter().filter(|o| o["ErrorCode"].is_string()).count(), "Records": outcomes })
        }
        other => panic!("{other} is not called by jobs"),
    }
}

/// A shard as listed, with all hash keys.
pub fn shard(id: &str) -> Value {
    json!({
        "ShardId": id,
        "HashKeyRange": { "StartingHashKey": "0", "EndingHashKey": u128::MAX.to_string() },
        "SequenceNumberRange": { "StartingSequenceNumber": "1" },
    })
}

/// The two halves that the first shard was split into, as listed; with `ParentShards`, as answers name children.
pub fn children() -> [Value; 2] {
    let half = u128::MAX / 2;
    [("shardId-000000000001", 0, half), ("shardId-000000000002", half + 1, u128::MAX)].map(|(id, first, last)| {
        json!({
            "ShardId": id,
            "ParentShardId": SHARD,
            "ParentShards": [SHARD],
            "HashKeyRange": { "StartingHashKey": first.to_string(), "EndingHashKey": last.to_string() },
            "SequenceNumberRange": { "StartingSequenceNumber": "1" },
        })
    })
}

/// The page behind an iterator, `NUMBER|SHARD|AFTER`. Shards but the first hold one record, 9.
fn records(iterator: &str) -> Value {
    let [number, shard, after] = iterator.split('|').collect::<Vec<_>>()[..] else { panic!("no iterator of ours") };
    let after: u64 = after.parse().expect("a number");
    let held: &[u64] = if shard == SHARD { &RECORDS } else { &[9] };
    let page: Vec<u64> = held.iter().copied().filter(|record| *record > after).take(PAGE).collect();
    let last = page.last().copied().unwrap_or(after);
    // Young enough not to have been trimmed: else an iterator would be taken at the last record, and not behind it.
    let arrived = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let records: Vec<Value> = page
        .iter()
        .map(|record| {
            json!({ "SequenceNumber": record.to_string(), "PartitionKey": "k", "Data": "eA==",
                    "ApproximateArrivalTimestamp": arrived })
        })
        .collect();
    json!({ "Records": records, "NextShardIterator": format!("{number}|{shard}|{last}"), "MillisBehindLatest": 0 })
}
