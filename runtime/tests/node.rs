//! Jobs on real cores: workers, exchange and control together, with a source of numbers in place of a stream.

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::{End, Keep, Rows, Script, Scripts, node, submit, total};
use weir_runtime::connect::item_stream;
use weir_runtime::control::{JobSettings, Until};
use weir_runtime::error::{JobError, Kind};
use weir_runtime::pipeline::{Pipeline, WindowResult};
use weir_runtime::source::{
    BATCH_ITEMS_MAX, Inlet, Listing, LocalFuture, NativeTimestamps, Position, ShardInput, ShardListing, Source,
    SourceControl, SourceReader, StartPosition, Stop,
};
use weir_window::{EventTime, TimeSpan, WindowSpec, counting, millis};

const NUMBERS: u64 = 20_000;

/// Numbers 0 to `NUMBERS`, one a millisecond, dealt over shards; each shard ends, `0` with a child that goes on.
#[derive(Clone)]
struct Numbers {
    shards: u64,
}

impl Source for Numbers {
    type Item = u64;
    fn describe(&self) -> String {
        format!("numbers over {} shards", self.shards)
    }
    fn control(&self) -> Box<dyn SourceControl> {
        Box::new(self.clone())
    }
    fn reader(&self) -> Box<dyn SourceReader<u64>> {
        Box::new(self.clone())
    }
}

impl NativeTimestamps for Numbers {}

fn shard(name: &str, parents: &[&str], position: &str) -> ShardListing {
    ShardListing {
        name: name.into(),
        parents: parents.iter().map(|parent| (*parent).into()).collect(),
        open: true,
        position: StartPosition(position.into()),
    }
}

impl SourceControl for Numbers {
    fn prepare(&mut self) -> LocalFuture<'_, Result<Listing, JobError>> {
        let shards = (0..self.shards).map(|number| shard(&number.to_string(), &[], &number.to_string()));
        let listing = Listing { stream: "numbers".into(), shards: shards.collect(), ..Listing::default() };
        Box::pin(async { Ok(listing) })
    }
}

impl SourceReader<u64> for Numbers {
    fn read(&self, listing: ShardListing, inlet: Inlet<u64>) -> LocalFuture<'static, Result<(), JobError>> {
        let shards = self.shards;
        Box::pin(async move {
            let first: u64 = listing.position.0.parse().expect("the test's own");
            let is_parent = &*listing.name == "0";
            let last = if is_parent { NUMBERS / 2 } else { NUMBERS };
            let numbers: Vec<u64> = (0..last)
                .filter(|number| {
                    number % shards == first % shards && (*number >= NUMBERS / 2 || listing.parents.is_empty())
                })
                .collect();
            for items in numbers.chunks(BATCH_ITEMS_MAX / 8) {
                let time = |number: &u64| EventTime::from_millis(i64::try_from(*number).expect("small"));
                let times = items.iter().map(time).collect();
                inlet.send(ShardInput::Items { items: items.to_vec(), times, position: Position::default() }).await;
            }
            if is_parent {
                let children = vec![shard("0 again", &["0"], "0")];
                inlet.send(ShardInput::Drained { children }).await;
            }
            Ok(())
        })
    }
}

fn sliding() -> WindowSpec {
    WindowSpec::sliding(millis(1_000), millis(250)).expect("a window")
}

#[test]
fn every_owner_combines_blocks_of_every_worker_and_each_number_counts_in_each_window() {
    for cores in [1, 2] {
        let node = node(cores);
        let rows: Rows<u64> = Rows::default();
        let kept = rows.clone();
        let job = submit(&node, move |p| {
            p.read_from(Numbers { shards: 2 })
                .native_timestamps(TimeSpan::ZERO)
                .group_by_key(|number| number % 100)
                .window(sliding())
                .aggregate(counting())
                .write_to(Keep(kept.clone()));
        })
        .expect("it starts");
        assert_eq!(job.start().owners.len(), node.cores().count());
        let report = job.join();
        assert_eq!(report.error, None);
        let mut windows = BTreeMap::new();
        for row in rows.lock().expect("unpoisoned").iter() {
            assert_eq!(windows.insert((row.end, row.key), row.value), None, "emitted twice");
        }
        let expected = recount();
        assert_eq!(windows.len(), expected.len());
        assert_eq!(windows, expected);
        assert_eq!(report.workers.iter().map(|worker| worker.records_folded).sum::<u64>(), NUMBERS);
        assert_eq!(report.workers.iter().map(|worker| worker.late + worker.open).sum::<u64>(), 0);
        let several = report.workers.len() > 1;
        for worker in &report.workers {
            assert!(worker.records_folded > 0, "each worker folds: {worker:?}");
            let (own, others) = (worker.blocks_combined - worker.blocks_from_others, worker.blocks_from_others);
            assert_eq!(
                (own > 0, others > 0),
                (several, several),
                "owners combine blocks of all, one has none: {worker:?}"
            );
        }
        node.stop();
    }
}

