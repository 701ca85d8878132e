//! The scanner against the SDK's deserializer: whatever the scanner accepts, the SDK must read alike.

use super::*;
use crate::client::scripted::Scripted;
use crate::client::{Client, ServiceSettings};
use proptest::prelude::*;
use std::thread::JoinHandle;
use weir_runtime::facade::{self, ExecutorSettings};
use weir_runtime::mailbox::{Receiver, Sender, mailbox};

/// Everything a body says, for comparison.
type Said = (Vec<(String, Vec<u8>, String, i64)>, Option<String>, Option<u64>, Vec<ChildShard>);

fn said(decoded: Decoded) -> Said {
    let batch = &decoded.batch;
    let records = (0..batch.len())
        .map(|i| (batch.partition_key(i).into(), batch.data(i).into(), batch.sequence(i).into(), batch.arrival_ms(i)));
    (records.collect(), decoded.next_iterator, decoded.behind_ms, decoded.children)
}

/// The SDK as it is, on an executor of its own: a body goes in, what it reads comes out.
struct Stock {
    bodies: Option<Sender<Vec<u8>>>,
    readings: Receiver<Option<Said>>,
    executor: Option<JoinHandle<()>>,
}

impl Stock {
    fn start() -> Stock {
        let (bodies, asked) = mailbox::<Vec<u8>>(1);
        let (answer, readings) = mailbox(1);
        let (serve, served) = mailbox::<Vec<u8>>(1);
        let server = Scripted::start(move |peer| {
            while peer.request().is_some() {
                let body = served.try_recv().expect("a body for each request");
                peer.write(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()));
                peer.write(body);
            }
        });
        let settings = ServiceSettings {
            endpoint_url: Some(server.url("")),
            region: Some("us-east-1".into()),
            access_key_id: Some("a".into()),
            secret_access_key: Some("b".into()),
            ..ServiceSettings::default()
        };
        let executor =
            facade::start_executor(ExecutorSettings { name: "stock".into(), core: None }, move || async move {
                let client = Client::connect(&settings).await.expect("all is set");
                while let Some(body) = asked.recv().await {
                    serve.try_send(body).expect("one at a time");
                    let output = client.0.data.get_records().shard_iterator("it").send().await;
                    let reading = output.ok().and_then(from_output).map(said);
                    answer.send(reading).await.expect("the test waits");
                }
            })
            .expect("an executor starts");
        let executor = std::thread::spawn(move || executor.join().expect("no panic"));
        Stock { bodies: Some(bodies), readings, executor: Some(executor) }
    }

    fn read(&self, body: impl Into<Vec<u8>>) -> Option<Said> {
        let bodies = self.bodies.as_ref().expect("open until dropped");
        bodies.send_blocking(body.into()).expect("the executor lives");
        self.readings.recv_blocking().expect("the executor lives")
    }
}

impl Drop for Stock {
    fn drop(&mut self) {
        self.bodies = None;
        let ended = self.executor.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || ended.is_some_and(|ended| ended.is_ok()));
    }
}

/// Bodies as services write them.
const RECORDED: [&str; 8] = [
    // AWS.
    r#"{"ChildShards":[],"MillisBehindLatest":0,"NextShardIterator":"AAAAAAAAAAE+x/7=","Records":[{"ApproximateArrivalTimestamp":1.795395060708E9,"Data":"dHdlZXQtMDA0Mg==","PartitionKey":"3","SequenceNumber":"49598630142999655949899443842509554952738656579378741250"},{"ApproximateArrivalTimestamp":1.795395061E9,"Data":"","EncryptionType":"KMS","PartitionKey":"schl\u00fcssel \"\\\/\b\f\n\r\t \ud83d\ude00","SequenceNumber":"49598630142999655949899443842509554952738656579378741251"}]}"#,
    r#"{"MillisBehindLatest":0,"NextShardIterator":"AAAAAAAAAAE","Records":[]}"#,
    // kinesalite.
    r#"{"MillisBehindLatest":1200,"NextShardIterator":"it","Records":[{"PartitionKey":"ключ 🔑","Data":"AAEC","SequenceNumber":"1","ApproximateArrivalTimestamp":1795395060.708}]}"#,
    // The end of a closed shard.
    r#"{"ChildShards":[{"HashKeyRange":{"EndingHashKey":"170141183460469231731687303715884105727","StartingHashKey":"0"},"ParentShards":["shardId-000000000000"],"ShardId":"shardId-000000000001"},{"HashKeyRange":{"EndingHashKey":"340282366920938463463374607431768211455","StartingHashKey":"170141183460469231731687303715884105728"},"ParentShards":["shardId-000000000000","shardId-000000000009"],"ShardId":"shardId-000000000002"}],"MillisBehindLatest":0,"NextShardIterator":null,"Records":[]}"#,
    r#"{"Records":[],"MillisBehindLatest":0}"#,
    // kinesis-local writes nulls; a stream that places records by itself has no keys.
    r#"{"ChildShards":null,"MillisBehindLatest":null,"NextShardIterator":null,"Records":[{"SequenceNumber":"1","Data":"AA==","PartitionKey":null,"EncryptionType":null},{"SequenceNumber":"2","Data":"AA=="}]}"#,
    // Members to come, and white space.
    " {\n\t\"Future\" : { \"a\" : [ 1 , -2.5e3 , true , false , null , \"\\u0041\" , { } , [ ] ] } ,\r\n \"Records\" : [ { \"Data\" : \"AA==\" , \"SequenceNumber\" : \"1\" , \"New\" : {\"b\":[]} , \"ApproximateArrivalTimestamp\" : 1795395060 } ] , \"MillisBehindLatest\" : 7 } \n",
    // Slashes escaped, as some writers do.
    r#"{"Records":[{"Data":"\/\/\/\/","SequenceNumber":"1","PartitionKey":"a\/b","ApproximateArrivalTimestamp":0.001}],"MillisBehindLatest":9223372036854775807}"#,
];

