//! Standard output with a reader that does not read, as a stopped pager is.

mod common;

use std::{
    thread,
    time::{Duration, Instant},
};

use common::{refusal, signal, start, wait, weir};

#[test]
fn job_whose_output_nobody_reads_ends_at_ctrl_c_and_says_what_is_left() {
    let folder = tempfile::tempdir().expect("there is room");
    let file = folder.path().join("fast.toml");
    // Far more than a pipe and the queue before it take.
    let job = "name = \"fast\"\n[source]\ntype = \"tweets\"\nrate = 200000\n[sink]\ntype = \"stdout\"\n";
    std::fs::write(&file, job).expect("there is room");
    let mut command = weir();
    let _ = command.arg("run").arg(&file).args(["--cores", "1"]);
    let mut child = start(command);
    let unread = child.stdout.take();
    thread::sleep(Duration::from_secs(1));
    assert!(child.try_wait().expect("a child can be waited for").is_none(), "it ended");
    let asked = Instant::now();
    signal(&child, "INT");
    let ended = wait(child, Duration::from_secs(10));
    assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
    let lines: Vec<&str> = ended.stderr.lines().collect();
    // What was read and written, the ledger's line of it, and the reason for the exit code.
    assert!(lines.len() <= 3, "{ended:#?}");
    let said = refusal(&common::Ended { stderr: lines.last().unwrap_or(&"").to_string(), ..ended }, 4);
    assert!(said.contains("items are not known to be written"), "{said}");
    drop(unread);
}