fn recount() -> BTreeMap<(EventTime, u64), u64> {
    let mut windows = BTreeMap::new();
    for number in 0..NUMBERS {
        let time = i64::try_from(number).expect("small");
        for end in (1..=4).map(|step| time.div_euclid(250) * 250 + step * 250) {
            *windows.entry((EventTime::from_millis(end), number % 100)).or_default() += 1;
        }
    }
    windows
}

#[test]
fn window_behind_a_window_waits_for_all_owners_of_the_first() {
    let node = node(2);
    let rows: Rows<()> = Rows::default();
    let kept = rows.clone();
    let job = submit(&node, move |p| {
        p.read_from(Numbers { shards: 3 })
            .native_timestamps(TimeSpan::ZERO)
            .group_by_key(|number| number % 10)
            .window(WindowSpec::tumbling(millis(100)))
            .aggregate(counting())
            .window(WindowSpec::tumbling(millis(1_000)))
            .aggregate(weir_window::summing(|row: &WindowResult<u64, u64>| i64::try_from(row.value).expect("small")))
            .map(|row| WindowResult {
                value: u64::try_from(row.value).expect("a count"),
                start: row.start,
                end: row.end,
                key: row.key,
                partial: row.partial,
                firing: row.firing,
            })
            .write_to(Keep(kept.clone()));
    })
    .expect("it starts");
    let report = job.join();
    assert_eq!(report.error, None);
    let rows = rows.lock().expect("unpoisoned");
    assert_eq!(rows.len(), 20);
    assert!(rows.iter().all(|row| row.value == 1_000), "{rows:?}");
    assert_eq!(report.workers.iter().map(|worker| worker.late).sum::<u64>(), 0);
}

#[test]
fn panicking_closure_fails_its_job_alone() {
    let node = node(2);
    let healthy = submit(&node, |p| {
        p.read_from(item_stream(100)).without_timestamps().write_to(weir_runtime::connect::logger(|_| String::new()));
    })
    .expect("it starts");
    let ill = submit(&node, |p| {
        p.read_from(item_stream(100))
            .without_timestamps()
            .map(|item| assert!(item.sequence < 5, "five is too much"))
            .write_to(weir_runtime::connect::logger(|()| String::new()));
    })
    .expect("it starts");
    let error = ill.join().error.expect("it failed");
    assert_eq!(error.kind, Kind::Data);
    assert!(error.message.contains("five is too much"), "{error}");
    assert!(healthy.join_for(Duration::from_millis(50)).is_none(), "the other still runs");
    healthy.drain();
    let report = healthy.join();
    assert_eq!(report.error, None);
    let (taken, written): (u64, u64) =
        (report.workers.iter().map(|w| w.records_in).sum(), report.workers.iter().map(|w| w.written).sum());
    assert!(taken > 0 && taken == written, "a drained generator loses nothing: {taken} in, {written} written");
}

#[test]
fn pipeline_built_differently_on_a_worker_is_refused() {
    let node = node(1);
    let calls = std::sync::atomic::AtomicU64::new(0);
    let job = submit(&node, move |p| {
        let rate = 1 + calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        p.read_from(item_stream(rate)).without_timestamps().write_to(weir_runtime::connect::logger(|_| String::new()));
    })
    .expect("control does not know yet");
    let error = job.join().error.expect("it failed");
    assert_eq!(error.kind, Kind::Settings);
    assert!(error.message.contains("built differently on worker 0"), "{error}");
}

