//! An independent troublemaker: microburst (PyPI), a proxy that others wrote to break clients of AWS, between our jobs and
//! our endpoint. It says in the service's own forms what it refuses, and keeps a list of what it has done.
//!
//! It is installed at a pinned version under Cargo's folder for tests and kept there. Not asked of it: bytes flipped in a
//! whole answer (`corrupt_bytes`), which HTTP without TLS lets nobody see.

mod common;

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use common::{Local, Published};
use common::{
    clean,
    counted::{Counting, filled, held, recount},
    free_port, http, signal, skip, start, wait, weir_at,
};
use serde_json::{Value, json};

const PACKAGES: [&str; 6] =
    ["microburst==0.10.0", "aiohttp==3.14.5", "botocore==1.44.5", "h2==4.4.1", "jmespath==1.1.0", "PyYAML==6.0.4"];

/// A running proxy, ended when dropped.
struct Proxy {
    child: Child,
    address: String,
    rules: Vec<Value>,
    _folder: tempfile::TempDir,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Proxy {
    /// One that passes on to `upstream` what these rules let through; the first rule that fits has its way.
    fn start(upstream: &str, rules: Vec<Value>) -> Result<Proxy, String> {
        let program = installed()?;
        let folder = tempfile::tempdir().expect("a folder of our own");
        let config = folder.path().join("rules.yml");
        // JSON is YAML.
        fs::write(&config, json!({ "rules": rules }).to_string()).expect("a file in our own folder");
        let port = free_port();
        let mut command = clean(Command::new(program));
        let _ = command
            .args(["--host", "127.0.0.1", "--port", &port.port().to_string(), "--upstream", upstream, "--config"])
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn().map_err(|error| format!("microburst does not start: {error}"))?;
        let mut proxy = Proxy { child, address: port.to_string(), rules, _folder: folder };
        let deadline = Instant::now() + Duration::from_secs(30);
        while std::net::TcpStream::connect(&proxy.address).is_err() {
            if let Ok(Some(status)) = proxy.child.try_wait() {
                return Err(format!("microburst ended at once: {status}"));
            }
            if Instant::now() > deadline {
                return Err("microburst does not listen after half a minute".to_owned());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(proxy)
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How often each rule has struck, in their order.
    fn struck(&self) -> Vec<u64> {
        let fired = http::admin(&self.address, "GET", "/_microburst/fired?limit=1000", "");
        let mut times = vec![0; self.rules.len()];
        for event in fired.as_array().expect("a list") {
            // They are numbered from 1.
            let rule = event["rule_id"].as_u64().and_then(|id| usize::try_from(id).ok()).expect("a number");
            times[rule - 1] += 1;
        }
        times
    }

    /// How often each rule should strike.
    fn wanted(&self) -> Vec<u64> {
        self.rules.iter().map(|rule| rule["times"].as_u64().expect("each rule ends")).collect()
    }
}

/// `times` calls of `operation` meet `fault`.
fn rule(operation: &str, times: u64, fault: &str, how: Value) -> Value {
    json!({ "service": "kinesis", "operation": operation, "times": times, fault: how })
}

fn error(operation: &str, times: u64, code: &str) -> Value {
    rule(operation, times, "error", json!({ "code": code }))
}

/// The proxy's program, or why there is none.
fn installed() -> Result<PathBuf, String> {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("microburst");
    let (program, made) = (home.join("bin/microburst"), home.join("made"));
    let wanted = PACKAGES.join("\n");
    if fs::read_to_string(&made).is_ok_and(|has| has == wanted) {
        return Ok(program);
    }
    done(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--retries", "1"];
    done(Command::new(home.join("bin/python")).args(pip).args(PACKAGES))?;
    fs::write(&made, wanted).map_err(|error| format!("{}: {error}", made.display()))?;
    Ok(program)
}

fn done(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{command:?}: {}: {said}", output.status)) }
}

/// One proxy at a time is installed.
fn proxy(local: &Local, rules: Vec<Value>) -> Option<Proxy> {
    static INSTALLING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _alone = INSTALLING.lock().expect("nobody panics here");
    match Proxy::start(&local.url, rules) {
        Ok(proxy) => Some(proxy),
        Err(missing) => {
            skip(&missing);
            None
        }
    }
}

#[test]
fn counts_through_a_proxy_that_breaks_reading_are_those_of_an_undisturbed_run() {
    let local = filled();
    let rules = vec![
        error("DescribeStreamSummary", 4, "LimitExceededException"),
        error("ListShards", 1, "LimitExceededException"),
        error("ListShards", 1, "ResourceInUseException"),
        error("GetShardIterator", 4, "ProvisionedThroughputExceededException"),
        rule("GetShardIterator", 1, "reset", json!(true)),
        // What only slows comes first: with a call that succeeds the last shard may be at its end.
        rule("GetRecords", 2, "latency", json!(1_500)),
        rule("GetRecords", 1, "response", json!({ "bandwidth_kbps": 4 })),
        error("GetRecords", 2, "ProvisionedThroughputExceededException"),
        error("GetRecords", 2, "ExpiredIteratorException"),
        error("GetRecords", 1, "KMSThrottlingException"),
        rule("GetRecords", 1, "error", json!({ "code": "InternalFailure", "status": 500 })),
        rule("GetRecords", 1, "reset", json!(true)),
        // A whole answer that is half an answer.
        rule("GetRecords", 1, "response", json!({ "truncate_frac": 0.5 })),
        rule("GetRecords", 2, "response", json!({ "abort_frac": 0.3 })),
        rule("GetRecords", 1, "timeout_ms", json!(800)),
    ];
    let Some(proxy) = proxy(&local, rules) else { return };
    let expected = recount(&local.url);
    let (windows, log) = Counting::start(&proxy.url()).finish();
    assert_eq!(proxy.struck(), proxy.wanted(), "{log}");
    assert_eq!(windows, expected, "{log}");
}

const TWEETS: &str = r#"
[source]
type = "tweets"
rate = 4
burst = "1-4"
keys = 10

[sink]
type = "kinesis"
stream = "Tweets"
"#;

#[test]
fn records_through_a_proxy_that_breaks_writing_are_all_there_in_order_and_repeats_are_counted() {
    let local = Local::start(&["Tweets:2"]);
    let rules = vec![
        error("PutRecords", 2, "ProvisionedThroughputExceededException"),
        error("PutRecords", 1, "KMSThrottlingException"),
        rule("PutRecords", 1, "error", json!({ "code": "InternalFailure", "status": 500 })),
        rule("PutRecords", 1, "reset", json!(true)),
        rule("PutRecords", 1, "request", json!({ "cut_upload": { "after_bytes": 20 } })),
        // These have landed.
        rule("PutRecords", 2, "response", json!({ "abort_frac": 0.3 })),
        rule("PutRecords", 1, "response", json!({ "truncate_frac": 0.5 })),
        rule("PutRecords", 1, "timeout_ms", json!(500)),
        rule("PutRecords", 2, "latency", json!(700)),
    ];
    let Some(proxy) = proxy(&local, rules) else { return };
    let published = publish(&proxy);
    let records = held(&local.url);

    let mut known = HashSet::new();
    let mut last: BTreeMap<&str, &str> = BTreeMap::new();
    for record in &records {
        let [key, data] = ["key", "data"].map(|name| record[name].as_str().expect("a text"));
        if known.insert(data) {
            // Numbers in the order given, as texts of one shape: the longer is the greater.
            let before = last.insert(key, data).unwrap_or_default();
            assert!((before.len(), before) < (data.len(), data), "{data} behind {before}");
        }
    }
    assert!(published.fits(known.len() as u64), "{} are there of {published:?}", known.len());
    let twice = (records.len() - known.len()) as u64;
    assert!(twice > 0, "what was aborted had landed: the test tests nothing");
    assert!(published.repeated >= twice, "{twice} are there twice of {published:?}");
}

/// Publishes until every rule has struck, and a little longer.
fn publish(proxy: &Proxy) -> Published {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let file = folder.path().join("tweets.toml");
    fs::write(&file, TWEETS).expect("a file in our own folder");
    let mut command = weir_at(&proxy.url());
    let _ = command.arg("run").arg(&file).args(["--output", "json"]);
    let publisher = start(command);
    let deadline = Instant::now() + Duration::from_secs(60);
    while proxy.struck() != proxy.wanted() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(proxy.struck(), proxy.wanted());
    thread::sleep(Duration::from_secs(2));
    signal(&publisher, "INT");
    Published::of(&wait(publisher, Duration::from_secs(20)))
}
