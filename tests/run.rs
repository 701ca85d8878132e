//! `weir run` and a program with pipelines, beside a `weir local`: what people see after the tutorial.

mod common;

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use common::{Local, clean, example, lines_until, run, signal, start, wait, weir_at};
use serde_json::Value;

/// A job that counts by key, from the oldest record, as JSON.
const BY_KEY: &str = r#"
[source]
type = "kinesis"
stream = "Tweets"
timestamps = "native"
lag = "1s"

[window]
over = "tumbling 500ms"
group_by = "partition-key"
aggregate = "count"

[sink]
type = "stdout"
"#;

fn put(local: &Local, key: &str, count: usize) {
    let mut command = weir_at(&local.url);
    let _ = command.args(["stream", "put", "Tweets", "--key", key]).stdin(Stdio::piped());
    let mut child = start(command);
    let mut stdin = child.stdin.take().expect("it is piped");
    std::io::Write::write_all(&mut stdin, "tweet\n".repeat(count).as_bytes()).expect("it reads");
    drop(stdin);
    let ended = wait(child, Duration::from_secs(30));
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), format!("put {count} record(s)\n").as_str()));
}

/// All records of the stream, as `weir stream get` tells them: (key, arrival).
fn records(local: &Local) -> Vec<(String, i64)> {
    let mut command = weir_at(&local.url);
    let _ = command.args(["stream", "get", "Tweets", "--output", "json", "--limit", "100000"]);
    let ended = run(command);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let record = |line: &str| {
        let record: Value = serde_json::from_str(line).expect("JSON");
        (record["key"].as_str().expect("a key").to_owned(), record["arrival"].as_i64().expect("a time"))
    };
    ended.stdout.lines().map(record).collect()
}

#[test]
fn each_window_of_each_key_equals_a_plain_recount_and_all_cores_take_part() {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let file = folder.path().join("by-key.toml");
    fs::write(&file, BY_KEY).expect("a file in our own folder");
    let local = Local::start(&["Tweets:4"]);
    for round in 0..3 {
        for key in 0..12 {
            put(&local, &format!("key-{key}"), 1 + (key + round) % 5);
        }
    }
    let mut expected: BTreeMap<(i64, String), u64> = BTreeMap::new();
    for (key, arrival) in records(&local) {
        *expected.entry(((arrival.div_euclid(500) + 1) * 500, key)).or_default() += 1;
    }
    let mut command = weir_at(&local.url);
    let _ = command.arg("run").arg(&file).args(["--output", "json"]);
    let mut child = start(command);
    let stdout = child.stdout.take().expect("it is piped");
    let process = child.id().to_string();
    let rows = expected.len();
    // Silence proves itself: the last window fires though nothing follows it.
    let lines = lines_until(stdout, Duration::from_secs(30), |lines| {
        if lines.len() == rows {
            let _ = Command::new("kill").args(["-INT", &process]).status();
        }
        lines.len() > rows
    });
    let ended = wait(child, Duration::from_secs(10));
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let mut counted: BTreeMap<(i64, String), u64> = BTreeMap::new();
    for line in &lines[..rows] {
        let row: Value = serde_json::from_str(line).expect("JSON");
        let (start, end) = (row["start"].as_i64().expect("a time"), row["end"].as_i64().expect("a time"));
        assert_eq!(
            (end - start, &row["firing"], &row["partial"]),
            (500, &Value::from(0), &Value::from(false)),
            "{line}"
        );
        let key = row["key"].as_str().expect("a key").to_owned();
        let once = counted.insert((end, key), row["value"].as_u64().expect("a count"));
        assert_eq!(once, None, "a row comes once: {line}");
    }
    assert_eq!(counted, expected);
    let summary: Value = serde_json::from_str(lines.last().expect("a summary")).expect("JSON");
    let job = &summary["jobs"][0];
    assert_eq!((&job["name"], &job["late"], &job["open"]), (&"by-key".into(), &0.into(), &0.into()), "{summary}");
    let cores = job["cores"].as_array().expect("a list");
    for core in cores {
        assert!(core["records_folded"].as_u64() > Some(0), "{summary}");
    }
    // Owners get blocks of other cores. Each of every core is asserted where keys are many (runtime, tests/node.rs): these
    // are few, and their hashes another each time.
    let others: u64 = cores.iter().filter_map(|core| core["blocks_from_others"].as_u64()).sum();
    assert!(cores.len() == 1 || others > 0, "{summary}");
}