#[test]
fn bad_pipelines_are_refused_before_they_start() {
    let node = node(1);
    let refused = |pipeline: fn(&Pipeline)| match submit(&node, pipeline) {
        Ok(_) => panic!("it was taken"),
        Err(error) => error,
    };
    let error = refused(|_| ());
    assert_eq!((error.kind, error.message.as_str()), (Kind::Settings, "pipeline reads from nothing"));
    let error = refused(|p| drop(p.read_from(item_stream(1)).without_timestamps()));
    assert_eq!(error.to_string(), "1 of the pipeline's 1 branches end nowhere; end each with write_to");
    let error = refused(|p| {
        p.read_from(Numbers { shards: 1 })
            .native_timestamps(TimeSpan::ZERO)
            .window(WindowSpec::sliding(millis(3_600_000), millis(7)))
            .aggregate(counting())
            .write_to(weir_runtime::connect::logger(|_| String::new()));
    });
    assert_eq!(error.kind, Kind::Settings);
    assert!(error.message.starts_with("window-1: ") && error.message.contains("65"), "{error}");
    let error = refused(|p| {
        p.read_from(Numbers { shards: 1 })
            .native_timestamps(TimeSpan::ZERO)
            .window(sliding().with_lateness(millis(1)))
            .aggregate(counting())
            .write_to(weir_runtime::connect::logger(|_| String::new()));
    });
    let said = "window-1: a window with an allowed lateness, here 1 ms, is not supported yet; raise the source's allowed \
                lag instead";
    assert_eq!((error.kind, error.to_string().as_str()), (Kind::Settings, said));
    let error = refused(|p| {
        for _ in 0..2 {
            p.read_from(Numbers { shards: 1 })
                .native_timestamps(TimeSpan::ZERO)
                .window(sliding())
                .named("traffic")
                .aggregate(counting())
                .write_to(weir_runtime::connect::logger(|_| String::new()));
        }
    });
    assert_eq!(error.message, "two windows of the pipeline are called traffic");
    let error = refused(|_| panic!("at home"));
    assert_eq!(error.to_string(), "pipeline test panicked while it was built: at home");
}

#[test]
fn silent_job_ends_when_cancelled_and_a_second_cancel_does_nothing() {
    let node = node(1);
    let job = submit(&node, |p| {
        p.read_from(item_stream(0)).without_timestamps().write_to(weir_runtime::connect::logger(|_| String::new()));
    })
    .expect("it starts");
    assert!(job.join_for(Duration::from_millis(20)).is_none(), "a silent source does not end");
    job.cancel();
    assert_eq!(job.join_for(Duration::from_secs(2)).expect("within two seconds").error, None);
    job.cancel();
    assert!(job.join_for(Duration::ZERO).is_some());
}

/// Wherever a record is when its job is cancelled, in a delta, in a queue or in a pane, it is folded and open.
#[test]
fn cancelled_job_counts_what_no_window_has_shown_as_open() {
    for cores in [1, 2] {
        let node = node(cores);
        let rows: Rows<i64> = Rows::default();
        let kept = rows.clone();
        let script =
            |name| Script { name, parents: Vec::new(), listed: true, times: (0..9_000).collect(), end: End::Never };
        let job = submit(&node, move |p| {
            p.read_from(Scripts { shards: vec![script("one"), script("other")], ..Scripts::default() })
                .native_timestamps(millis(3_000))
                .group_by_key(|time| time % 100)
                .window(WindowSpec::tumbling(millis(1_000)))
                .aggregate(counting())
                .write_to(Keep(kept.clone()));
        })
        .expect("it starts");
        // Windows that end at 5 000 and before are shown: W is 8 999 - 3 000.
        let give_up = std::time::Instant::now() + Duration::from_secs(20);
        while rows.lock().expect("unpoisoned").len() < 500 {
            assert!(std::time::Instant::now() < give_up, "no rows");
            std::thread::sleep(Duration::from_millis(2));
        }
        job.cancel();
        let report = job.join();
        let shown: u64 = rows.lock().expect("unpoisoned").iter().map(|row| row.value).sum();
        assert_eq!(shown, 10_000);
        assert_eq!(total(&report, |worker| worker.open), total(&report, |worker| worker.records_folded) - shown);
    }
}

