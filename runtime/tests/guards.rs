//! What a node does when something in it breaks: a closure, a source, a sink, the engine itself.

mod support;

use std::time::Duration;

use support::{Broken, Hanging, node, run_alone, submit};
use weir_runtime::connect::item_stream;
use weir_runtime::error::Kind;

#[test]
fn panic_in_the_engine_stops_the_process_after_saying_why() {
    // A task of its own, as hyper's are, is the engine's: nobody can say whose job it was.
    const NAME: &str = "panic_in_the_engine_stops_the_process_after_saying_why";
    if let Some(output) = run_alone(NAME) {
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("planted in a task"), "{output:?}");
        return;
    }
    let node = node(1);
    let job = submit(&node, |p| {
        p.read_from(Broken::Task).without_timestamps().write_to(weir_runtime::connect::logger(|_| String::new()));
    })
    .expect("it starts");
    let _ = job.join_for(Duration::from_secs(5));
    std::process::exit(0);
}

#[test]
fn job_whose_sink_cannot_flush_is_cancelled_all_the_same_and_says_what_is_left() {
    let node = node(2);
    let job = submit(&node, |p| p.read_from(item_stream(0)).without_timestamps().write_to(Hanging)).expect("it starts");
    let began = std::time::Instant::now();
    job.cancel();
    let error = job.join_for(Duration::from_secs(4)).expect("it ends in time").error.expect("something may be lost");
    assert!(began.elapsed() > Duration::from_millis(1_900), "the sink had no time: {:?}", began.elapsed());
    assert_eq!(error.kind, Kind::Service);
    assert!(error.message.ends_with(": 0 items are not known to be written 2 s after the stop"), "{error}");
}

#[test]
fn node_stops_although_a_drained_job_still_waits_for_its_sink() {
    let node = node(1);
    let job = submit(&node, |p| p.read_from(item_stream(1_000)).without_timestamps().write_to(Hanging));
    let job = job.expect("it starts");
    assert!(job.join_for(Duration::from_millis(100)).is_none());
    // Nothing is left but the flush, which a drain does not cut short.
    job.drain();
    assert!(job.join_for(Duration::from_millis(2_500)).is_none(), "a drained job gave up what its sink had taken");
    let began = std::time::Instant::now();
    node.stop();
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    let error = job.join().error.expect("something may be lost");
    assert!(!error.message.contains(": 0 items"), "{error}");
}
