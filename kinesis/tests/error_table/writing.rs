//! Errors that meet a writer: what is on the wire, and in which order it ends up in the stream.

use weir_runtime::error::Kind;
use weir_runtime::ledger::Reason;

use crate::row::{Job, Row, Seen, Until, judge};
use crate::service::{Fault, Reply};

const NO_OUTCOMES: &str = r#"{"FailedRecordCount":0,"Records":[]}"#;

/// Behind the first call, so many are refused like this; then all is written.
fn passing(name: &'static str, times: usize, reply: Reply, judge: fn(&Seen)) -> Row {
    let faults = vec![Fault { operation: "PutRecords", after: 1, times, reply }];
    Row { name, job: Job::Write, faults, until: Until::Moved(20), judge }
}

/// Every record that was given is in the stream, those of a key in their order; `twice` if some may be there again.
fn all_is_written(seen: &Seen, twice: bool) {
    assert_eq!(seen.error, None);
    for key in 0..2 {
        let mut numbers: Vec<u64> = seen.taken.iter().map(|data| data.parse().expect("a number")).collect();
        numbers.retain(|number| number % 2 == key);
        if twice {
            let mut known = std::collections::HashSet::new();
            numbers.retain(|number| known.insert(*number));
        }
        let expected: Vec<u64> = (0..numbers.len() as u64).map(|n| 2 * n + key).collect();
        assert_eq!(numbers, expected, "key {key}");
    }
    let report = seen.report.as_ref().expect("it was started");
    let written: u64 = report.workers.iter().map(|worker| worker.written).sum();
    let taken: u64 = report.workers.iter().map(|worker| worker.taken).sum();
    assert_eq!(written, taken);
    assert!(seen.taken.len() as u64 >= written);
    assert!(twice || seen.taken.len() as u64 == written, "something is there twice");
}

fn nothing_is_repeated(seen: &Seen) {
    all_is_written(seen, false);
    assert_eq!(seen.losses(), []);
}

/// The call may have had its effect: it is repeated all the same, and the ledger says how many may be there twice.
fn perhaps_repeated(seen: &Seen) {
    all_is_written(seen, true);
    let refused = seen
        .of("PutRecords")
        .into_iter()
        .filter(|called| !called.good)
        .map(|called| called.body["Records"].as_array().expect("a list").len() as u64);
    assert_eq!(seen.losses(), [(Reason::Repeated, Some(refused.sum()), None)]);
}

fn said(seen: &Seen, words: &str) {
    assert!(seen.lines.iter().any(|line| line.contains(words)), "{words:?} is not in {:#?}", seen.lines);
}

#[test]
fn what_passes_is_put_again_in_order() {
    let refuse = |status, code| Reply::Refuse(status, code);
    judge(vec![
        passing("PutRecords throttled by record", 4, Reply::Each("ProvisionedThroughputExceededException"), |seen| {
            nothing_is_repeated(seen);
            said(seen, "put again");
            let retried: u64 = seen.report.iter().flat_map(|report| &report.workers).map(|worker| worker.retried).sum();
            assert!(retried >= 4, "{retried}");
        }),
        passing("PutRecords InternalFailure by record", 4, Reply::Each("InternalFailure"), nothing_is_repeated),
        passing(
            "PutRecords ProvisionedThroughputExceeded",
            3,
            refuse(400, "ProvisionedThroughputExceededException"),
            |seen| {
                nothing_is_repeated(seen);
                said(seen, "PutRecords: throttled; ");
            },
        ),
        passing("PutRecords Throttling", 3, refuse(400, "ThrottlingException"), nothing_is_repeated),
        passing("PutRecords KMSThrottling", 2, refuse(400, "KMSThrottlingException"), nothing_is_repeated),
        passing("PutRecords InternalFailure", 3, refuse(500, "InternalFailureException"), perhaps_repeated),
        passing("PutRecords HTTP 503", 3, Reply::Say(503, String::new()), |seen| {
            perhaps_repeated(seen);
            said(seen, "PutRecords: service unavailable; ");
        }),
        passing("PutRecords answer lost", 3, Reply::Lost, |seen| {
            perhaps_repeated(seen);
            said(seen, "PutRecords: connection lost; ");
            let written: u64 = seen.report.iter().flat_map(|report| &report.workers).map(|worker| worker.written).sum();
            assert!(seen.taken.len() as u64 > written, "what was lost had landed: the row tests nothing");
        }),
        passing("PutRecords answer cut", 3, Reply::Cut, perhaps_repeated),
        passing("PutRecords reset", 3, Reply::Reset, perhaps_repeated),
        // Nobody can say which outcome is whose.
        passing("PutRecords answered for none of its records", 2, Reply::Say(200, NO_OUTCOMES.to_owned()), |seen| {
            perhaps_repeated(seen);
            said(seen, "PutRecords: unexpected answer; ");
            said(seen, "the answer has no usable result for each record");
        }),
    ]);
}

