//! A job's records that cannot be written, as whoever runs it meets them: in the file, in the summary, in the stream.

mod common;

use std::{fs, path::Path, process::Stdio, time::Duration};

use common::{Local, refusal, run, signal, start, wait, weir_at};
use serde_json::Value;

fn job(folder: &Path, sink: &str) -> String {
    let text = format!(
        "[source]\ntype = \"tweets\"\nrate = 30\nkeys = 40\n[sink]\ntype = \"kinesis\"\nstream = \"Tweets\"\n{sink}\n"
    );
    let file = folder.join("tweets.toml");
    fs::write(&file, text).expect("a file in our own folder");
    file.display().to_string()
}

fn records(local: &Local) -> u64 {
    let mut command = weir_at(&local.url);
    let _ = command.args(["stream", "get", "Tweets", "--limit", "100000"]);
    run(command).stdout.lines().count() as u64
}

#[test]
fn records_given_up_are_in_the_file_and_in_the_summary_as_diverted_and_the_job_goes_on() {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let dead = folder.path().join("dead.jsonl");
    let local = Local::start_with(&["--stream", "Tweets:2", "--fault", "throttle:PutRecords:shard=0"]);
    let sink = format!("retry_for = \"200ms\"\ndead_letters = {{ file = \"{}\" }}", dead.display());
    let mut command = weir_at(&local.url);
    let _ = command.args(["run", &job(folder.path(), &sink), "--output", "json"]).stdin(Stdio::null());
    let child = start(command);
    std::thread::sleep(Duration::from_secs(3));
    signal(&child, "INT");
    let ended = wait(child, Duration::from_secs(20));
    let summary: Value = serde_json::from_str(ended.stdout.lines().last().expect("a summary")).expect("JSON");
    let job = &summary["jobs"][0];
    let losses = job["losses"].as_array().expect("a list");
    let diverted = losses.iter().find(|loss| loss["reason"] == "diverted").unwrap_or_else(|| panic!("{summary}"));
    let letters = fs::read_to_string(&dead).expect("it was made");
    let letters: Vec<Value> = letters.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(!letters.is_empty() && diverted["records"].as_u64() == Some(letters.len() as u64), "{summary}");
    assert!(letters.iter().all(|letter| letter["stream"] == "Tweets"), "{letters:?}");
    let written = job["written"].as_u64().expect("a number");
    assert!(written > 0, "{summary}");
    // On a slow machine the two seconds after the stop may not be enough for all; those are told, and may be in the stream.
    let unwritten = losses.iter().find(|loss| loss["reason"] == "unwritten");
    let unwritten = unwritten.map_or(0, |loss| loss["records"].as_u64().expect("a number"));
    assert_eq!(ended.code, Some(if unwritten == 0 { 0 } else { 4 }), "{ended:#?}");
    assert!((written..=written + unwritten).contains(&records(&local)), "{summary}");
}

#[test]
fn place_that_cannot_be_written_is_refused_before_the_job_starts() {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let local = Local::start(&["Tweets:1"]);
    for (place, code, part) in [
        (
            "{ file = \"/nonexistent/dead.jsonl\" }",
            3,
            "dead letters cannot be written to /nonexistent/dead.jsonl: No such",
        ),
        ("{ stream = \"Dead\" }", 4, "Stream Dead under account 000000000000 not found"),
        ("{ stream = \"Tweets\" }", 2, "stream Tweets: its dead letters cannot go into itself; name another stream"),
    ] {
        let mut command = weir_at(&local.url);
        let _ = command.args(["run", &job(folder.path(), &format!("dead_letters = {place}"))]);
        let ended = run(command);
        assert_eq!(ended.code, Some(code), "{ended:#?}");
        let said = ended.stderr.lines().last().unwrap_or_default().to_owned();
        assert!(said.contains(part), "{}", refusal(&ended, code));
    }
}
