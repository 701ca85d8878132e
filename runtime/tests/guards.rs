//! What a node does when something in it breaks: a closure, a source, a sink, the engine itself.

mod support;

use std::time::Duration;

use support::{Broken, node, run_alone, submit};

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
