//! A job that is begun at positions that somebody noted, against a `weir local`.

mod common;

use std::{fs, process::Stdio, time::Duration};

use common::{Local, refusal, run, start, wait, weir_at};
use serde_json::Value;

const SHARD: &str = "shardId-000000000000";

/// Puts these lines, a record each.
fn put(local: &Local, lines: &[String]) {
    let mut command = weir_at(&local.url);
    let _ = command.args(["stream", "put", "S", "--key", "k"]).stdin(Stdio::piped());
    let mut child = start(command);
    let mut stdin = child.stdin.take().expect("it is piped");
    std::io::Write::write_all(&mut stdin, (lines.join("\n") + "\n").as_bytes()).expect("it reads");
    drop(stdin);
    let ended = wait(child, Duration::from_secs(30));
    assert_eq!(ended.code, Some(0), "{ended:#?}");
}

/// The sequence numbers that the stream holds.
fn sequences(local: &Local) -> Vec<String> {
    let mut command = weir_at(&local.url);
    let _ = command.args(["stream", "get", "S", "--output", "json"]);
    let ended = run(command);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let sequence = |line: &str| {
        let record: Value = serde_json::from_str(line).expect("JSON");
        record["sequence"].as_str().expect("a number").to_owned()
    };
    ended.stdout.lines().map(sequence).collect()
}

/// Reads the stream from these positions until now: the number of rows, and the summary of the job.
fn run_from(local: &Local, positions: &str) -> common::Ended {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let file = folder.path().join("copy.toml");
    let source = format!("[source]\ntype = \"kinesis\"\nstream = \"S\"\npositions = {{ {positions} }}\n");
    fs::write(&file, source + "[sink]\ntype = \"stdout\"\n").expect("a file in our own folder");
    let mut command = weir_at(&local.url);
    let _ = command.arg("run").arg(&file).args(["--until", "now", "--output", "json"]);
    run(command)
}

fn rows_and_losses(ended: &common::Ended) -> (Vec<String>, Vec<Value>) {
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let mut lines: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let summary = lines.pop().expect("a summary");
    let rows = lines.iter().map(|row| row["value"].as_str().expect("a text").to_owned());
    (rows.collect(), summary["jobs"][0]["losses"].as_array().expect("a list").clone())
}

#[test]
fn job_begins_at_or_behind_the_record_that_is_named() {
    let local = Local::start(&["S:1"]);
    put(&local, &["a", "b", "c", "d"].map(str::to_owned));
    let sequences = sequences(&local);
    for (position, expected) in [("after", &["c", "d"][..]), ("at", &["b", "c", "d"])] {
        let ended = run_from(&local, &format!("{SHARD} = \"{position} {}\"", sequences[1]));
        assert_eq!(rows_and_losses(&ended), (expected.iter().map(|row| (*row).to_owned()).collect(), vec![]));
    }
}

#[test]
fn record_that_is_not_held_any_more_leaves_a_gap_in_the_ledger() {
    let local = Local::start_with(&["--stream", "S:1", "--memory", "1MiB", "--no-limits"]);
    put(&local, &["a".to_owned()]);
    let first = sequences(&local).remove(0);
    let large: Vec<String> = (0..40).map(|n| format!("{n} {}", "x".repeat(60_000))).collect();
    put(&local, &large);
    let left = sequences(&local);
    assert!(!left.contains(&first), "the oldest was trimmed");
    let (rows, losses) = rows_and_losses(&run_from(&local, &format!("{SHARD} = \"after {first}\"")));
    assert_eq!(rows.len(), left.len());
    assert_eq!(losses.len(), 1, "{losses:?}");
    assert_eq!((&losses[0]["reason"], &losses[0]["place"]), (&"gap".into(), &SHARD.into()));
    assert_eq!(losses[0]["range"], format!("after {first} before {}", left[0]), "{losses:?}");
}

#[test]
fn shard_that_the_stream_does_not_have_fails_the_job() {
    let local = Local::start(&["S:1"]);
    let said = refusal(&run_from(&local, "shardId-000000000009 = \"after 7\""), 2);
    assert!(
        said.contains("stream S: a position names shardId-000000000009, which is no shard of the stream"),
        "{said}"
    );
}
