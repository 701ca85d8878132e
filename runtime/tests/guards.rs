//! What a node does when something in it breaks: a closure, a source, a sink, the engine itself.

mod common;
mod support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use common::{node, submit};
use support::{Broken, Hanging, Late, Losing, Refusing, STOP_TIMES_ASKED, Stalled, run_alone};
use weir_runtime::connect::item_stream;
use weir_runtime::error::Kind;
use weir_window::{Aggregate, TimeSpan, WindowSpec, millis};

#[test]
fn panic_in_the_engine_stops_the_process_after_saying_why() {
    // A task of its own, as hyper's are, is the engine's: nobody can say whose job it was.
    const NAME: &str = "panic_in_the_engine_stops_the_process_after_saying_why";
    if let Some(output) = run_alone(NAME) {
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("planted in Task"), "{output:?}");
        return;
    }
    let node = node(1);
    let job = submit(&node, |p| {
        p.read_from(Broken::Task).without_timestamps().write_to(Broken::Task);
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

#[test]
fn panic_in_a_source_or_a_sink_fails_its_job_alone() {
    let node = node(1);
    let healthy = submit(&node, |p| p.read_from(item_stream(100)).without_timestamps().write_to(Broken::Task));
    let healthy = healthy.expect("it starts");
    let start = |broken: Broken| submit(&node, move |p| p.read_from(broken).without_timestamps().write_to(broken));
    for (broken, place) in [
        (Broken::Prepare, "panicked while a source was prepared"),
        (Broken::PrepareLater, "panicked while a source was prepared"),
        (Broken::SinkPrepare, "panicked while a sink was prepared"),
    ] {
        let error = start(broken).map(drop).expect_err("it cannot start");
        assert_eq!((error.kind, error.message), (Kind::Data, format!("{place}: planted in {broken:?}")));
    }
    for (broken, place) in [
        (Broken::Read, "shard 0: panicked on worker 0"),
        (Broken::ReadLater, "shard 0: panicked on worker 0"),
        (Broken::Flush, "panicked on worker 0"),
        (Broken::FlushLater, "panicked on worker 0"),
    ] {
        let job = start(broken).expect("it starts");
        if matches!(broken, Broken::Flush | Broken::FlushLater) {
            job.cancel();
        }
        let error = job.join_for(Duration::from_secs(5)).expect("it ends").error.expect("it failed");
        assert_eq!((error.kind, error.message), (Kind::Data, format!("{place}: planted in {broken:?}")));
    }
    assert!(healthy.join_for(Duration::from_millis(50)).is_none(), "the other still runs");
    healthy.drain();
    assert_eq!(healthy.join().error, None);
}

/// Counts, but panics on worker 0 when two deltas meet there.
struct Touchy;

impl Aggregate<u64> for Touchy {
    type Accumulator = u64;
    type Output = u64;
    fn identity(&self) -> u64 {
        0
    }
    fn accumulate(&self, count: &mut u64, _: &u64) {
        *count += 1;
    }
    fn combine(&self, count: &mut u64, other: &u64) {
        assert!(std::thread::current().name() != Some("worker-0"), "planted in combine");
        *count += other;
    }
    fn finish(&self, count: &u64) -> u64 {
        *count
    }
}

#[test]
fn panic_on_another_workers_delta_fails_its_job_alone() {
    let node = node(2);
    if node.cores().count() < 2 {
        return;
    }
    let healthy = submit(&node, |p| p.read_from(item_stream(100)).without_timestamps().write_to(Broken::Task));
    let healthy = healthy.expect("it starts");
    let ill = submit(&node, |p| {
        p.read_from(Late)
            .native_timestamps(TimeSpan::ZERO)
            .group_by_key(|number| *number)
            .window(WindowSpec::tumbling(millis(10)))
            .aggregate(Touchy)
            .write_to(Broken::Task);
    })
    .expect("it starts");
    let error = ill.join_for(Duration::from_secs(5)).expect("it ends").error.expect("it failed");
    assert_eq!((error.kind, error.message.as_str()), (Kind::Data, "panicked on worker 0: planted in combine"));
    assert!(healthy.join_for(Duration::from_millis(50)).is_none(), "the other still runs");
}

#[test]
fn job_that_cannot_learn_its_stop_time_runs_on_until_its_drain_is_over() {
    let node = node(1);
    let jobs = [Broken::StopTime, Broken::NoStopTime].map(|broken| {
        submit(&node, move |p| p.read_from(broken).without_timestamps().write_to(broken)).expect("it starts")
    });
    let asked = STOP_TIMES_ASKED.load(Ordering::SeqCst);
    let began = std::time::Instant::now();
    for job in &jobs {
        job.drain();
        job.drain();
    }
    for job in &jobs {
        let left = Duration::from_secs(6).saturating_sub(began.elapsed());
        assert_eq!(job.join_for(left).expect("a drain has a limit").error, None);
        assert!(began.elapsed() > Duration::from_millis(3_900), "it was cut off after {:?}", began.elapsed());
    }
    assert_eq!(STOP_TIMES_ASKED.load(Ordering::SeqCst) - asked, 2, "a second drain was begun");
}

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let give_up = std::time::Instant::now() + Duration::from_secs(2);
    while !holds() {
        assert!(std::time::Instant::now() < give_up, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn job_is_drained_at_once_although_a_listing_is_stalled() {
    let node = node(1);
    let stalled = Stalled::default();
    let (source, seen) = (stalled.clone(), stalled.0);
    let job = submit(&node, move |p| p.read_from(source.clone()).without_timestamps().write_to(Broken::Task));
    let job = job.expect("it starts");
    wait_until("nobody lists", || seen.listings.load(Ordering::SeqCst) > 0);
    job.drain();
    let report = job.join_for(Duration::from_secs(2)).expect("it does not wait for the listing");
    assert_eq!(report.error, None);
}

/// A drain may take an hour here; what a source holds on control, such as its connections, may not stay that long.
#[test]
fn nothing_of_a_job_stays_on_control_once_it_is_over() {
    let node = node(1);
    let stalled = Stalled::default();
    let (source, seen) = (stalled.clone(), stalled.0);
    let job = submit(&node, move |p| {
        p.read_from(source.clone())
            .native_timestamps(TimeSpan::ZERO)
            .window(WindowSpec::tumbling(millis(3_600_000)))
            .aggregate(weir_window::counting())
            .write_to(Broken::Task);
    });
    let job = job.expect("it starts");
    wait_until("nobody lists", || seen.listings.load(Ordering::SeqCst) > 0);
    job.drain();
    assert_eq!(job.join_for(Duration::from_secs(2)).expect("it ends").error, None);
    wait_until("the source's part is still there", || seen.parts.load(Ordering::SeqCst) == 0);
}

#[test]
fn loss_that_is_noticed_just_before_a_failure_or_a_cancel_is_in_the_ledger() {
    let node = node(1);
    for full in [true, false] {
        let losing = Losing { full, ..Losing::default() };
        let source = losing.clone();
        let job = submit(&node, move |p| p.read_from(source.clone()).without_timestamps().write_to(Refusing));
        let job = job.expect("it starts");
        if full {
            wait_until("it loses nothing", || losing.noticed.load(Ordering::SeqCst));
            job.cancel();
        }
        let report = job.join_for(Duration::from_secs(4)).expect("it ends");
        assert_eq!(report.error.is_some(), !full);
        let entries: Vec<_> = report.ledger.entries().map(|entry| (&*entry.place, &*entry.what)).collect();
        assert_eq!(entries, [("0", "planted")], "full: {full}");
    }
}

/// A mailbox has room for some thousand commands, and a worker inside a closure takes none.
#[test]
fn job_may_be_cancelled_any_number_of_times_while_its_closure_does_not_return() {
    let node = node(1);
    let inside = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = inside.clone();
    let job = submit(&node, move |p| {
        let inside = inside.clone();
        let slow = move |_| {
            if !inside.swap(true, Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(500));
            }
        };
        p.read_from(item_stream(100)).without_timestamps().map(slow).write_to(Broken::Task);
    });
    let job = job.expect("it starts");
    wait_until("nothing comes", || seen.load(Ordering::SeqCst));
    (0..3_000).for_each(|_| job.cancel());
    assert_eq!(job.join_for(Duration::from_secs(4)).expect("it ends").error, None);
}
