//! An independent judge: Amazon's Kinesis Client Library for Java reads our endpoint through splits and merges.
//!
//! `tests/kcl/` is built by Maven at pinned versions under Cargo's folder for tests and kept there. KCL looks at its new
//! lease table for up to half a minute before it begins, and no setting shortens that.

mod common;

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use common::{Local, clean, http, run, skip, weir_at};
use serde_json::{Value, json};

const KEYS: usize = 20;
/// How long one reading may take from KCL's start to its last record; about 60 s are usual.
const PATIENCE: Duration = Duration::from_secs(150);

#[test]
fn kcl_with_its_defaults_reads_each_record_once_and_in_order_through_reshards() {
    let Some(built) = built() else { return };
    reads_all(built, "defaults", "application/x-amz-cbor-1.1", true);
}

#[test]
fn kcl_with_json_over_http_1_reads_each_record_once_and_in_order_through_reshards() {
    let Some(built) = built() else { return };
    reads_all(built, "json", "application/x-amz-json-1.1", false);
}

fn reads_all(built: &Path, mode: &str, media: &str, http_2: bool) {
    let began_ms = now_ms();
    let local = Local::start(&["judged:2"]);
    let rounds = Arc::new(Mutex::new(0));
    let mut lineage = Vec::new();
    // What KCL finds when it comes: two generations of closed shards, with records in each of them.
    publish(local.address(), &rounds, 5);
    let halves = reshard(&local, &["split", "judged", "0"], &mut lineage);
    publish(local.address(), &rounds, 5);
    let merged = reshard(&local, &["merge", "judged", "1", &halves[1]], &mut lineage);
    publish(local.address(), &rounds, 5);

    let relay = Relay::start(local.address());
    let mut kcl = Kcl::start(built, &relay.url, mode);
    kcl.until("its first record", |line| line["event"] == "record");
    let stop = Arc::new(AtomicBool::new(false));
    let publisher = {
        let (address, rounds, stop) = (local.address().to_owned(), Arc::clone(&rounds), Arc::clone(&stop));
        thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                publish(&address, &rounds, 1);
                thread::sleep(Duration::from_millis(100));
            }
        })
    };
    // And what happens while it reads: each reshard once the last one's child is being read.
    kcl.until_begun(&merged[0]);
    let right = reshard(&local, &["split", "judged", &merged[0]], &mut lineage);
    kcl.until_begun(&right[0]);
    let left = reshard(&local, &["split", "judged", &halves[0]], &mut lineage);
    kcl.until_begun(&left[1]);
    let middle = reshard(&local, &["merge", "judged", &left[1], &right[0]], &mut lineage);
    kcl.until_begun(&middle[0]);
    thread::sleep(Duration::from_millis(500));
    stop.store(true, Ordering::Relaxed);
    publisher.join().expect("every record is taken");

    let rounds = *rounds.lock().expect("nobody panicked");
    kcl.until_all(rounds * KEYS);
    let lines = kcl.stop();
    eprintln!("{mode}: {rounds} rounds, {} connections", relay.spoken().len());

    assert_each_once_and_in_order(&lines, rounds);
    assert_parents_first(&lines, &lineage);
    for line in lines.iter().filter(|line| line["event"] == "record") {
        let arrived = line["arrived_ms"].as_u64().expect("milliseconds");
        assert!((began_ms..=now_ms()).contains(&arrived), "{line}");
        assert_eq!(line["sub"], 0, "{line}");
    }
    for line in lines.iter().filter(|line| line["event"] == "spoke") {
        assert_eq!((&line["asked"], &line["answered"]), (&json!(media), &json!(media)), "{line}");
        // Two reads within a fifth of a second may be one too many; nothing else is ever refused.
        assert!(line["status"] == 200 || line["operation"] == "GetRecords", "{line}");
    }
    let spoken = relay.spoken();
    assert!(!spoken.is_empty() && spoken.iter().all(|spoken| *spoken == http_2), "HTTP/2: {spoken:?}");
}

/// Each key's numbers, in the order in which KCL handed them out, are all that were written, in the order of writing.
fn assert_each_once_and_in_order(lines: &[Value], rounds: usize) {
    // A worker that was not let run for seconds loses its lease, and then reads again from its last checkpoint, by
    // contract. Only then may a record come twice.
    let lost = lines.iter().any(|line| line["event"] == "lost");
    let mut keys: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let mut sequences: BTreeMap<&str, &str> = BTreeMap::new();
    for line in lines.iter().filter(|line| line["event"] == "record") {
        let [key, data, shard, sequence] =
            ["key", "data", "shard", "sequence"].map(|name| line[name].as_str().expect("a text"));
        let (owner, number) = data.split_once('/').expect("KEY/NUMBER");
        assert_eq!(owner, key, "{line}");
        let number = number.parse().expect("a number");
        let numbers = keys.entry(key).or_default();
        if lost && numbers.contains(&number) {
            continue;
        }
        numbers.push(number);
        let before = sequences.insert(shard, sequence).unwrap_or_default();
        assert!((before.len(), before) < (sequence.len(), sequence), "after {before}: {line}");
    }
    assert_eq!(keys.len(), KEYS);
    for (key, numbers) in keys {
        assert_eq!(numbers, (0..rounds).collect::<Vec<_>>(), "{key} (lease lost: {lost})");
    }
}

