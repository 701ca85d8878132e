//! An endpoint that is killed and comes back with its data: nothing acknowledged is lost, and no result differs.

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use common::{clean, free_port, run, signal, start, wait, weir, weir_at};
use serde_json::{Value, json};

/// A `weir local` that keeps its data, and may be killed and started again where it was.
struct Kept {
    folder: tempfile::TempDir,
    address: String,
    running: Option<(Child, BufReader<ChildStdout>)>,
}

impl Kept {
    fn start() -> Kept {
        let folder = tempfile::tempdir().expect("a folder of our own");
        let mut kept = Kept { folder, address: free_port().to_string(), running: None };
        kept.begin();
        kept
    }

    fn begin(&mut self) {
        self.begin_by(weir());
    }

    /// By a command that is `weir`, or becomes it with the arguments it is given.
    fn begin_by(&mut self, mut command: Command) {
        let _ = command
            .args(["local", "--no-limits", "--stream", "Tweets:2", "--stream", "Counts:2", "--listen", &self.address])
            .arg("--data")
            .arg(self.data())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().expect("weir local starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        let _ = stdout.read_line(&mut line).expect("it says where it listens");
        assert_eq!(line.trim_end(), format!("listening on {}", self.url()));
        self.running = Some((child, stdout));
    }

    /// SIGKILL: it can do nothing about it.
    fn kill(&mut self) {
        let (mut child, _) = self.running.take().expect("it runs");
        child.kill().expect("it is ours");
        let _ = child.wait().expect("it ends");
    }

    fn data(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if self.running.is_some() {
            self.kill();
        }
    }
}

/// A record as `weir stream get` tells it.
#[derive(Clone, Debug)]
struct Record {
    shard: String,
    sequence: String,
    key: String,
    arrival: i64,
    data: String,
}

/// All records of a stream, each shard's in order.
fn records(url: &str, stream: &str) -> Vec<Record> {
    let mut command = weir_at(url);
    let _ = command.args(["stream", "get", stream, "--output", "json", "--limit", "1000000"]);
    let ended = run(command);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let record = |line: &str| {
        let record: Value = serde_json::from_str(line).expect("JSON");
        let text = |name: &str| record[name].as_str().unwrap_or_else(|| panic!("no {name}: {line}")).to_owned();
        Record {
            shard: text("shard"),
            sequence: text("sequence"),
            key: text("key"),
            arrival: record["arrival"].as_i64().expect("a time"),
            data: text("data"),
        }
    };
    ended.stdout.lines().map(record).collect()
}

/// One connection to the endpoint, spoken by hand: whoever retried would hide what was acknowledged.
struct Wire(BufReader<TcpStream>);

impl Wire {
    fn connect(address: &str) -> Option<Wire> {
        let socket = TcpStream::connect(address).ok()?;
        socket.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
        Some(Wire(BufReader::new(socket)))
    }

    /// The acknowledged shard and sequence number. `None` if the connection broke before they were told.
    fn put(&mut self, key: &str, text: &str) -> Option<(String, String)> {
        let (status, answer) = self.try_put(key, text)?;
        assert_eq!(status, 200, "{answer}");
        let text = |name: &str| answer[name].as_str().expect("a text").to_owned();
        Some((text("ShardId"), text("SequenceNumber")))
    }

