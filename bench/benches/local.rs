//! What a record costs the local endpoint: put into it, and read from it as the body of a GetRecords answer, without
//! sockets. Is one core's share of it small enough that in a benchmark over HTTP the engine is what is measured?
//!
//! * `get json`, `get cbor`: a page of 10,000 records of 100 bytes, from request to answer's body. Target: 3 M records/s
//!   a core over HTTP with keep-alive, so not more than about half of 333 ns here; the kernel has the rest.
//! * `copy`: the same bodies copied, as a floor.
//! * `put json`, `put cbor`: PutRecords of 500 such records into one shard.

use std::hint::black_box;
use std::time::{Duration, Instant};

use base64_simd::STANDARD;
use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput};
use http::Request;
use weir_bench::is_smoke;
use weir_kinesis::local::{Front, Model, ModelSettings};

const NOW_MS: i64 = 1_795_395_060_708;
const DATA_BYTES: usize = 100;
/// Records in one PutRecords call, as many as the service takes.
const CALL_RECORDS: usize = 500;
const JSON: &str = "application/x-amz-json-1.1";
const CBOR: &str = "application/x-amz-cbor-1.1";

struct Endpoint {
    front: Front,
    model: Model,
}

impl Endpoint {
    /// With a stream `s` of one shard.
    fn new() -> Endpoint {
        let settings = ModelSettings { create_delay_ms: 0, ..ModelSettings::default() };
        let mut endpoint = Endpoint { front: Front::new(weir_bench::SEED), model: Model::new(settings) };
        let _ = endpoint.call("CreateStream", JSON, Bytes::from_static(b"{\"StreamName\":\"s\",\"ShardCount\":1}"));
        endpoint
    }

    fn call(&mut self, operation: &str, content_type: &str, body: Bytes) -> Bytes {
        let request = Request::post("/")
            .header("content-type", content_type)
            .header("x-amz-target", format!("Kinesis_20131202.{operation}"))
            .header("authorization", "AWS4-HMAC-SHA256 Credential=x")
            .body(body)
            .expect("a plain request");
        let answer = self.front.answer(&mut self.model, NOW_MS, request);
        assert!(answer.status().is_success(), "{answer:?}");
        answer.into_body().into_bytes()
    }

    fn iterator(&mut self) -> String {
        let asked = r#"{"StreamName":"s","ShardId":"shardId-000000000000","ShardIteratorType":"TRIM_HORIZON"}"#;
        let answer = self.call("GetShardIterator", JSON, asked.into());
        let answer = std::str::from_utf8(&answer).expect("JSON is text");
        answer.split('"').nth(3).expect("one member").to_owned()
    }
}

/// Key and data of each record of a call: the key 16 hexadecimal digits.
fn records() -> Vec<(String, [u8; DATA_BYTES])> {
    let mut random = fastrand::Rng::with_seed(weir_bench::SEED);
    let record = |_| {
        let mut data = [0; DATA_BYTES];
        random.fill(&mut data);
        (format!("{:016x}", random.u64(..)), data)
    };
    (0..CALL_RECORDS).map(record).collect()
}

fn put_json() -> Bytes {
    let record = |(key, data): (String, [u8; DATA_BYTES])| {
        format!(r#"{{"Data":"{}","PartitionKey":"{key}"}}"#, STANDARD.encode_to_string(data))
    };
    let records: Vec<_> = records().into_iter().map(record).collect();
    format!(r#"{{"StreamName":"s","Records":[{}]}}"#, records.join(",")).into()
}

/// The same with indefinite lengths, as the Java SDK writes them.
fn put_cbor() -> Bytes {
    fn text(body: &mut Vec<u8>, text: &str) {
        body.push(0x60 | u8::try_from(text.len()).expect("short"));
        body.extend_from_slice(text.as_bytes());
    }
    let mut body = vec![0xbf];
    text(&mut body, "StreamName");
    text(&mut body, "s");
    text(&mut body, "Records");
    body.push(0x9f);
    for (key, data) in records() {
        body.push(0xbf);
        text(&mut body, "Data");
        body.extend_from_slice(&[0x58, u8::try_from(DATA_BYTES).expect("short")]);
        body.extend_from_slice(&data);
        text(&mut body, "PartitionKey");
        text(&mut body, &key);
        body.push(0xff);
    }
    body.extend_from_slice(&[0xff, 0xff]);
    body.into()
}

fn get(c: &mut Criterion) {
    let records = if is_smoke() { CALL_RECORDS } else { 10_000 };
    let mut endpoint = Endpoint::new();
    for call in 0..records / CALL_RECORDS {
        let (content_type, body) = if call % 2 == 0 { (JSON, put_json()) } else { (CBOR, put_cbor()) };
        let _ = endpoint.call("PutRecords", content_type, body);
    }
    let token = endpoint.iterator();
    let json = Bytes::from(format!(r#"{{"ShardIterator":"{token}"}}"#));
    let length = u16::try_from(token.len()).expect("at most 512").to_be_bytes();
    let cbor = Bytes::from([&b"\xa1\x6dShardIterator\x79"[..], &length, token.as_bytes()].concat());
    let mut group = c.benchmark_group(format!("local/get {records} records"));
    let _ = group.throughput(Throughput::Elements(records as u64)).sample_size(20);
    for (name, content_type, request) in [("json", JSON, json), ("cbor", CBOR, cbor)] {
        let page = endpoint.call("GetRecords", content_type, request.clone());
        let found = memchr_count(&page, b"ApproximateArrivalTimestamp");
        assert_eq!(found, records, "all records are in the page");
        println!("local/get {name}: {} bytes a record", page.len() / records);
        let _ = group.bench_function(BenchmarkId::from_parameter(name), |b| {
            b.iter(|| black_box(endpoint.call("GetRecords", content_type, request.clone())));
        });
        let _ = group.bench_function(BenchmarkId::from_parameter(format!("{name} copy (floor)")), |b| {
            b.iter(|| black_box(page.to_vec()));
        });
    }
    group.finish();
}

fn memchr_count(body: &[u8], part: &[u8]) -> usize {
    body.windows(part.len()).filter(|window| *window == part).count()
}

fn put(c: &mut Criterion) {
    let mut group = c.benchmark_group(format!("local/put {CALL_RECORDS} records"));
    let _ = group.throughput(Throughput::Elements(CALL_RECORDS as u64)).sample_size(20);
    for (name, content_type, body) in [("json", JSON, put_json()), ("cbor", CBOR, put_cbor())] {
        let _ = group.bench_function(BenchmarkId::from_parameter(name), |b| {
            // A new endpoint each time, made and dropped outside of the measured time: nothing is trimmed within it.
            b.iter_custom(|calls| {
                let mut endpoint = Endpoint::new();
                let mut spent = Duration::ZERO;
                for call in 1..=calls {
                    let start = Instant::now();
                    let _ = black_box(endpoint.call("PutRecords", content_type, body.clone()));
                    spent += start.elapsed();
                    if call % 200 == 0 {
                        endpoint = Endpoint::new();
                    }
                }
                spent
            });
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    get(&mut criterion);
    put(&mut criterion);
    criterion.final_summary();
}