/// The first call is refused, and the job fails in the service's words; it is not tried again.
fn final_(name: &'static str, code: &'static str, judge: fn(&Seen)) -> Row {
    let faults = vec![Fault { operation: "PutRecords", after: 0, times: usize::MAX, reply: Reply::Refuse(400, code) }];
    Row { name, job: Job::Write, faults, until: Until::Failed, judge }
}

fn failed(seen: &Seen, kind: Kind, remedy: &str) {
    let error = seen.error.as_ref().expect("it failed");
    assert_eq!(error.kind, kind, "{error}");
    assert!(error.message.contains("PutRecords: because of") && error.message.contains(remedy), "{error}");
    // A second call may have been under way; one whose records may be at fault is put again in halves before.
    let calls_max = if kind == Kind::Settings { 12 } else { 2 };
    assert!(seen.of("PutRecords").len() <= calls_max, "{}", seen.of("PutRecords").len());
    assert!(seen.taken.is_empty());
}

/// Behind the first call all are refused: half a minute is announced, and nothing comes sooner.
fn slowly(name: &'static str, code: &'static str) -> Row {
    let judge = |seen: &Seen| {
        assert_eq!(seen.error, None);
        assert_eq!(seen.announced_ms().last(), Some(&30_000), "{:#?}", seen.lines);
        // Those under way when the first was refused.
        assert!(seen.of("PutRecords").iter().filter(|called| !called.good).count() <= 2);
    };
    let faults = vec![Fault { operation: "PutRecords", after: 1, times: usize::MAX, reply: Reply::Refuse(400, code) }];
    Row { name, job: Job::Write, faults, until: Until::Said("again in 30000 ms"), judge }
}

#[test]
fn what_does_not_pass_fails_the_job_or_waits_for_an_operator() {
    judge(vec![
        final_("PutRecords InvalidArgument", "InvalidArgumentException", |seen| failed(seen, Kind::Settings, "check")),
        final_("PutRecords Validation", "ValidationException", |seen| failed(seen, Kind::Settings, "check")),
        final_("PutRecords ResourceNotFound", "ResourceNotFoundException", |seen| {
            failed(seen, Kind::Service, "check the stream's name");
        }),
        final_("PutRecords AccessDenied at the first", "AccessDeniedException", |seen| {
            failed(seen, Kind::Service, "allow this action");
        }),
        slowly("PutRecords AccessDenied while it runs", "AccessDeniedException"),
        slowly("PutRecords KMSDisabled", "KMSDisabledException"),
        slowly("PutRecords KMSInvalidState", "KMSInvalidStateException"),
        slowly("PutRecords KMSAccessDenied", "KMSAccessDeniedException"),
        slowly("PutRecords KMSNotFound", "KMSNotFoundException"),
        slowly("PutRecords KMSOptInRequired", "KMSOptInRequired"),
    ]);
}
