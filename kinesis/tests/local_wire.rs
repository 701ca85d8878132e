//! The local endpoint over real loopback TCP, spoken to by hand so that no HTTP library smooths anything over.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, SystemTime};

use weir_kinesis::local::{LocalEndpoint, LocalSettings, LocalThread, StartError};
use weir_runtime::facade;
use weir_runtime::io::http::server::BindError;

/// One connection, one request after the other.
struct Wire(BufReader<TcpStream>);

struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(n, _)| n == name);
        found.map_or_else(|| panic!("no {name} in {:?}", self.headers), |(_, value)| value)
    }

    /// The text behind `"name":"`, up to the next quote.
    fn member(&self, name: &str) -> &str {
        let start = self.body.find(&format!("\"{name}\":\"")).unwrap_or_else(|| panic!("no {name} in {}", self.body));
        self.body[start + name.len() + 4..].split('"').next().expect("split gives one at least")
    }
}

impl Wire {
    fn connect(address: SocketAddr) -> Wire {
        let stream = TcpStream::connect(address).expect("the endpoint listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("not zero");
        Wire(BufReader::new(stream))
    }

    fn head(operation: &str) -> String {
        format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-amz-json-1.1\r\nX-Amz-Target: \
             Kinesis_20131202.{operation}\r\nAuthorization: AWS4-HMAC-SHA256 Credential=x\r\n"
        )
    }

    fn call(&mut self, operation: &str, body: &str) -> Answer {
        self.raw(&format!("{}Content-Length: {}\r\n\r\n{body}", Wire::head(operation), body.len()))
    }

    /// The same with the body in chunks of 7 bytes.
    fn call_chunked(&mut self, operation: &str, body: &str) -> Answer {
        let chunks = body.as_bytes().chunks(7).map(|chunk| {
            let text = std::str::from_utf8(chunk).expect("an ASCII body");
            format!("{:x}\r\n{text}\r\n", chunk.len())
        });
        let chunks: String = chunks.collect();
        self.raw(&format!("{}Transfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n", Wire::head(operation)))
    }

    fn raw(&mut self, request: &str) -> Answer {
        self.0.get_mut().write_all(request.as_bytes()).expect("the connection is open");
        let mut line = || {
            let mut line = String::new();
            self.0.read_line(&mut line).expect("the connection is open");
            line.trim_end().to_owned()
        };
        let status = line().split(' ').nth(1).expect("a status line").parse().expect("a status");
        let headers: Vec<_> = std::iter::from_fn(|| Some(line()).filter(|line| !line.is_empty()))
            .map(|line| line.split_once(": ").map(|(n, v)| (n.to_ascii_lowercase(), v.to_owned())).expect("a header"))
            .collect();
        let mut answer = Answer { status, headers, body: String::new() };
        let mut body = vec![0; answer.header("content-length").parse().expect("a length")];
        self.0.read_exact(&mut body).expect("the whole body comes");
        answer.body = String::from_utf8(body).expect("JSON is UTF-8");
        answer
    }
}

fn start() -> LocalThread {
    LocalEndpoint::spawn_thread("127.0.0.1:0", LocalSettings::default()).expect("an executor runs here")
}

