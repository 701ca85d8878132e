//! Settings, and the part on control against a stream that is made up.

use std::cell::{Cell, RefCell};
use std::time::{Duration, UNIX_EPOCH};

use weir_runtime::error::Kind;
use weir_runtime::facade;
use weir_window::EventTime;

use super::calls::{Called, ReadCalls};
use super::*;
use crate::client::{CallTiming, ErrorKind, GetRecordsAnswer, IteratorPosition, ServiceError, ShardDescription};

/// Answers from a list of outcomes of `DescribeStreamSummary`, the last one for ever, with one shard.
struct Made {
    describes: RefCell<Vec<Result<(), ErrorKind>>>,
    dated: bool,
    /// By how much its clock is further ahead of ours from one answer to the next, in ms.
    steps_ms: i64,
    answers: Cell<i64>,
}

impl Made {
    fn control(describes: &[Result<(), ErrorKind>], dated: bool, source: StreamSource) -> StreamControl {
        Made::stepping(describes, dated, 0, source)
    }

    fn stepping(
        describes: &[Result<(), ErrorKind>],
        dated: bool,
        steps_ms: i64,
        source: StreamSource,
    ) -> StreamControl {
        let describes = RefCell::new(describes.to_vec());
        let made = Rc::new(Made { describes, dated, steps_ms, answers: Cell::new(0) });
        let connect: Connect = Rc::new(move || {
            let calls = Rc::clone(&made) as Rc<dyn ReadCalls>;
            Box::pin(async move { Ok(calls) })
        });
        StreamControl::new(source, connect)
    }
}

impl ReadCalls for Made {
    fn endpoint(&self) -> Option<&str> {
        Some("http://127.0.0.1:4567")
    }

    fn describe(&self, stream: &str) -> Called<(String, Option<CallTiming>)> {
        let mut describes = self.describes.borrow_mut();
        let outcome = if describes.len() > 1 { describes.remove(0) } else { describes[0] };
        let ahead_ms = self.answers.replace(self.answers.get() + 1) * self.steps_ms;
        let date_ms = self.dated.then(|| (facade::wall_clock_ms() + ahead_ms) / 1_000 * 1_000);
        let (stream, now) = (stream.to_owned(), facade::now());
        Box::pin(async move {
            match outcome {
                Ok(()) => Ok((format!("arn:{stream}"), Some(CallTiming { sent_at: now, received_at: now, date_ms }))),
                Err(kind) => Err(ServiceError {
                    kind,
                    code: "Planted".to_owned(),
                    message: "planted".to_owned(),
                    operation: "DescribeStreamSummary",
                }),
            }
        })
    }

    fn list_shards(&self, _: &str) -> Called<Vec<ShardDescription>> {
        let shard = ShardDescription {
            id: "shardId-000000000000".to_owned(),
            parent: None,
            adjacent_parent: None,
            first_hash: 0,
            last_hash: u128::MAX,
            first_sequence: "1".to_owned(),
            last_sequence: None,
        };
        Box::pin(async { Ok(vec![shard]) })
    }

    fn shard_iterator(&self, _: &str, _: &str, _: IteratorPosition) -> Called<String> {
        unreachable!("control reads no shard")
    }

    fn get_records(&self, _: String, _: u32) -> Called<GetRecordsAnswer> {
        unreachable!("control reads no shard")
    }
}

fn latest() -> StreamSource {
    source("Tweets").start_at(".*", Start::Latest).endpoint("http://127.0.0.1:4567")
}