/// Every shard that was resharded away was read to its end before any child of it was begun.
fn assert_parents_first(lines: &[Value], lineage: &[(Vec<String>, Vec<String>)]) {
    let place = |event: &str, shard: &str| {
        let found = lines.iter().position(|line| line["event"] == event && line["shard"] == shard);
        found.unwrap_or_else(|| panic!("{shard} was never {event}"))
    };
    for (parents, children) in lineage {
        for parent in parents {
            for child in children {
                assert!(place("ended", parent) < place("begun", child), "{child} before the end of {parent}");
            }
        }
    }
}

/// Splits or merges by `weir stream`; gives the children's ids and notes whose they are.
fn reshard(local: &Local, arguments: &[&str], lineage: &mut Vec<(Vec<String>, Vec<String>)>) -> Vec<String> {
    let mut command = weir_at(&local.url);
    let _ = command.arg("stream").args(arguments);
    let ended = run(command);
    assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:#?}");
    let (parents, children) = ended.stdout.split_once(" into ").unwrap_or_else(|| panic!("{ended:#?}"));
    let ids = |text: &str| -> Vec<String> {
        text.split_whitespace().filter(|word| word.starts_with("shardId-")).map(str::to_owned).collect()
    };
    lineage.push((ids(parents), ids(children)));
    ids(children)
}

/// Puts the next number of every key, `count` times, one call after the other.
fn publish(address: &str, rounds: &Mutex<usize>, count: usize) {
    for _ in 0..count {
        let mut round = rounds.lock().expect("nobody panicked");
        let records: Vec<_> = (0..KEYS)
            .map(|key| json!({"PartitionKey": format!("key-{key}"), "Data": base64(&format!("key-{key}/{round}"))}))
            .collect();
        let records = json!({"StreamName": "judged", "Records": records}).to_string();
        let (status, answer) = http::call(address, "PutRecords", &records);
        let failed = serde_json::from_str::<Value>(&answer).map(|answer| answer["FailedRecordCount"].clone());
        assert_eq!((status, failed.ok()), (200, Some(json!(0))), "{answer}");
        *round += 1;
    }
}

fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in text.as_bytes().chunks(3) {
        let bits = group.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - group.len()));
        for digit in 0..4 {
            let shown = digit <= group.len();
            out.push(if shown { char::from(DIGITS[bits >> (18 - 6 * digit) & 63]) } else { '=' });
        }
    }
    out
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(since.as_millis()).expect("fits")
}

/// Passes connections on and notes of each whether it began with HTTP/2's preface: what KCL really speaks.
struct Relay {
    url: String,
    spoken: Arc<Mutex<Vec<bool>>>,
}

impl Relay {
    fn start(upstream: &str) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let spoken = Arc::new(Mutex::new(Vec::new()));
        let (upstream, notes) = (upstream.to_owned(), Arc::clone(&spoken));
        let _ = thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (upstream, notes) = (upstream.clone(), Arc::clone(&notes));
                let _ = thread::spawn(move || pass_on(client, &upstream, &notes));
            }
        });
        Relay { url, spoken }
    }

    fn spoken(&self) -> Vec<bool> {
        self.spoken.lock().expect("nobody panicked").clone()
    }
}

/// A connection that breaks is KCL's to mend; a relay that is not there any more is nobody's.
fn pass_on(mut client: TcpStream, upstream: &str, notes: &Mutex<Vec<bool>>) {
    let Ok(mut server) = TcpStream::connect(upstream) else { return };
    let mut first = [0; 3];
    if client.read_exact(&mut first).is_err() || server.write_all(&first).is_err() {
        return;
    }
    notes.lock().expect("nobody panicked").push(&first == b"PRI");
    let (Ok(mut answers), Ok(mut back)) = (server.try_clone(), client.try_clone()) else { return };
    let _ = thread::spawn(move || {
        let _ = std::io::copy(&mut answers, &mut back);
        let _ = back.shutdown(std::net::Shutdown::Write);
    });
    let _ = std::io::copy(&mut client, &mut server);
    let _ = server.shutdown(std::net::Shutdown::Write);
}

