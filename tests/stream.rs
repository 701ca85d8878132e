//! `weir stream` against `weir local`: streams made, resharded, written, read and deleted by hand, and the endpoint's
//! limits and faults as a user meets them.

mod common;

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use common::{Local, http, refusal, run, start, wait, weir, weir_at};

fn stream(local: &Local, arguments: &[&str]) -> Command {
    let mut command = weir_at(&local.url);
    let _ = command.arg("stream").args(arguments);
    command
}

/// What it prints, one line as a rule.
#[track_caller]
fn said(local: &Local, arguments: &[&str]) -> String {
    let ended = run(stream(local, arguments));
    assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:#?}");
    ended.stdout.trim_end().to_owned()
}

/// Puts these lines, without a key of their own.
fn put(local: &Local, name: &str, lines: &str) -> common::Ended {
    let mut command = stream(local, &["put", name]);
    let _ = command.stdin(Stdio::piped());
    let mut child = start(command);
    child.stdin.take().expect("it is piped").write_all(lines.as_bytes()).expect("it reads");
    wait(child, std::time::Duration::from_secs(60))
}

#[test]
fn stream_is_split_merged_scaled_listed_and_deleted_and_no_record_is_lost() {
    let local = Local::start(&["Other:1"]);
    assert_eq!(said(&local, &["create", "s", "--shards", "1"]), "created s with 1 shard(s)");
    assert_eq!(said(&local, &["list"]), "Other\ns");
    let lines: String = (0..40).map(|n| format!("line {n}\n")).collect();
    assert_eq!(put(&local, "s", &lines).stdout.trim_end(), "put 40 record(s)");

    let half = 1_u128 << 127;
    let (zero, one, two) = ("shardId-000000000000", "shardId-000000000001", "shardId-000000000002");
    assert_eq!(said(&local, &["split", "s", "0"]), format!("split {zero} at {half} into {one} and {two}"));
    assert_eq!(
        said(&local, &["split", "s", one, "--at", "1000", "--no-wait"]),
        format!("{one} is being split at 1000")
    );
    // What is still UPDATING refuses, in the service's words.
    let busy = refusal(&run(stream(&local, &["split", "s", "2"])), 4);
    assert!(busy.contains("not ACTIVE, instead in state UPDATING"), "{busy}");
    std::thread::sleep(std::time::Duration::from_millis(600));
    let (four, five) = ("shardId-000000000004", "shardId-000000000005");
    assert_eq!(said(&local, &["merge", "s", four, "2"]), format!("merged {four} and {two} into {five}"));
    assert_eq!(said(&local, &["scale", "s", "3"]), "scaled s to 3 shard(s)");

    let described = said(&local, &["describe", "s"]);
    assert!(described.contains(&format!("{five} closed, hash keys 1000 to {}, from {four} and {two}", u128::MAX)));
    let mut got: Vec<_> =
        said(&local, &["get", "s"]).lines().map(|l| l.rsplit_once("line ").expect("data").1.to_owned()).collect();
    got.sort_unstable_by_key(|n| n.parse::<u32>().expect("a number"));
    assert_eq!(got, (0..40).map(|n| n.to_string()).collect::<Vec<_>>());

    assert_eq!(said(&local, &["delete", "s"]), "deleted s");
    assert_eq!(said(&local, &["list"]), "Other");
}

#[test]
fn wrong_reshard_is_answered_with_one_sentence() {
    let local = Local::start(&["s:3"]);
    for (arguments, code, part) in [
        (["split", "s", "first"].as_slice(), 2, "`first` is not a shard, such as shardId-000000000000 or 0"),
        (&["split", "s", "7"], 4, "stream s has no shard shardId-000000000007; weir stream describe s says which"),
        (&["split", "s", "0", "--at", "1"], 4, "is not both greater than one plus the shard's StartingHashKey 0"),
        (
            &["split", "s", "0", "--at", "middle"],
            2,
            "`middle` is not a hash key, 0 to 340282366920938463463374607431768211455",
        ),
        (&["merge", "s", "0", "2"], 4, "are not an adjacent pair of shards eligible for merging"),
        (&["scale", "s", "7"], 4, "cannot scale up over double your current open shard count"),
        (&["scale", "s", "0"], 2, "`0` is not a number of shards, 1 to 10000"),
        (&["delete", "t"], 4, "Stream t under account 000000000000 not found"),
    ] {
        let ended = run(stream(&local, arguments));
        assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:#?}");
        assert!(ended.stderr.contains(part), "{arguments:?}: {}", ended.stderr);
    }
}

#[test]
fn lines_that_fill_more_than_a_call_are_put_in_several() {
    let local = Local::start(&["s:16"]);
    let line = "x".repeat(100_000);
    let lines = vec![line; 120].join("\n");
    let ended = put(&local, "s", &lines);
    assert_eq!(ended.stdout.trim_end(), "put 120 record(s)", "{ended:#?}");
}

/// The data of a stream's records, shard by shard.
fn got(local: &Local, name: &str) -> Vec<(String, String)> {
    let lines = said(local, &["get", name, "--output", "json"]);
    let text = |record: &serde_json::Value, field: &str| record[field].as_str().expect("a text").to_owned();
    let record = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("JSON");
    lines.lines().map(record).map(|record| (text(&record, "shard"), text(&record, "data"))).collect()
}