    /// Status and answer of a put.
    fn try_put(&mut self, key: &str, text: &str) -> Option<(u16, Value)> {
        // Long enough that a file of the data is full now and then.
        let data = format!("{text} {}", "x".repeat(20_000));
        let body = json!({ "StreamName": "Tweets", "PartitionKey": key, "Data": base64(data.as_bytes()) }).to_string();
        let request = format!(
            "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-amz-json-1.1\r\nx-amz-target: \
             Kinesis_20131202.PutRecord\r\nauthorization: AWS4-HMAC-SHA256 Credential=x\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.get_mut().write_all(request.as_bytes()).ok()?;
        let mut line = || {
            let mut line = String::new();
            let bytes = self.0.read_line(&mut line).ok()?;
            (bytes > 0).then(|| line.trim_end().to_ascii_lowercase())
        };
        let status = line()?;
        let mut length = 0;
        loop {
            let header = line()?;
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length: ") {
                length = value.parse().expect("a length");
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).ok()?;
        let status = status.split(' ').nth(1).and_then(|status| status.parse().ok());
        Some((status.expect("a status line"), serde_json::from_slice(&body).expect("JSON")))
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = bytes.chunks(3).flat_map(|chunk| {
        let all = chunk.iter().fold(0_u32, |all, byte| all << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        (0..4).map(move |at| match at <= chunk.len() {
            true => char::from(DIGITS[(all >> (18 - 6 * at) & 63) as usize]),
            false => '=',
        })
    });
    digits.collect()
}

/// What a writer was told: text, shard and sequence number, in order.
type Acknowledged = Vec<(String, String, String)>;

fn write(address: &str, writer: usize, count: &AtomicUsize, stop: &AtomicBool) -> Acknowledged {
    let (mut wire, mut acknowledged) = (None, Vec::new());
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        if wire.is_none() {
            wire = Wire::connect(address);
        }
        let Some(connected) = &mut wire else {
            thread::sleep(Duration::from_millis(5));
            continue;
        };
        let text = format!("{writer}-{n}");
        match connected.put(&format!("writer-{writer}"), &text) {
            Some((shard, sequence)) => {
                acknowledged.push((text, shard, sequence));
                let _ = count.fetch_add(1, Ordering::Relaxed);
            }
            None => wire = None,
        }
    }
    acknowledged
}

#[test]
fn nothing_that_was_acknowledged_is_lost_however_often_the_endpoint_is_killed() {
    let mut kept = Kept::start();
    let (count, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (address, count, stop) = (kept.address.clone(), count.clone(), stop.clone());
            thread::spawn(move || write(&address, writer, &count, &stop))
        })
        .collect();
    let until = |enough: usize| {
        let began = Instant::now();
        while count.load(Ordering::Relaxed) < enough {
            assert!(began.elapsed() < Duration::from_secs(30), "no {enough} records are written");
            thread::sleep(Duration::from_millis(3));
        }
    };
    // More than the 8 MiB of one file in all, and kills at any moment of a call.
    for round in 1..=6 {
        until(round * 80);
        kept.kill();
        kept.begin();
    }
    until(500);
    stop.store(true, Ordering::Relaxed);
    let acknowledged: Vec<Acknowledged> = writers.into_iter().map(|writer| writer.join().expect("no panic")).collect();
    kept.kill();
    kept.begin();

    let found = records(&kept.url(), "Tweets");
    let text = |record: &Record| record.data.split(' ').next().expect("split gives one at least").to_owned();
    let mut shards: BTreeMap<&str, &str> = BTreeMap::new();
    for record in &found {
        // 56 digits each, so they compare as texts.
        let before = shards.insert(&record.shard, &record.sequence);
        assert!(before < Some(&record.sequence), "{record:?} behind {before:?}");
    }
    let all: BTreeSet<String> = found.iter().map(text).collect();
    assert_eq!(all.len(), found.len(), "a record is there once");
    for (writer, acknowledged) in acknowledged.iter().enumerate() {
        assert!(!acknowledged.is_empty(), "writer {writer} wrote nothing");
        let told: BTreeSet<&str> = acknowledged.iter().map(|(text, ..)| text.as_str()).collect();
        let key = format!("writer-{writer}");
        let of_writer = found.iter().filter(|record| record.key == key && told.contains(text(record).as_str()));
        let there: Acknowledged =
            of_writer.map(|record| (text(record), record.shard.clone(), record.sequence.clone())).collect();
        assert_eq!(there.len(), acknowledged.len(), "writer {writer} lost some");
        assert!(there == *acknowledged, "writer {writer}: order or numbers differ");
    }
    let files = fs::read_dir(kept.data()).expect("a folder").count();
    assert!(files > 2, "it had more than one file: {files}");
}

/// No disk is at hand that is full; a file that may not grow fails in the same way.
#[test]
fn full_disk_refuses_calls_and_what_was_acknowledged_is_there_afterwards() {
    let mut kept = Kept::start();
    kept.kill();
    let mut limited = clean(Command::new("sh"));
    let script = format!("trap '' XFSZ; ulimit -f 200; exec {} \"$@\"", env!("CARGO_BIN_EXE_weir"));
    let _ = limited.args(["-c", &script, "sh"]);
    kept.begin_by(limited);
    let mut wire = Wire::connect(&kept.address).expect("it listens");
    let mut acknowledged = Vec::new();
    let refused = loop {
        let text = format!("0-{}", acknowledged.len());
        match wire.try_put("k", &text).expect("the connection stays") {
            (200, _) => acknowledged.push(text),
            refused => break refused,
        }
        assert!(acknowledged.len() < 100, "200 blocks hold 2 MB");
    };
    let internal = json!({ "__type": "InternalFailureException", "message": "Internal service failure." });
    assert_eq!(refused, (500, internal.clone()));
    assert_eq!(wire.try_put("k", "again"), Some((500, internal)), "until it can be written");
    assert!(acknowledged.len() > 2, "{acknowledged:?}");

    kept.kill();
    kept.begin();
    let found = records(&kept.url(), "Tweets");
    let texts: Vec<_> = found.iter().map(|record| record.data.split(' ').next().expect("one at least")).collect();
    assert_eq!(texts, acknowledged);
    let mut wire = Wire::connect(&kept.address).expect("it listens");
    assert!(wire.put("k", "after").is_some());
}

const PUBLISHER: &str = r#"
name = "tweet-publisher"

[source]
type = "tweets"
rate = 10
burst = "1-9"
keys = 10

[sink]
type = "kinesis"
stream = "Tweets"
"#;

/// As the tutorial's monitor, but from the oldest record and as JSON.
const MONITOR: &str = r#"
name = "kinesis-traffic-monitor"

[source]
type = "kinesis"
stream = "Tweets"
timestamps = "native"
lag = "1s"

[window]
over = "sliding 1s by 500ms"
aggregate = "count"

[sink]
type = "stdout"
"#;

/// Results that go where the trouble is.
const BY_KEY: &str = r#"
name = "by-key"

[source]
type = "kinesis"
stream = "Tweets"
timestamps = "native"
lag = "1s"

[window]
over = "tumbling 1s"
group_by = "partition-key"
aggregate = "count"

[sink]
type = "kinesis"
stream = "Counts"
"#;

fn job(folder: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let file = folder.join(name);
    fs::write(&file, text).expect("a file in our own folder");
    file
}

/// The windows of a run that says them as JSON lines, and its summary.
fn windows(stdout: &str) -> (BTreeMap<i64, u64>, Value) {
    let mut windows = BTreeMap::new();
    let mut lines: Vec<&str> = stdout.lines().collect();
    let summary = serde_json::from_str(lines.pop().expect("a summary")).expect("JSON");
    for line in lines {
        let row: Value = serde_json::from_str(line).expect("JSON");
        let once = windows.insert(row["end"].as_i64().expect("a time"), row["value"].as_u64().expect("a count"));
        assert_eq!(once, None, "a row comes once: {line}");
    }
    (windows, summary)
}

fn assert_nothing_lost(summary: &Value, jobs: usize) {
    let jobs_said = summary["jobs"].as_array().expect("jobs");
    assert_eq!(jobs_said.len(), jobs, "{summary}");
    for job in jobs_said {
        assert_eq!((job["late"].as_u64(), job["open"].as_u64()), (Some(0), Some(0)), "{summary}");
        assert_eq!((job["losses"].as_array().map(Vec::len), &job["error"]), (Some(0), &Value::Null), "{summary}");
    }
}

#[test]
fn outage_of_thirty_seconds_changes_no_result_and_is_in_the_log() {
    let mut kept = Kept::start();
    let (url, folder) = (kept.url(), tempfile::tempdir().expect("a folder of our own"));
    let file = |name, text| job(folder.path(), name, text);
    let monitor_file = file("monitor.toml", MONITOR);
    let mut command = weir_at(&url);
    let _ = command.arg("run").args([&monitor_file, &file("by-key.toml", BY_KEY)]).args(["--output", "json"]);
    let monitor = start(command);
    let mut command = weir_at(&url);
    let _ = command.arg("run").arg(file("publisher.toml", PUBLISHER)).args(["--output", "json"]);
    let publisher = start(command);

    thread::sleep(Duration::from_secs(4));
    kept.kill();
    thread::sleep(Duration::from_secs(30));
    kept.begin();
    // Until the publisher has written what piled up meanwhile.
    let (back, before) = (Instant::now(), records(&url, "Tweets").len());
    loop {
        let tweets = records(&url, "Tweets");
        if tweets.len() > before + 100 && publisher_behind_ms(&tweets) < 1_000 {
            break;
        }
        assert!(back.elapsed() < Duration::from_secs(40), "the publisher does not catch up");
        thread::sleep(Duration::from_millis(200));
    }
    signal(&publisher, "INT");
    let publisher = wait(publisher, Duration::from_secs(20));
    assert_eq!(publisher.code, Some(0), "{publisher:#?}");
    let expected = records(&url, "Tweets");
    // Until silence has proved itself to the monitor: all is counted by key then, and in the stream.
    let quiet = Instant::now();
    let sum = |counts: &BTreeMap<(i64, String), u64>| counts.values().sum::<u64>();
    let by_key = loop {
        let by_key = counts_by_key(&url);
        if sum(&by_key) >= u64::try_from(expected.len()).expect("a count") {
            break by_key;
        }
        assert!(quiet.elapsed() < Duration::from_secs(30), "{} of {} are counted", sum(&by_key), expected.len());
        thread::sleep(Duration::from_millis(200));
    };
    thread::sleep(Duration::from_secs(1));
    signal(&monitor, "INT");
    let monitor = wait(monitor, Duration::from_secs(20));
    assert_eq!(monitor.code, Some(0), "{monitor:#?}");

    let (disturbed, summary) = windows(&monitor.stdout);
    assert_nothing_lost(&summary, 2);
    let mut command = weir_at(&url);
    let _ = command.arg("run").arg(&monitor_file).args(["--until", "now", "--output", "json"]);
    let undisturbed = run(command);
    assert_eq!(undisturbed.code, Some(0), "{undisturbed:#?}");
    assert_eq!(disturbed, windows(&undisturbed.stdout).0);
    let mut recount: BTreeMap<(i64, String), u64> = BTreeMap::new();
    for record in &expected {
        *recount.entry(((record.arrival.div_euclid(1_000) + 1) * 1_000, record.key.clone())).or_default() += 1;
    }
    assert_eq!(by_key, recount);

    let (_, summary) = windows(&publisher.stdout);
    let written = summary["jobs"][0]["written"].as_u64().expect("a count");
    // One whose answer was lost may be there twice, none is missing.
    let there: BTreeSet<&str> = expected.iter().map(|record| record.data.as_str()).collect();
    assert_eq!(u64::try_from(there.len()).expect("a count"), written, "{summary}");
    for log in [&monitor.stderr, &publisher.stderr] {
        assert!(log.contains("refused"), "the trouble is not named: {log}");
    }
    let holder = monitor.stderr.lines().find(|line| line.contains("event time has stood still for "));
    let holder = holder.unwrap_or_else(|| panic!("no holder is named: {}", monitor.stderr));
    assert!(holder.contains("held by shard shardId-"), "{holder}");
}

/// How long after its item's time the latest tweet arrived of the key that all items have: item `n` is made `n` tenths of
/// a second after the first, and its tweets have the numbers from `10 n` on. Each key has a queue of its own.
fn publisher_behind_ms(tweets: &[Record]) -> i64 {
    let number = |record: &Record| -> i64 {
        let digits: String = record.data.chars().filter(char::is_ascii_digit).collect();
        digits.parse().expect("a tweet has a number")
    };
    let of_key = || tweets.iter().filter(|record| record.key == "0");
    let first = of_key().min_by_key(|record| number(record)).expect("tweets from before the outage");
    let last = of_key().max_by_key(|record| number(record)).expect("as above");
    let expected_ms = (number(last) / 10 - number(first) / 10) * 100;
    last.arrival - first.arrival - expected_ms
}

/// What the job by key has written: a row that is there twice, since an answer was lost, counts once.
fn counts_by_key(url: &str) -> BTreeMap<(i64, String), u64> {
    let mut counts = BTreeMap::new();
    for record in records(url, "Counts") {
        let row: Value = serde_json::from_str(&record.data).expect("JSON");
        let key = row["key"].as_str().expect("a key").to_owned();
        let (end, value) = (row["end"].as_i64().expect("a time"), row["value"].as_u64().expect("a count"));
        let before = counts.insert((end, key), value);
        assert!(before.is_none_or(|before| before == value), "{record:?} after {before:?}");
    }
    counts
}
