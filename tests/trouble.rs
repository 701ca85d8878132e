//! Endpoints in trouble: what comes out is what would have come out of a healthy one, and the log says who held it up.

mod common;

use std::{fs, time::Duration};

use common::{
    Local,
    counted::{COUNT, Counting, Windows, filled, recount},
    http, start, wait, weir_at,
};
use serde_json::Value;

/// Runs the job to its end over `faults`, which are lifted after `lifted_after` if they do not end by themselves; gives
/// its windows and its log. Fails the test if one of the faults never happened, or has not happened as often as it says.
fn counted(local: &Local, faults: &[&str], lifted_after: Option<Duration>) -> (Windows, String) {
    let planted = serde_json::json!({ "faults": faults }).to_string();
    let _ = http::admin(local.address(), "POST", "/_weir/faults", &planted);
    let counting = Counting::start(&local.url);
    let struck = || http::admin(local.address(), "GET", "/_weir/faults", "");
    let lift = || http::admin(local.address(), "DELETE", "/_weir/faults", "");
    let lifted = lifted_after.map(|after| {
        std::thread::sleep(after);
        let struck = struck();
        let _ = lift();
        struck
    });
    let counted = counting.finish();
    let struck = lifted.unwrap_or_else(struck);
    for fault in struck["faults"].as_array().expect("a list") {
        assert!(fault["happened"].as_u64() > Some(0), "the test tests nothing: {fault}");
        assert!(lifted_after.is_some() || fault["over"] == true, "the job ended before its trouble: {fault}");
    }
    assert_eq!(struck["faults"].as_array().map(Vec::len), Some(faults.len()), "{struck}");
    let _ = lift();
    counted
}

#[test]
fn throttled_shard_holds_the_results_is_named_and_changes_none() {
    let local = filled();
    let expected = recount(&local.url);
    let (windows, log) = counted(&local, &["throttle:GetRecords:shard=1"], Some(Duration::from_secs(9)));
    assert_eq!(windows, expected);
    let named = "event time has stood still for ";
    let holder = log.lines().find(|line| line.contains(named)).unwrap_or_else(|| panic!("not named in: {log}"));
    assert!(holder.contains("held by shard shardId-000000000001") && holder.contains("throttled"), "{holder}");
}

#[test]
fn outage_and_cut_answers_change_no_result() {
    let local = filled();
    let expected = recount(&local.url);
    // What is cut is seen as cut whatever it was, so refusals come in a run of their own.
    let refused = ["5xx:GetShardIterator:count=3", "5xx:GetRecords:count=6", "expire:GetRecords:count=3"];
    for (faults, said) in
        [(&refused[..], "service unavailable; again in "), (&["cut:GetRecords:count=6"], "connection lost; again in ")]
    {
        let (windows, log) = counted(&local, faults, None);
        assert!(log.contains(said), "{said:?} is not in {log}");
        assert_eq!(windows, expected, "{faults:?}");
    }
}

/// The service counts calls a shard, not a job: jobs that read it together keep its limits together.
#[test]
fn jobs_of_one_stream_share_its_calls_and_are_not_throttled() {
    let local = filled();
    let folder = tempfile::tempdir().expect("a folder of our own");
    let files: Vec<_> = ["one.toml", "two.toml", "three.toml"].map(|name| folder.path().join(name)).into();
    files.iter().for_each(|file| fs::write(file, COUNT).expect("a file in our own folder"));
    let mut command = weir_at(&local.url);
    let _ = command.arg("run").args(&files).args(["--output", "json"]);
    let child = start(command);
    std::thread::sleep(Duration::from_secs(4));
    common::signal(&child, "INT");
    let ended = wait(child, Duration::from_secs(20));
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(!ended.stderr.contains("throttled"), "{}", ended.stderr);
    let summary: Value = serde_json::from_str(ended.stdout.lines().last().expect("a summary")).expect("JSON");
    let put: u64 = recount(&local.url).values().sum();
    let jobs = summary["jobs"].as_array().expect("jobs");
    assert_eq!(jobs.iter().map(|job| job["records"].as_u64()).collect::<Vec<_>>(), [Some(put); 3], "{summary}");
}