/// Rows of windows that began before `T0` are partial, and so is what is made from them.
#[test]
fn window_behind_partial_windows_is_partial() {
    let node = node(1);
    let rows: Rows<()> = Rows::default();
    let kept = rows.clone();
    let script =
        Script { name: "one", parents: Vec::new(), listed: true, times: (500..4_000).collect(), end: End::Over };
    let job = submit(&node, move |p| {
        p.read_from(Scripts { shards: vec![script.clone()], started_at: Some(500), ..Scripts::default() })
            .native_timestamps(TimeSpan::ZERO)
            .window(WindowSpec::tumbling(millis(1_000)))
            .aggregate(counting())
            .window(WindowSpec::sliding(millis(2_000), millis(1_000)))
            .aggregate(counting())
            .write_to(Keep(kept.clone()));
    })
    .expect("it starts");
    assert_eq!(job.join().error, None);
    let rows = rows.lock().expect("unpoisoned");
    let seen: Vec<_> = rows.iter().map(|row| (row.end.as_millis(), row.value, row.partial)).collect();
    assert_eq!(seen, [(1_000, 1, true), (2_000, 2, true), (3_000, 2, false), (4_000, 2, false), (5_000, 1, false)]);
}

/// A source of one record that is asked for its stop time twice, and whose reader goes on only at a drain.
#[derive(Clone)]
struct StoppedTwice(std::vec::IntoIter<i64>);

impl Source for StoppedTwice {
    type Item = i64;
    fn describe(&self) -> String {
        "stopped twice".to_owned()
    }
    fn control(&self) -> Box<dyn SourceControl> {
        Box::new(self.clone())
    }
    fn reader(&self) -> Box<dyn SourceReader<i64>> {
        Box::new(self.clone())
    }
}

impl NativeTimestamps for StoppedTwice {}

impl SourceControl for StoppedTwice {
    fn prepare(&mut self) -> LocalFuture<'_, Result<Listing, JobError>> {
        Box::pin(async { Ok(Listing { shards: vec![shard("one", &[], "0")], ..Listing::default() }) })
    }
    fn stop_time(&mut self) -> LocalFuture<'_, Result<Option<EventTime>, JobError>> {
        let end = self.0.next().map(EventTime::from_millis);
        Box::pin(async move { Ok(end) })
    }
}

impl SourceReader<i64> for StoppedTwice {
    fn read(&self, _: ShardListing, inlet: Inlet<i64>) -> LocalFuture<'static, Result<(), JobError>> {
        Box::pin(async move {
            let times = vec![EventTime::from_millis(1_200)];
            inlet.send(ShardInput::Items { items: vec![0], times, position: Position::default() }).await;
            let mut stop = inlet.stop();
            while !matches!(stop, Some(Stop::Drain(_) | Stop::Cancel)) {
                stop = inlet.stop_changed(stop).await;
            }
            inlet.send(ShardInput::Withheld(EventTime::from_millis(9_000))).await;
            std::future::pending().await
        })
    }
}

/// Readers keep to the first stop, so windows that reach beyond it lack records although the second would have had them.
#[test]
fn window_beyond_the_first_of_two_stops_is_partial() {
    let node = node(1);
    let rows: Rows<()> = Rows::default();
    let kept = rows.clone();
    let settings = JobSettings { until: Until::Now, ..JobSettings::named("test") };
    let pipeline = move |p: &Pipeline| {
        p.read_from(StoppedTwice(vec![1_500, 5_000].into_iter()))
            .native_timestamps(TimeSpan::ZERO)
            .window(WindowSpec::tumbling(millis(1_000)))
            .aggregate(counting())
            .write_to(Keep(kept.clone()));
    };
    let job = node.submit(settings, std::sync::Arc::new(pipeline)).expect("it starts");
    job.drain();
    assert_eq!(job.join_for(Duration::from_secs(2)).expect("it drains").error, None);
    let rows = rows.lock().expect("unpoisoned");
    let seen: Vec<_> = rows.iter().map(|row| (row.end.as_millis(), row.value, row.partial)).collect();
    assert_eq!(seen, [(2_000, 1, true)]);
}