#[test]
fn line_is_put_when_it_is_read_and_not_when_the_next_one_or_the_end_comes() {
    let local = Local::start(&["s:1"]);
    let mut command = stream(&local, &["put", "s"]);
    let _ = command.stdin(Stdio::piped());
    let mut child = start(command);
    let mut stdin = child.stdin.take().expect("it is piped");
    for count in 1..=3 {
        stdin.write_all(format!("line {count}\n").as_bytes()).expect("it reads");
        // The input stays open, and nothing more comes.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while got(&local, "s").len() < count {
            assert!(std::time::Instant::now() < deadline, "line {count} is not put");
        }
    }
    drop(stdin);
    let ended = wait(child, std::time::Duration::from_secs(20));
    assert_eq!((ended.code, ended.stdout.trim_end()), (Some(0), "put 3 record(s)"), "{ended:#?}");
}

#[test]
fn hash_key_decides_the_shard_whatever_the_key() {
    let local = Local::start(&["s:2"]);
    let last = u128::MAX.to_string();
    for key in ["a", "b", "c"] {
        let placed = said(&local, &["put", "s", "x", "--key", key, "--hash-key", &last]);
        assert!(placed.starts_with("shardId-000000000001 "), "{placed}");
    }
    let mut command = stream(&local, &["put", "s", "--hash-key", "0"]);
    let _ = command.stdin(Stdio::piped());
    let mut child = start(command);
    child.stdin.take().expect("it is piped").write_all(b"y\ny\ny").expect("it reads");
    assert_eq!(wait(child, std::time::Duration::from_secs(20)).code, Some(0));
    let shards = got(&local, "s").into_iter().map(|(shard, data)| (data, shard.ends_with('1')));
    assert_eq!(shards.filter(|(data, upper)| (data == "x") == *upper).count(), 6);
}

#[test]
fn endless_refusals_are_said_seldom_and_end_after_the_time_given() {
    let local = Local::start_with(&["--stream", "s:1", "--fault", "throttle:PutRecords"]);
    let mut command = stream(&local, &["put", "s", "--retry-for", "2s"]);
    let _ = command.stdin(Stdio::piped());
    let mut child = start(command);
    child.stdin.take().expect("it is piped").write_all(b"a\nb\nc\n").expect("it reads");
    let ended = wait(child, std::time::Duration::from_secs(20));
    let said = refusal(&ended, 4);
    assert_eq!(said, "3 record(s) were refused for 2s and given up; 0 record(s) are in the stream");
    let again = ended.stderr.lines().filter(|line| line.contains("put again: ProvisionedThroughputExceeded"));
    assert!((1..=2).contains(&again.count()), "{}", ended.stderr);
}

#[test]
fn line_that_is_too_large_is_refused_with_the_number_of_those_that_are_in_the_stream() {
    let local = Local::start(&["s:1"]);
    let ended = put(&local, "s", &format!("a\n{}\nb", "x".repeat(1 << 20)));
    let said = refusal(&ended, 1);
    assert!(said.contains("1048576 bytes of key and data, at most 1048576"), "{said}");
    let (written, _) = said.rsplit_once("; ").expect("a remedy").1.split_once(' ').expect("a number");
    assert_eq!(got(&local, "s").len().to_string(), written, "{said}");
}

#[test]
fn iterator_of_an_earlier_life_of_the_endpoint_is_refused() {
    let ask = |local: &Local, operation, body: &str| http::call(local.address(), operation, body).1;
    let shard = r#"{"StreamName": "s", "ShardId": "0", "ShardIteratorType": "TRIM_HORIZON"}"#;
    let earlier = ask(&Local::start(&["s:1"]), "GetShardIterator", shard);
    assert!(earlier.starts_with(r#"{"ShardIterator":""#), "{earlier}");
    let later = Local::start(&["s:1"]);
    let refused = ask(&later, "GetRecords", &earlier);
    assert!(refused.contains("InvalidArgumentException") && refused.contains("Invalid ShardIterator."), "{refused}");
}

#[test]
fn faults_and_sizes_that_are_none_are_refused_before_anything_starts() {
    for (flag, value, part) in [
        (
            "--fault",
            "throtle:GetRecords",
            "`throtle` is no kind of fault; write throttle, delay, cut, reset, 5xx or expire",
        ),
        ("--fault", "cut:GetRecord", "`GetRecord` is no operation of this endpoint"),
        ("--memory", "1GB", "`1GB` is not a size: write a number above 0 and a unit, KiB, MiB or GiB"),
    ] {
        let mut command = weir();
        let _ = command.args(["local", "--listen", "127.0.0.1:0", flag, value]);
        let ended = run(command);
        assert_eq!(ended.code, Some(2), "{ended:#?}");
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
}

#[test]
fn limits_hold_unless_told_otherwise_and_memory_is_bounded() {
    let limited = Local::start_with(&["--stream", "s:1", "--memory", "200KiB"]);
    let free = Local::start_with(&["--stream", "s:1", "--no-limits", "--fault", "throttle:ListStreams:count=1"]);
    // Three thousand records into one shard: two seconds' worth more than it takes at once.
    let lines = "x\n".repeat(3_000);
    for (local, least_ms) in [(&limited, 1_900), (&free, 0)] {
        let begun = std::time::Instant::now();
        let ended = put(local, "s", &lines);
        assert_eq!(ended.stdout.trim_end(), "put 3000 record(s)", "{ended:#?}");
        assert!(begun.elapsed().as_millis() >= least_ms, "{:?}", begun.elapsed());
    }
    assert_eq!(said(&free, &["get", "s", "--limit", "9999"]).lines().count(), 3_000);
    let kept = said(&limited, &["get", "s", "--limit", "9999"]).lines().count();
    assert!((500..1_700).contains(&kept), "{kept} records of about 150 bytes in 200 KiB");
}