#[test]
fn latest_is_pinned_to_the_services_clock_before_the_first_read() {
    let listing =
        facade::run_here(async { Made::control(&[Ok(())], true, latest()).prepare().await }).unwrap().unwrap();
    let t0 = listing.started_at.unwrap();
    let now_ms = i64::try_from(UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    assert!((now_ms - 10_000..=now_ms).contains(&t0.as_millis()), "{t0:?} at {now_ms}");
    assert_eq!(&*listing.shards[0].position.0, format!("at-timestamp {}", t0.as_millis()));
    assert_eq!(&*listing.stream, "http://127.0.0.1:4567 arn:Tweets");
    assert_eq!(listing.notes.len(), 1, "history is left out: {:?}", listing.notes);
}

#[test]
fn stop_time_is_not_before_the_services_clock() {
    let (stop, now_ms) = facade::run_here(async {
        let mut control = Made::control(&[Ok(())], true, latest());
        control.prepare().await.unwrap();
        facade::sleep(Duration::from_millis(50)).await;
        let now_ms = facade::wall_clock_ms();
        (control.stop_time().await.unwrap().unwrap(), now_ms)
    })
    .unwrap();
    assert!(
        stop >= EventTime::from_millis(now_ms) && stop <= EventTime::from_millis(now_ms + 3_000),
        "{stop:?} at {now_ms}"
    );
}

// A host that sleeps: our monotonic clock stood still, and the service's is ahead by as much.
#[test]
fn stop_time_after_the_host_slept_is_not_before_the_services_clock() {
    for slept_ms in [600_000, -600_000] {
        let (stop, now_ms) = facade::run_here(async {
            let mut control = Made::stepping(&[Ok(())], true, slept_ms, latest());
            control.prepare().await.unwrap();
            let now_ms = facade::wall_clock_ms() + slept_ms;
            (control.stop_time().await.unwrap().unwrap().as_millis(), now_ms)
        })
        .unwrap();
        assert!((now_ms..now_ms + 3_000).contains(&stop), "{stop} at {now_ms}, after {slept_ms} ms");
    }
}

#[test]
fn endpoint_without_date_is_named_and_has_no_stop_time() {
    let (listing, stop) = facade::run_here(async {
        let mut control = Made::control(&[Ok(())], false, latest());
        (control.prepare().await.unwrap(), control.stop_time().await.unwrap())
    })
    .unwrap();
    assert!(listing.notes[0].contains("no Date header"), "{:?}", listing.notes);
    assert_eq!(stop, None);
}

#[test]
fn passing_trouble_is_waited_out_and_a_missing_stream_is_the_services_word() {
    let throttled = [Err(ErrorKind::Throttled), Err(ErrorKind::Unavailable), Ok(())];
    let listed = facade::run_here(async { Made::control(&throttled, true, source("Tweets")).prepare().await }).unwrap();
    assert_eq!(listed.unwrap().started_at, None, "nothing asked for latest");
    let missing = [Err(ErrorKind::NotFound)];
    let error = facade::run_here(async { Made::control(&missing, true, source("Tweets")).prepare().await })
        .unwrap()
        .unwrap_err();
    assert_eq!((error.kind, error.to_string().as_str()), (Kind::Service, "DescribeStreamSummary: planted"));
}

#[test]
fn stop_time_is_waited_for_as_long_as_an_outage_lasts() {
    let mut outage = vec![Err(ErrorKind::Connection); 5];
    outage.push(Ok(()));
    let stop = facade::run_here(async { Made::control(&outage, true, source("Tweets")).stop_time().await }).unwrap();
    assert!(stop.is_ok(), "{stop:?}");
}

#[test]
fn margin_of_a_source_is_known_to_whoever_drains_it() {
    let control = source("Tweets").margin(weir_window::secs(30)).control();
    assert_eq!(control.margin(), weir_window::secs(30));
    let slow = source("Tweets").margin(weir_window::secs(30)).share(0.05).control();
    assert_eq!(slow.margin(), weir_window::secs(33), "a shard is asked every four seconds");
}

#[test]
fn bad_pattern_fails_the_job_with_its_stream() {
    let bad = source("Tweets").start_at("shardId-(", Start::Latest);
    let error = facade::run_here(async { Made::control(&[Ok(())], true, bad).prepare().await }).unwrap().unwrap_err();
    assert_eq!(error.kind, Kind::Settings);
    assert!(error.message.starts_with("stream Tweets: bad shard pattern \"shardId-(\": "), "{error}");
}

#[test]
fn margin_is_nothing_on_this_machine_a_second_elsewhere_and_what_is_said_else() {
    for local in ["http://127.0.0.1:4567", "http://[::1]:4567/", "http://localhost:4567"] {
        assert_eq!(margin_ms_at(None, Some(local)), 0, "{local}");
    }
    for elsewhere in [None, Some("https://kinesis.eu-central-1.amazonaws.com")] {
        assert_eq!(margin_ms_at(None, elsewhere), 1_000);
    }
    assert_eq!(margin_ms_at(Some(weir_window::millis(250)), Some("http://127.0.0.1:4567")), 250);
}

// It may be said by the profile alone, which only the client has read.
#[test]
fn stream_is_told_from_others_by_where_its_calls_go() {
    let control = || Made::control(&[Ok(())], true, source("Tweets"));
    let listing = facade::run_here(async { control().prepare().await }).unwrap().unwrap();
    assert_eq!(&*listing.stream, "http://127.0.0.1:4567 arn:Tweets");
    assert_eq!(scoped(None, "arn:Tweets"), "arn:Tweets");
}

#[test]
fn description_names_settings_but_no_secrets() {
    let described =
        source("Tweets").credentials("AKIDVISIBLE", "hunter2").start_all_at(Start::AtTimestamp(7)).describe();
    assert!(described.contains("Tweets") && described.contains("AtTimestamp(7)"), "{described}");
    assert!(!described.contains("AKIDVISIBLE") && !described.contains("hunter2"), "{described}");
}

#[test]
fn share_that_is_no_part_fails_the_job_in_words() {
    let prepared = |share: f64| {
        let source = latest().share(share);
        facade::run_here(async { Made::control(&[Ok(())], true, source).prepare().await }).unwrap()
    };
    assert!(prepared(0.4).is_ok());
    for (share, shown) in [(0.0, "0"), (1.5, "1.5"), (f64::NAN, "NaN")] {
        let error = prepared(share).unwrap_err();
        assert_eq!(error.kind, Kind::Settings);
        assert_eq!(error.message, format!("stream Tweets: a share of {shown} of each shard: give a part, 0.01 to 1"));
    }
}