#[test]
fn both_job_files_of_the_tutorial_run_together_until_ctrl_c() {
    let local = Local::start(&["Tweets:2"]);
    let mut command = weir_at(&local.url);
    let _ = command.arg("run").args([example("kinesis-traffic-monitor.toml"), example("tweet-publisher.toml")]);
    see_tweets_counted(start(command));
}

#[test]
fn the_tutorial_program_runs_both_pipelines_by_name() {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_weir")).with_file_name("examples").join("tutorial");
    if !program.exists() {
        // `cargo test` builds examples, `cargo test --test run` does not.
        let built = Command::new(env!("CARGO")).args(["build", "-p", "weir", "--example", "tutorial"]).status();
        assert!(built.is_ok_and(|status| status.success()), "the tutorial builds");
    }
    let local = Local::start(&["Tweets:2"]);
    let mut command = clean(Command::new(program));
    let _ = command
        .args(["run", "kinesis-traffic-monitor", "tweet-publisher", "--endpoint-url", &local.url])
        .args(["--region", "us-east-1"])
        .envs([("AWS_ACCESS_KEY_ID", "local"), ("AWS_SECRET_ACCESS_KEY", "local")]);
    see_tweets_counted(start(command));
}

/// Waits for some windows, ends it by Ctrl-C, and looks at what it says at the end.
fn see_tweets_counted(mut child: std::process::Child) {
    let stdout = child.stdout.take().expect("it is piped");
    let lines = lines_until(stdout, Duration::from_secs(30), |lines| lines.len() >= 4);
    for line in &lines {
        assert!(line.starts_with("At ") && line.ends_with(" tweets per second"), "{lines:#?}");
    }
    signal(&child, "INT");
    let ended = wait(child, Duration::from_secs(5));
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(ended.stderr.contains("kinesis-traffic-monitor: read "), "{ended:#?}");
    assert!(ended.stderr.contains("are read from a time on"), "what history is not read is said: {ended:#?}");
}

/// The whole of a resharded stream, and then an end by itself, without waiting for windows that end in the future.
#[test]
fn job_until_now_reads_all_that_is_there_and_ends() {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let file = folder.path().join("by-key.toml");
    // Windows of an hour: who waits for their ends waits for an hour.
    fs::write(&file, BY_KEY.replace("tumbling 500ms", "tumbling 1h")).expect("a file in our own folder");
    let local = Local::start(&["Tweets:2"]);
    for (round, reshard) in [&["split", "Tweets", "0"][..], &["merge", "Tweets", "2", "3"], &[]].into_iter().enumerate()
    {
        (0..6).for_each(|key| put(&local, &format!("key-{key}"), 2 + key + round));
        if !reshard.is_empty() {
            let mut command = weir_at(&local.url);
            let _ = command.arg("stream").args(reshard);
            let ended = run(command);
            assert_eq!(ended.code, Some(0), "{ended:#?}");
        }
    }
    let mut command = weir_at(&local.url);
    let _ = command.arg("run").arg(&file).args(["--until", "now", "--output", "json"]);
    let ended = run(command);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let mut lines: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let summary = lines.pop().expect("a summary");
    let counts: u64 = lines.iter().map(|row| row["value"].as_u64().expect("a count")).sum();
    let put: u64 = (0..3).flat_map(|round| (0..6).map(move |key| 2 + key + round)).sum();
    assert_eq!(counts, put, "{ended:#?}");
    assert!(lines.iter().any(|row| row["partial"] == Value::Bool(true)), "the hour is not over: {ended:#?}");
    let job = &summary["jobs"][0];
    assert_eq!((job["late"].as_u64(), job["open"].as_u64()), (Some(0), Some(0)), "{summary}");
    assert_eq!(job["losses"].as_array().map(Vec::len), Some(0), "{summary}");
}

/// Without a window, and so without timestamps, a job until now comes to its end too.
#[test]
fn job_without_a_window_until_now_ends() {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let file = folder.path().join("copy.toml");
    fs::write(&file, "[source]\ntype = \"kinesis\"\nstream = \"Tweets\"\n[sink]\ntype = \"stdout\"\n").expect("ours");
    let local = Local::start(&["Tweets:2"]);
    (0..3).for_each(|key| put(&local, &format!("key-{key}"), 5));
    let mut command = weir_at(&local.url);
    let _ = command.arg("run").arg(&file).args(["--until", "now"]);
    let ended = run(command);
    assert_eq!((ended.code, ended.stdout.lines().count()), (Some(0), 15), "{ended:#?}");
}