#[test]
fn recorded_bodies_are_read_fast_and_as_the_sdk_reads_them() {
    let stock = Stock::start();
    for body in RECORDED {
        let fast = scan::scan(body.as_bytes()).map(said);
        assert!(fast.is_some(), "not read by the scanner: {body}");
        assert_eq!(fast, stock.read(body), "{body}");
    }
}

#[test]
fn what_the_scanner_does_not_expect_is_left_to_the_sdk() {
    let page = |records: &str| format!(r#"{{"Records":[{records}],"MillisBehindLatest":0}}"#);
    let record = |rest: &str| page(&format!(r#"{{"SequenceNumber":"1","PartitionKey":"k"{rest}}}"#));
    let left = [
        String::new(),
        "{}".into(),
        "[]".into(),
        "null".into(),
        page("") + "x",
        page("null"),
        page("{}"),
        page(r#"{"Data":"AA=="}"#),
        record(""),
        record(r#","Data":"AA=""#),
        record(r#","Data":"A===""#),
        record(r#","Data":"AB==""#),
        record(r#","Data":"A!==""#),
        record(r#","Data":null"#),
        record(r#","Data":"AA==","Data":"AA==""#),
        record(r#","Data":"AA==","ApproximateArrivalTimestamp":"2026-11-23""#),
        record(r#","Data":"AA==","ApproximateArrivalTimestamp":-1.5"#),
        record(r#","Data":"AA==","ApproximateArrivalTimestamp":1.5E99"#),
        record(r#","Data":"AA==","X":01"#),
        record(r#","Data":"AA==","X":.5"#),
        record(r#","Data":"AA==","X":1."#),
        record(r#","Data":"AA==","X":nul"#),
        record(",\"Data\":\"AA==\",\"X\":\"a\u{1}b\""),
        record(r#","Data":"AA==","X":"\ud800""#),
        record(r#","Data":"AA==","X":"\x""#),
        record(&format!(r#","Data":"AA==","X":{}{}"#, "[".repeat(1_000), "]".repeat(1_000))),
        r#"{"Records":[],"MillisBehindLatest":-1}"#.into(),
        r#"{"Records":[],"MillisBehindLatest":1.5}"#.into(),
        r#"{"Records":[],"MillisBehindLatest":99999999999999999999}"#.into(),
        r#"{"Records":[],"Records":[]}"#.into(),
        r#"{"Records":[],}"#.into(),
        r#"{"Records":[,]}"#.into(),
        r#"{"Records":[]"#.into(),
        r#"{"Records":{}}"#.into(),
        r#"{"Records":[],"ChildShards":[{"ShardId":"a"}]}"#.into(),
    ];
    for body in left {
        assert!(scan::scan(body.as_bytes()).is_none(), "{body}");
    }
    let mut not_utf8 = page("").into_bytes();
    not_utf8.insert(1, 0xff);
    assert!(scan::scan(&not_utf8).is_none());
}

#[derive(Debug, Clone)]
struct Body {
    records: Vec<(String, Vec<u8>, u128, i64)>,
    next: Option<String>,
    behind: Option<u32>,
    children: Vec<(String, Vec<String>)>,
    style: u64,
}

fn bodies() -> impl Strategy<Value = Body> {
    let record = (any::<String>(), prop::collection::vec(any::<u8>(), 0..40), any::<u128>(), 0_i64..4_000_000_000_000);
    let child = (any::<String>(), prop::collection::vec(any::<String>(), 0..3));
    let next = prop::option::of(any::<String>());
    (prop::collection::vec(record, 0..8), next, any::<Option<u32>>(), prop::collection::vec(child, 0..3), any::<u64>())
        .prop_map(|(records, next, behind, children, style)| Body { records, next, behind, children, style })
}

/// Writes JSON in a style of its own: order of members, white space, escapes, members nobody knows.
struct Writer(fastrand::Rng);

impl Writer {
    fn space(&mut self) -> &'static str {
        self.0.choice(["", "", "", " ", "\n", "\t \r\n"]).expect("there are some")
    }

    fn string(&mut self, text: &str) -> String {
        let mut out = String::from("\"");
        for c in text.chars() {
            match c {
                '"' | '\\' => out.extend(['\\', c]),
                '/' if self.0.bool() => out.push_str("\\/"),
                '\n' if self.0.bool() => out.push_str("\\n"),
                c if u32::from(c) < 0x20 || self.0.u8(..8) == 0 => {
                    c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
                }
                c => out.push(c),
            }
        }
        out.push('"');
        out
    }

    fn array(&mut self, elements: Vec<String>) -> String {
        let space = self.space();
        format!("[{space}{}{space}]", elements.join(&format!("{space},{space}")))
    }

    fn object(&mut self, mut members: Vec<(&str, String)>) -> String {
        if self.0.bool() {
            let unknown = self
                .0
                .choice(["1", "-0.5e-3", "\"x\\\"y\"", "[[],{\"a\":null}]", "true", "{}"])
                .expect("there are some");
            members.push(("Unknown", unknown.to_owned()));
        }
        self.0.shuffle(&mut members);
        let members: Vec<String> = members
            .into_iter()
            .map(|(name, value)| {
                format!("{}\"{name}\"{}:{}{value}{}", self.space(), self.space(), self.space(), self.space())
            })
            .collect();
        format!("{{{}}}", members.join(","))
    }

    fn optional(&mut self, members: &mut Vec<(&'static str, String)>, name: &'static str, value: Option<String>) {
        match value {
            Some(value) => members.push((name, value)),
            None if self.0.bool() => members.push((name, "null".into())),
            None => {}
        }
    }

    fn seconds(&mut self, ms: i64) -> String {
        match self.0.u8(..3) {
            0 if ms % 1_000 == 0 => (ms / 1_000).to_string(),
            1 if ms >= 1_000_000_000_000 => format!("{}.{:012}E9", ms / 1_000_000_000_000, ms % 1_000_000_000_000),
            _ => format!("{}.{:03}", ms / 1_000, ms % 1_000),
        }
    }

    fn body(&mut self, body: &Body) -> String {
        let mut records = Vec::new();
        for (key, data, sequence, ms) in &body.records {
            let mut members = vec![("SequenceNumber", format!("\"{sequence}\""))];
            let data = base64_simd::STANDARD.encode_to_string(data);
            members.push(("Data", if self.0.bool() { self.string(&data) } else { format!("\"{data}\"") }));
            let ms = Some(self.seconds(*ms)).filter(|_| self.0.u8(..10) > 0);
            self.optional(&mut members, "ApproximateArrivalTimestamp", ms);
            let key = Some(self.string(key)).filter(|_| self.0.u8(..10) > 0);
            self.optional(&mut members, "PartitionKey", key);
            records.push(self.object(members));
        }
        let mut children = Vec::new();
        for (id, parents) in &body.children {
            let parents = parents.iter().map(|parent| self.string(parent)).collect();
            let range =
                self.object(vec![("StartingHashKey", "\"0\"".into()), ("EndingHashKey", format!("\"{}\"", u128::MAX))]);
            let members =
                vec![("ShardId", self.string(id)), ("ParentShards", self.array(parents)), ("HashKeyRange", range)];
            children.push(self.object(members));
        }
        let mut members = vec![("Records", self.array(records))];
        let next = body.next.as_ref().map(|next| self.string(next));
        self.optional(&mut members, "NextShardIterator", next);
        self.optional(&mut members, "MillisBehindLatest", body.behind.map(|ms| ms.to_string()));
        let children = Some(self.array(children)).filter(|_| !body.children.is_empty());
        self.optional(&mut members, "ChildShards", children);
        self.object(members)
    }
}

#[test]
fn generated_bodies_are_read_fast_and_as_the_sdk_reads_them() {
    let stock = Stock::start();
    proptest!(ProptestConfig::with_cases(256), |(body in bodies())| {
        let text = Writer(fastrand::Rng::with_seed(body.style)).body(&body);
        let fast = scan::scan(text.as_bytes()).map(said);
        prop_assert!(fast.is_some(), "not read by the scanner: {}", text);
        prop_assert_eq!(fast, stock.read(text.clone()), "{}", text);
    });
}

#[test]
fn damaged_bodies_are_never_read_otherwise_than_the_sdk_reads_them() {
    let stock = Stock::start();
    proptest!(ProptestConfig::with_cases(768), |(body in bodies(), seed in any::<u64>())| {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut text = Writer(fastrand::Rng::with_seed(body.style)).body(&body).into_bytes();
        for _ in 0..random.u8(1..4) {
            let at = random.usize(..text.len());
            let byte = random.choice(b"\"\\{}[],:0123456789.eE+-nultrfase /u\x00\xff".iter().copied()).expect("there are some");
            match random.u8(..3) {
                0 => text[at] = byte,
                1 => text.insert(at, byte),
                _ => drop(text.remove(at)),
            }
        }
        if let Some(fast) = scan::scan(&text).map(said) {
            prop_assert_eq!(Some(fast), stock.read(text.clone()), "{}", String::from_utf8_lossy(&text));
        }
    });
}