/// A running KCL; ended when dropped. What it says, and what it complains of, is kept for whoever asks why.
struct Kcl {
    child: Child,
    stdin: Option<ChildStdin>,
    said: mpsc::Receiver<Value>,
    lines: Vec<Value>,
    complaints: PathBuf,
    deadline: Instant,
}

impl Kcl {
    fn start(built: &Path, url: &str, mode: &str) -> Kcl {
        let library = built.join("lib");
        let complaints = built.join(format!("{mode}-{}.log", std::process::id()));
        let mut java = clean(Command::new("java"));
        let _ = java
            .arg("-Xmx512m")
            .arg(format!("-Dsqlite4java.library.path={}", library.display()))
            .args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true"])
            .arg("-cp")
            .arg(format!("{}:{}/*", built.join("kcl-judge.jar").display(), library.display()))
            .args(["weir.Judge", url, "judged", mode])
            .env("DDB_LOCAL_TELEMETRY", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&complaints).expect("a file in the target directory"));
        let mut child = java.spawn().expect("java was there a moment ago");
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().expect("it is piped");
        let (sender, said) = mpsc::channel();
        let _ = thread::spawn(move || {
            use std::io::BufRead as _;
            for line in std::io::BufReader::new(stdout).lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or_else(|_| json!({"event": "other", "line": line}));
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Kcl { child, stdin, said, lines: Vec::new(), complaints, deadline: Instant::now() + PATIENCE }
    }

    fn until_begun(&mut self, shard: &str) {
        let begun = |line: &Value| line["event"] == "begun" && line["shard"] == shard;
        if !self.lines.iter().any(begun) {
            self.until(&format!("shard {shard} to be begun"), begun);
        }
    }

    fn until_all(&mut self, count: usize) {
        let mut missing: std::collections::HashSet<_> =
            (0..count).map(|n| format!("key-{}/{}", n % KEYS, n / KEYS)).collect();
        for line in self.lines.iter().filter_map(|line| line["data"].as_str()) {
            let _ = missing.remove(line);
        }
        if !missing.is_empty() {
            self.until("its last record", |line| {
                let _ = line["data"].as_str().is_some_and(|data| missing.remove(data));
                missing.is_empty()
            });
        }
    }

    /// Takes lines until one is what is waited for.
    fn until(&mut self, what: &str, mut enough: impl FnMut(&Value) -> bool) {
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            match self.said.recv_timeout(left) {
                Ok(line) => {
                    let done = enough(&line);
                    self.lines.push(line);
                    if done {
                        return;
                    }
                }
                Err(problem) => {
                    let records = self.lines.iter().filter(|line| line["event"] == "record").count();
                    let others: Vec<_> = self.lines.iter().filter(|line| line["event"] != "record").collect();
                    let complaints = fs::read_to_string(&self.complaints).unwrap_or_default();
                    panic!("{problem}, waiting for {what} after {records} records and {others:#?}\n{complaints}");
                }
            }
        }
    }

    /// Waits a little, in case that more comes than there should be, ends it and gives all it said.
    fn stop(mut self) -> Vec<Value> {
        thread::sleep(Duration::from_secs(1));
        drop(self.stdin.take());
        self.until("its end", |line| line["event"] == "stopped");
        let _ = fs::remove_file(&self.complaints);
        std::mem::take(&mut self.lines)
    }
}

impl Drop for Kcl {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where the judge is built, or a loud word why it is not. Built once, however many tests wait for it.
fn built() -> Option<&'static Path> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match BUILT.get_or_init(build) {
        Ok(folder) => Some(folder),
        Err(missing) => {
            skip(missing);
            None
        }
    }
}

fn build() -> Result<PathBuf, String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kcl");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kcl");
    let text = |path: &str| fs::read_to_string(source.join(path)).map_err(|error| format!("{path}: {error}"));
    let wanted = text("pom.xml")? + &text("src/main/java/weir/Judge.java")?;
    let made = folder.join("made");
    heard(Command::new("java").arg("-version"))?;
    if fs::read_to_string(&made).is_ok_and(|has| has == wanted) {
        return Ok(folder);
    }
    let mut maven = Command::new("mvn");
    let _ = maven.args(["--batch-mode", "--quiet", "--file"]).arg(source.join("pom.xml"));
    heard(maven.arg(format!("-Dweir.target={}", folder.display())).arg("package"))?;
    fs::write(&made, wanted).map_err(|error| format!("{}: {error}", made.display()))?;
    Ok(folder)
}

fn heard(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    if output.status.success() { Ok(()) } else { Err(format!("{command:?}: {}: {said}", output.status)) }
}
