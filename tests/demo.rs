//! `weir demo` as people type it: every tweet published is counted, in every window it belongs to.

mod common;

use std::time::Duration;

use common::{lines_until, run, signal, start, wait, weir};
use serde_json::Value;

/// A line of the monitor as (ms of the day at which the window ends, count).
fn window(line: &str) -> Option<(i64, u64)> {
    let (time, count) = line.strip_prefix("At ")?.strip_suffix(" tweets per second")?.split_once(" Kinesis got ")?;
    let parts: Vec<i64> = time.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [hours, minutes, seconds, millis] = parts[..] else { return None };
    assert_eq!(time.len(), "16:11:27:500".len(), "{line}");
    Some((((hours * 60 + minutes) * 60 + seconds) * 1_000 + millis, count.replace(',', "").parse().ok()?))
}

/// Runs the demo and checks what holds for each: the lines, the summary, and one against the other.
fn demo(arguments: &[&str]) -> Value {
    let mut command = weir();
    let _ = command.args(["demo", "--output", "json"]).args(arguments);
    let ended = run(command);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let windows: Vec<_> = ended.stdout.lines().filter_map(window).collect();
    for pair in windows.windows(2) {
        // Empty windows are not emitted; the day may end between two.
        let step = (pair[1].0 - pair[0].0).rem_euclid(86_400_000);
        assert!(step > 0 && step % 500 == 0, "{pair:?} in {ended:#?}");
    }
    let summary: Value = serde_json::from_str(ended.stdout.lines().last().expect("a summary")).expect("JSON");
    let number = |name: &str| summary[name].as_u64().unwrap_or_else(|| panic!("{name} in {summary}"));
    let printed: u64 = windows.iter().map(|(_, count)| count).sum();
    assert!(number("published") > 0, "{summary}");
    assert_eq!(printed, 2 * number("published"), "each tweet is in two windows: {summary}");
    assert_eq!(number("counted"), number("published"), "{summary}");
    assert_eq!(number("windows"), windows.len() as u64, "{summary}");
    assert_eq!((number("open"), number("late"), number("lost")), (0, 0, 0), "{summary}");
    assert!(number("elapsed_ms") >= 3_000, "{summary}");
    let folded: u64 = cores(&summary).iter().map(|core| core["records_folded"].as_u64().expect("a number")).sum();
    assert_eq!(folded, number("published"), "{summary}");
    summary
}

fn cores(summary: &Value) -> &Vec<Value> {
    summary["cores"].as_array().expect("a list of cores")
}

#[test]
fn all_that_was_published_is_counted_on_one_core() {
    let summary = demo(&["--for", "4s", "--rate", "20", "--cores", "1"]);
    assert_eq!(cores(&summary).len(), 1);
}

#[test]
fn two_cores_both_fold_and_the_owner_combines_blocks_from_both() {
    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
        return common::skip("this machine gives us one core");
    }
    let summary = demo(&["--for", "4s", "--rate", "50", "--cores", "2"]);
    assert_eq!(cores(&summary).len(), 2);
    for core in cores(&summary) {
        assert!(core["records_folded"].as_u64() > Some(0), "{summary}");
    }
    // Without a key there is one owner at work: it combines its own blocks and the other core's.
    let owner = cores(&summary).iter().find(|core| core["blocks_combined"].as_u64() > Some(0)).expect("an owner");
    let (all, others) = (&owner["blocks_combined"], &owner["blocks_from_others"]);
    assert!(others.as_u64() > Some(0) && all.as_u64() > others.as_u64(), "{summary}");
}

#[test]
fn many_shards_and_a_high_rate_lose_nothing() {
    let summary = demo(&["--for", "3s", "--rate", "400", "--shards", "5"]);
    assert!(summary["published"].as_u64() > Some(4_000), "{summary}");
}

#[test]
fn the_first_ctrl_c_drains_and_the_summary_is_for_people() {
    let mut command = weir();
    let _ = command.args(["demo", "--rate", "20"]);
    let mut child = start(command);
    let stdout = child.stdout.take().expect("it is piped");
    let reader = std::thread::spawn(move || {
        lines_until(stdout, Duration::from_secs(60), |lines| {
            lines.last().is_some_and(|line| line.starts_with("  core"))
        })
    });
    std::thread::sleep(Duration::from_secs(2));
    signal(&child, "INT");
    let lines = reader.join().expect("a summary comes");
    let ended = wait(child, Duration::from_secs(20));
    assert_eq!(ended.code, Some(0), "{lines:#?}");
    let said = |start: &str| lines.iter().any(|line| line.starts_with(start));
    assert!(said("A local Kinesis at http://127.0.0.1:") && said("A node of "), "{lines:#?}");
    assert!(said("Draining") && said("Published "), "{lines:#?}");
    assert!(lines.iter().any(|line| line.ends_with("open 0, late 0, lost 0")), "{lines:#?}");
}

#[test]
fn the_second_ctrl_c_ends_it_at_once() {
    let mut command = weir();
    let _ = command.arg("demo");
    let child = start(command);
    std::thread::sleep(Duration::from_secs(1));
    signal(&child, "INT");
    std::thread::sleep(Duration::from_millis(300));
    signal(&child, "INT");
    let ended = wait(child, Duration::from_secs(2));
    assert_eq!(ended.code, Some(130), "{ended:#?}");
}

#[test]
fn shards_that_split_and_merge_lose_nothing_on_one_core_and_on_two() {
    for cores in ["1", "2"] {
        let arguments = ["--for", "6s", "--rate", "100", "--reshard-every", "700ms", "--cores", cores];
        if cores == "2" && std::thread::available_parallelism().map_or(1, usize::from) < 2 {
            return common::skip("this machine gives us one core");
        }
        let summary = demo(&arguments);
        assert!(summary["reshards"].as_u64() >= Some(3), "{summary}");
        assert_eq!(summary["losses"].as_array().map(Vec::len), Some(0), "{summary}");
    }
}