#[test]
fn one_connection_carries_a_record_s_whole_way() {
    let endpoint = start();
    endpoint.create_stream("s", 1).expect("a new name");
    let mut wire = Wire::connect(endpoint.address());
    let put = wire.call("PutRecord", r#"{"StreamName":"s","PartitionKey":"k","Data":"aGVsbG8="}"#);
    assert_eq!((put.status, put.member("ShardId")), (200, "shardId-000000000000"));
    let asked = r#"{"StreamName":"s","ShardId":"shardId-000000000000","ShardIteratorType":"TRIM_HORIZON"}"#;
    let iterator = wire.call("GetShardIterator", asked);
    let asked = format!(r#"{{"ShardIterator":"{}"}}"#, iterator.member("ShardIterator"));
    let page = wire.call("GetRecords", &asked);
    assert_eq!((page.member("Data"), page.member("PartitionKey")), ("aGVsbG8=", "k"));
    assert_eq!(page.member("SequenceNumber"), put.member("SequenceNumber"));
    assert_eq!(endpoint.record_count("s"), 1);
    endpoint.stop().expect("it did not panic");
}

#[test]
fn chunked_body_is_taken_and_the_connection_kept() {
    let endpoint = start();
    endpoint.create_stream("s", 1).expect("a new name");
    let mut wire = Wire::connect(endpoint.address());
    for n in 1..=3 {
        let put = wire.call_chunked("PutRecord", r#"{"StreamName":"s","PartitionKey":"k","Data":"aGVsbG8="}"#);
        assert_eq!(put.status, 200, "{}", put.body);
        assert_eq!(endpoint.record_count("s"), n);
    }
}

#[test]
fn refusal_keeps_the_connection_and_names_the_exception() {
    let endpoint = start();
    let mut wire = Wire::connect(endpoint.address());
    for _ in 0..2 {
        let missing = wire.call("DescribeStream", r#"{"StreamName":"nowhere"}"#);
        assert_eq!((missing.status, missing.member("__type")), (400, "ResourceNotFoundException"));
        assert_eq!(missing.member("message"), "Stream nowhere under account 000000000000 not found.");
        assert_eq!(missing.header("x-amzn-requestid").len(), 36);
    }
}

#[test]
fn date_is_the_time_of_the_answer_once() {
    let endpoint = start();
    let answer = Wire::connect(endpoint.address()).call("ListStreams", "{}");
    assert_eq!(answer.headers.iter().filter(|(name, _)| name == "date").count(), 1);
    let date = httpdate::parse_http_date(answer.header("date")).expect("an HTTP date");
    let age = SystemTime::now().duration_since(date).expect("not of the future");
    assert!(age < Duration::from_secs(20), "{age:?}");
}

#[test]
fn call_of_the_greatest_size_is_taken_and_a_greater_one_refused_in_the_service_s_words() {
    let endpoint = start();
    endpoint.create_stream("s", 1).expect("a new name");
    let mut wire = Wire::connect(endpoint.address());
    // 10 x (1 MiB - 1 of data + 1 of key): base64 of 3 n bytes needs no padding.
    let data = "AAAA".repeat(((1 << 20) - 1) / 3);
    let record = format!(r#"{{"PartitionKey":"k","Data":"{data}"}}"#);
    let call = |records: usize| {
        let records = vec![record.as_str(); records].join(",");
        format!(r#"{{"StreamName":"s","Records":[{records}]}}"#)
    };
    let taken = wire.call("PutRecords", &call(10));
    assert_eq!(taken.status, 200, "{}", taken.body);
    let refused = wire.call("PutRecords", &call(11));
    assert_eq!((refused.status, refused.member("__type")), (400, "InvalidArgumentException"));
    assert_eq!(refused.member("message"), "Records size exceeds 10 MB limit");
    assert_eq!(endpoint.record_count("s"), 10);
}

#[test]
fn call_that_is_far_too_large_is_refused_in_the_service_s_shape_and_read_to_its_end() {
    let endpoint = start();
    // More than the kernel keeps for it: an answer in front of a closed door would not be seen.
    let refused = Wire::connect(endpoint.address()).call("PutRecords", &"x".repeat(40 << 20));
    assert_eq!((refused.status, refused.member("__type")), (413, "RequestEntityTooLargeException"));
    assert_eq!(refused.header("x-amzn-requestid").len(), 36);
    assert_eq!(refused.header("connection"), "close");
    endpoint.stop().expect("it did not panic");
}

#[test]
fn port_in_use_is_said() {
    let first = start();
    let second = LocalEndpoint::spawn_thread(&first.address().to_string(), LocalSettings::default());
    assert!(matches!(second, Err(StartError::Bind(BindError::InUse(_)))), "{second:?}");
}

#[test]
fn endpoint_on_the_caller_s_executor_stops_when_told() {
    let address = facade::run_here(async {
        let endpoint = LocalEndpoint::start("127.0.0.1:0", LocalSettings::default()).await.expect("a free port");
        let address = endpoint.address();
        let asked = std::thread::spawn(move || Wire::connect(address).call("ListStreams", "{}").status);
        while !asked.is_finished() {
            facade::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(asked.join().expect("it got its answer"), 200);
        endpoint.stop().await;
        address
    });
    let address = address.expect("an executor runs here");
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
}

#[test]
fn faults_and_the_clock_are_set_on_the_same_port() {
    let endpoint = start();
    endpoint.create_stream("s", 1).expect("a new name");
    let mut wire = Wire::connect(endpoint.address());
    let mut admin = |method: &str, what: &str, body: &str| {
        let length = body.len();
        wire.raw(&format!(
            "{method} /_weir/{what} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: \
             {length}\r\n\r\n{body}"
        ))
    };
    let faults =
        r#"{"faults": ["delay:ListShards:ms=150", "cut:ListShards:count=1", "reset:PutRecord:after:count=1"]}"#;
    let set = admin("POST", "faults", faults);
    assert_eq!((set.status, set.member("fault")), (200, "delay:ListShards:ms=150"));
    let moved = admin("POST", "clock", r#"{"offset_ms": 86400000}"#);
    assert_eq!(moved.status, 200);

    let sent = std::time::Instant::now();
    let mut cut = TcpStream::connect(endpoint.address()).expect("it listens");
    let body = r#"{"StreamName": "s"}"#;
    let request = format!("{}Content-Length: {}\r\n\r\n{body}", Wire::head("ListShards"), body.len());
    cut.write_all(request.as_bytes()).expect("it is connected");
    let mut seen = Vec::new();
    // Closed or reset: either way that was all.
    let _ = cut.read_to_end(&mut seen);
    assert!(sent.elapsed() >= Duration::from_millis(150), "{:?}", sent.elapsed());
    let seen = String::from_utf8_lossy(&seen).into_owned();
    let (head, part) = seen.split_once("\r\n\r\n").expect("the head is whole");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("it says its length");
    assert_eq!(part.len(), length.parse::<usize>().expect("a number") / 2);

    let mut reset = TcpStream::connect(endpoint.address()).expect("it listens");
    let put = r#"{"StreamName":"s","PartitionKey":"k","Data":"aGVsbG8="}"#;
    let request = format!("{}Content-Length: {}\r\n\r\n{put}", Wire::head("PutRecord"), put.len());
    reset.write_all(request.as_bytes()).expect("it is connected");
    let mut nothing = Vec::new();
    let _ = reset.read_to_end(&mut nothing);
    assert_eq!(String::from_utf8_lossy(&nothing), "");
    assert_eq!(endpoint.record_count("s"), 1, "it had its effect");
    let struck = admin("GET", "faults", "").body;
    let struck = struck.split("reset:PutRecord:after:count=1").nth(1).expect("it is said");
    assert!(struck.contains(r#""happened":1,"over":true"#), "{struck}");

    let whole = wire.call("ListShards", body);
    assert_eq!((whole.status, whole.member("ShardId")), (200, "shardId-000000000000"));
    let date = httpdate::parse_http_date(whole.header("date")).expect("a date");
    let ahead = date.duration_since(SystemTime::now()).expect("the endpoint's clock is ahead");
    assert!(ahead > Duration::from_secs(86_000), "{ahead:?}");
    endpoint.stop().expect("it did not panic");
}
