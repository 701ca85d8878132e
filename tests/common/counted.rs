//! A stream whose records are counted twice: by a job, and by reading them back.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    process::{Child, Stdio},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use super::{Local, run, start, wait, weir_at};

/// Counts in windows of half a second, from the oldest record, as JSON.
pub const COUNT: &str = r#"
[source]
type = "kinesis"
stream = "Tweets"
timestamps = "native"
lag = "0s"

[window]
over = "tumbling 500ms"
aggregate = "count"

[sink]
type = "stdout"
"#;

/// Counts by the end of their window.
pub type Windows = BTreeMap<i64, u64>;

/// An endpoint with a stream of two shards and some hundred records, of eight keys.
pub fn filled() -> Local {
    let local = Local::start(&["Tweets:2"]);
    for round in 0..3 {
        (0..8).for_each(|key| put(&local, &format!("key-{key}"), 3 + (key + round) % 4));
    }
    local
}

fn put(local: &Local, key: &str, count: usize) {
    let mut command = weir_at(&local.url);
    let _ = command.args(["stream", "put", "Tweets", "--key", key]).stdin(Stdio::piped());
    let mut child = start(command);
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all("tweet\n".repeat(count).as_bytes()).expect("it reads");
    drop(stdin);
    assert_eq!(wait(child, Duration::from_secs(30)).code, Some(0));
}

/// The records of the stream, as `weir stream get` has them.
pub fn held(url: &str) -> Vec<Value> {
    let mut command = weir_at(url);
    let _ = command.args(["stream", "get", "Tweets", "--output", "json", "--limit", "100000"]);
    let ended = run(command);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    ended.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// What windows of half a second hold of the stream's records.
pub fn recount(url: &str) -> Windows {
    let mut windows = Windows::new();
    for record in held(url) {
        let arrival = record["arrival"].as_i64().expect("a time");
        *windows.entry((arrival.div_euclid(500) + 1) * 500).or_default() += 1;
    }
    windows
}

/// The counting job, reading what is there when it starts.
pub struct Counting {
    child: Child,
    _folder: TempDir,
}

impl Counting {
    pub fn start(url: &str) -> Counting {
        let folder = tempfile::tempdir().expect("a folder of our own");
        let file = folder.path().join("count.toml");
        fs::write(&file, COUNT).expect("a file in our own folder");
        let mut command = weir_at(url);
        let _ = command.arg("run").arg(&file).args(["--until", "now", "--output", "json"]);
        Counting { child: start(command), _folder: folder }
    }

    /// Waits for its end; gives its windows and its log. Nothing may be late, open or lost.
    pub fn finish(self) -> (Windows, String) {
        let ended = wait(self.child, Duration::from_secs(60));
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        let mut windows = Windows::new();
        let mut lines: Vec<&str> = ended.stdout.lines().collect();
        let summary: Value = serde_json::from_str(lines.pop().expect("a summary")).expect("JSON");
        for line in lines {
            let row: Value = serde_json::from_str(line).expect("JSON");
            let once = windows.insert(row["end"].as_i64().expect("a time"), row["value"].as_u64().expect("a count"));
            assert_eq!(once, None, "a row comes once: {line}");
        }
        let job = &summary["jobs"][0];
        assert_eq!((job["late"].as_u64(), job["open"].as_u64()), (Some(0), Some(0)), "{summary}");
        assert_eq!(job["losses"].as_array().map(Vec::len), Some(0), "{summary}");
        (windows, ended.stderr)
    }
}
