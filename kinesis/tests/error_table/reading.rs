//! Errors that meet a reader.

use serde_json::json;
use weir_kinesis::Start;
use weir_runtime::error::Kind;
use weir_runtime::ledger::Reason;

use crate::row::{Job, Row, Seen, Until, judge};
use crate::service::{Fault, RECORDS, Reply, children};

const OLDEST: Job = Job::Read(Start::TrimHorizon);

/// So many calls of `operation`, behind the first `after`, are refused like this.
fn fault(operation: &'static str, after: usize, times: usize, reply: Reply) -> Fault {
    Fault { operation, after, times, reply }
}

/// The second page is refused so many times; then all is read.
fn page(name: &'static str, times: usize, reply: Reply, judge: fn(&Seen)) -> Row {
    Row { name, job: OLDEST, faults: vec![fault("GetRecords", 1, times, reply)], until: Until::Moved(4), judge }
}

/// Every record once, in order, and nothing lost.
fn all_is_read(seen: &Seen) {
    assert_eq!(seen.error, None);
    assert_eq!(seen.read, RECORDS.map(|record| record.to_string()));
    assert_eq!(seen.losses(), []);
}

/// The call was made again so often with the iterator it had, no sooner than was announced.
fn iterator_is_kept(seen: &Seen, refused: usize) {
    all_is_read(seen);
    assert_eq!(seen.iterators(), ["TRIM_HORIZON"]);
    let used = seen.used();
    assert!(
        used[1..].len() > refused && used[1..=refused + 1].iter().all(|used| *used == "1|shardId-000000000000|102")
    );
    let (announced, waited) = (seen.announced_ms(), seen.waited_ms("GetRecords"));
    assert_eq!(announced.len(), refused, "{:#?}", seen.lines);
    for (announced, waited) in announced.iter().zip(&waited[1..]) {
        assert!(waited + 1 >= *announced, "{waited} ms and not {announced}");
    }
}

/// Waits of `first` ms that double, each shortened by up to half.
fn doubling(seen: &Seen, first_ms: u64, last_ms: u64) {
    let mut whole_ms = first_ms;
    for announced in seen.announced_ms() {
        assert!((whole_ms / 2..=whole_ms).contains(&announced), "{announced} of {whole_ms} ms: {:#?}", seen.lines);
        whole_ms = (2 * whole_ms).min(last_ms);
    }
}

fn said(seen: &Seen, words: &str) {
    assert!(seen.lines.iter().any(|line| line.contains(words)), "{words:?} is not in {:#?}", seen.lines);
}

/// A second or more, the iterator kept, never fatal.
fn slowed_down(seen: &Seen) {
    iterator_is_kept(seen, 2);
    doubling(seen, 2_000, 8_000);
}

/// Soon, the iterator kept, for as long as it takes.
fn backed_off(seen: &Seen) {
    iterator_is_kept(seen, 4);
    doubling(seen, 100, 5_000);
}

#[test]
fn what_passes_is_waited_out_with_the_iterator_that_was_there() {
    let refuse = |status, code| Reply::Refuse(status, code);
    judge(vec![
        page(
            "GetRecords ProvisionedThroughputExceeded",
            2,
            refuse(400, "ProvisionedThroughputExceededException"),
            |seen| {
                slowed_down(seen);
                said(seen, "GetRecords: throttled; again in ");
            },
        ),
        page("GetRecords Throttling", 2, refuse(400, "ThrottlingException"), slowed_down),
        page("GetRecords LimitExceeded", 2, refuse(400, "LimitExceededException"), slowed_down),
        page("GetRecords HTTP 429", 2, Reply::Say(429, String::new()), slowed_down),
        page("GetRecords KMSThrottling", 2, refuse(400, "KMSThrottlingException"), |seen| {
            slowed_down(seen);
            said(seen, "GetRecords: key service throttled; again in ");
        }),
        page("GetRecords InternalFailure", 4, refuse(500, "InternalFailureException"), backed_off),
        page("GetRecords HTTP 503", 4, Reply::Say(503, "<html>".to_owned()), |seen| {
            backed_off(seen);
            said(seen, "GetRecords: service unavailable; again in ");
        }),
        page("GetRecords HTTP 408", 4, Reply::Say(408, String::new()), |seen| {
            backed_off(seen);
            said(seen, "GetRecords: no answer in time; again in ");
        }),
        page("GetRecords connection reset", 4, Reply::Reset, |seen| {
            backed_off(seen);
            said(seen, "GetRecords: connection lost; again in ");
        }),
        page("GetRecords answer cut", 4, Reply::Cut, backed_off),
        page("GetRecords no answer of Kinesis", 4, Reply::Say(200, "<html>".to_owned()), |seen| {
            backed_off(seen);
            said(seen, "does not answer like Kinesis");
        }),
        page("GetRecords ResourceInUse", 4, refuse(400, "ResourceInUseException"), backed_off),
        page("GetRecords an error that nobody knows", 4, refuse(400, "SomethingNewException"), backed_off),
    ]);
}

#[test]
fn iterators_are_renewed_only_where_that_helps() {
    judge(vec![
        page("GetRecords ExpiredIterator", 1, Reply::Refuse(400, "ExpiredIteratorException"), |seen| {
            all_is_read(seen);
            assert_eq!(seen.iterators(), ["TRIM_HORIZON", "AFTER_SEQUENCE_NUMBER 102"]);
            assert_eq!(seen.lines, [] as [&str; 0], "it is normal");
            let expired = seen.of("GetRecords")[1].at;
            let renewed = seen.of("GetShardIterator")[1].at - expired;
            assert!(renewed.as_millis() < 900, "at once: {renewed:?}");
        }),
        Row {
            name: "GetRecords ExpiredIterator before the first record",
            job: Job::Read(Start::AtTimestamp(1_764_000_000_123)),
            faults: vec![fault("GetRecords", 0, 1, Reply::Refuse(400, "ExpiredIteratorException"))],
            until: Until::Moved(4),
            judge: |seen| {
                all_is_read(seen);
                assert_eq!(seen.iterators(), ["AT_TIMESTAMP", "AT_TIMESTAMP"]);
                let asked = seen.of("GetShardIterator");
                assert_eq!(asked[0].body["Timestamp"], json!(1_764_000_000.123), "the pinned start");
                assert_eq!(asked[1].body["Timestamp"], asked[0].body["Timestamp"]);
            },
        },
        page("GetRecords InvalidArgument once", 1, Reply::Refuse(400, "InvalidArgumentException"), |seen| {
            all_is_read(seen);
            assert_eq!(seen.iterators(), ["TRIM_HORIZON", "AFTER_SEQUENCE_NUMBER 102"]);
            said(seen, "GetRecords: invalid argument; a fresh iterator is taken: ");
        }),
        Row {
            name: "GetRecords InvalidArgument again",
            job: OLDEST,
            faults: vec![fault("GetRecords", 1, usize::MAX, Reply::Refuse(400, "InvalidArgumentException"))],
            until: Until::Failed,
            judge: |seen| {
                let error = seen.error.as_ref().expect("it failed");
                assert_eq!(error.kind, Kind::Settings);
                assert!(error.message.contains("shardId-000000000000: GetRecords: because of"), "{error}");
                assert_eq!((seen.iterators().len(), seen.of("GetRecords").len()), (2, 3), "one fresh iterator");
            },
        },
        Row {
            name: "GetShardIterator ProvisionedThroughputExceeded",
            job: OLDEST,
            // The SDK itself tries three times.
            faults: vec![fault("GetShardIterator", 0, 4, Reply::Refuse(400, "ProvisionedThroughputExceededException"))],
            until: Until::Moved(4),
            judge: |seen| {
                all_is_read(seen);
                assert_eq!(seen.iterators(), ["TRIM_HORIZON"; 5]);
                doubling(seen, 2_000, 8_000);
                assert_eq!(seen.announced_ms().len(), 1, "{:#?}", seen.lines);
                assert!(seen.waited_ms("GetShardIterator")[2] >= 1_000);
            },
        },
        Row {
            name: "GetShardIterator InternalFailure",
            job: OLDEST,
            faults: vec![fault("GetShardIterator", 0, 4, Reply::Refuse(500, "InternalFailureException"))],
            until: Until::Moved(4),
            judge: |seen| {
                all_is_read(seen);
                assert_eq!(seen.iterators(), ["TRIM_HORIZON"; 5]);
                doubling(seen, 100, 5_000);
            },
        },
    ]);
}

#[test]
fn what_is_gone_is_in_the_ledger_or_the_end_of_the_job() {
    let missing = || Reply::Refuse(400, "ResourceNotFoundException");
    let split = || Reply::Say(200, json!({ "Shards": children() }).to_string());
    judge(vec![
        Row {
            name: "GetShardIterator InvalidArgument behind the last record",
            job: OLDEST,
            faults: vec![
                fault("GetRecords", 1, 1, Reply::Refuse(400, "ExpiredIteratorException")),
                fault("GetShardIterator", 1, 1, Reply::Refuse(400, "InvalidArgumentException")),
            ],
            until: Until::Moved(6),
            judge: |seen| {
                assert_eq!(seen.error, None);
                assert_eq!(seen.iterators(), ["TRIM_HORIZON", "AFTER_SEQUENCE_NUMBER 102", "TRIM_HORIZON"]);
                assert_eq!(seen.losses(), [(Reason::Gap, None, Some("after 102".to_owned()))]);
            },
        },
        Row {
            name: "GetShardIterator InvalidArgument at a start time",
            job: Job::Read(Start::AtTimestamp(1_764_000_000_123)),
            faults: vec![fault("GetShardIterator", 0, usize::MAX, Reply::Refuse(400, "InvalidArgumentException"))],
            until: Until::Failed,
            judge: |seen| {
                let error = seen.error.as_ref().expect("it failed");
                assert_eq!(error.kind, Kind::Settings);
                assert!(error.message.contains("shardId-000000000000: GetShardIterator: because of"), "{error}");
                assert_eq!(seen.iterators(), ["AT_TIMESTAMP"; 7], "never from elsewhere");
            },
        },
        Row {
            name: "GetRecords ResourceNotFound, the shard is listed",
            job: OLDEST,
            faults: vec![fault("GetRecords", 1, 2, missing())],
            until: Until::Moved(4),
            judge: |seen| {
                all_is_read(seen);
                said(seen, "GetRecords: not found; asking for a listing: ");
            },
        },
        Row {
            name: "GetRecords ResourceNotFound, the shard is gone",
            job: OLDEST,
            faults: vec![fault("GetRecords", 1, 1, missing()), fault("ListShards", 1, usize::MAX, split())],
            until: Until::Moved(4),
            judge: |seen| {
                assert_eq!(seen.error, None);
                assert_eq!(seen.read, ["101", "102", "9", "9"], "then its children");
                assert_eq!(seen.losses(), [(Reason::Gap, None, Some("after 102".to_owned()))]);
                assert!(seen.of("ListShards").len() >= 4, "one listing may be behind");
            },
        },
        Row {
            name: "GetRecords ResourceNotFound, the stream is gone",
            job: OLDEST,
            faults: vec![fault("GetRecords", 1, usize::MAX, missing()), fault("ListShards", 1, usize::MAX, missing())],
            until: Until::Failed,
            judge: |seen| {
                let error = seen.error.as_ref().expect("it failed");
                assert_eq!(error.kind, Kind::Service);
                assert!(error.message.contains("ListShards: because of"), "{error}");
                assert!(error.message.contains("check the stream's name"), "{error}");
            },
        },
        Row {
            name: "GetShardIterator ResourceNotFound, the shard is gone",
            job: OLDEST,
            faults: vec![fault("GetShardIterator", 0, 1, missing()), fault("ListShards", 1, usize::MAX, split())],
            until: Until::Moved(2),
            judge: |seen| {
                assert_eq!(seen.error, None);
                assert_eq!(seen.read, ["9", "9"]);
                assert_eq!(seen.losses(), [(Reason::Gap, None, None)]);
            },
        },
    ]);
}

/// The second page is refused for ever: half a minute is announced, and nothing comes sooner.
fn slowly(name: &'static str, code: &'static str) -> Row {
    let judge = |seen: &Seen| {
        assert_eq!((&seen.error, seen.read.len()), (&None, 2));
        said(seen, "GetRecords: ");
        assert_eq!(seen.announced_ms(), [30_000], "{:#?}", seen.lines);
        assert_eq!((seen.of("GetRecords").len(), seen.iterators().len()), (2, 1));
    };
    let faults = vec![fault("GetRecords", 1, usize::MAX, Reply::Refuse(400, code))];
    Row { name, job: OLDEST, faults, until: Until::Said("again in 30000 ms"), judge }
}

/// Credentials may be had anew, so the first time is soon; then as for those that may not do this.
fn renewed(name: &'static str, code: &'static str) -> Row {
    let judge = |seen: &Seen| {
        assert_eq!((&seen.error, seen.read.len()), (&None, 2));
        let announced = seen.announced_ms();
        assert_eq!((announced.len(), announced.last()), (2, Some(&30_000)), "{:#?}", seen.lines);
        assert!(announced[0] <= 1_000, "{announced:?}");
        assert_eq!((seen.of("GetRecords").len(), seen.iterators().len()), (3, 1));
        said(seen, "check the access key, the secret key and this machine's clock");
    };
    let faults = vec![fault("GetRecords", 1, usize::MAX, Reply::Refuse(400, code))];
    Row { name, job: OLDEST, faults, until: Until::Said("again in 30000 ms"), judge }
}

#[test]
fn what_an_operator_has_to_mend_is_said_and_tried_again_slowly() {
    judge(vec![
        slowly("GetRecords KMSDisabled", "KMSDisabledException"),
        slowly("GetRecords KMSInvalidState", "KMSInvalidStateException"),
        slowly("GetRecords KMSAccessDenied", "KMSAccessDeniedException"),
        slowly("GetRecords KMSNotFound", "KMSNotFoundException"),
        slowly("GetRecords KMSOptInRequired", "KMSOptInRequired"),
        slowly("GetRecords AccessDenied while it runs", "AccessDeniedException"),
        renewed("GetRecords ExpiredToken", "ExpiredTokenException"),
        renewed("GetRecords UnrecognizedClient", "UnrecognizedClientException"),
        renewed("GetRecords InvalidSignature", "InvalidSignatureException"),
        renewed("GetRecords RequestExpired", "RequestExpired"),
        Row {
            name: "GetRecords AccessDenied at the first page",
            job: OLDEST,
            faults: vec![fault("GetRecords", 0, usize::MAX, Reply::Refuse(400, "AccessDeniedException"))],
            until: Until::Failed,
            judge: |seen| {
                let error = seen.error.as_ref().expect("it failed");
                assert_eq!((error.kind, seen.of("GetRecords").len()), (Kind::Service, 1));
                assert!(error.message.contains("shardId-000000000000: GetRecords: because of"), "{error}");
                assert!(error.message.contains("allow this action to the credentials in use"), "{error}");
            },
        },
        Row {
            name: "GetShardIterator ExpiredToken at once",
            job: OLDEST,
            faults: vec![fault("GetShardIterator", 0, 1, Reply::Refuse(400, "ExpiredTokenException"))],
            until: Until::Moved(4),
            judge: |seen| {
                // Control had listed the stream with them a moment before: they expired, and are had anew.
                all_is_read(seen);
                assert_eq!((seen.iterators().len(), seen.announced_ms().len()), (2, 1), "{:#?}", seen.lines);
            },
        },
        Row {
            name: "GetShardIterator AccessDenied",
            job: OLDEST,
            faults: vec![fault("GetShardIterator", 0, usize::MAX, Reply::Refuse(400, "AccessDeniedException"))],
            until: Until::Failed,
            judge: |seen| {
                let error = seen.error.as_ref().expect("it failed");
                assert_eq!((error.kind, seen.iterators().len()), (Kind::Service, 1));
                assert!(error.message.contains("GetShardIterator: because of"), "{error}");
            },
        },
        Row {
            name: "GetRecords AccessDenied in a child whose parent was read",
            job: OLDEST,
            faults: vec![
                // The parent's end names the children; each child's first page is refused.
                fault(
                    "GetRecords",
                    1,
                    1,
                    Reply::Say(
                        200,
                        json!({ "Records": [], "MillisBehindLatest": 0, "ChildShards": children() }).to_string(),
                    ),
                ),
                fault("GetRecords", 2, usize::MAX, Reply::Refuse(400, "AccessDeniedException")),
            ],
            until: Until::Said("again in 30000 ms"),
            judge: |seen| {
                assert_eq!(
                    (&seen.error, seen.read.len()),
                    (&None, 2),
                    "the job ran, and what is denied may be granted"
                );
                said(seen, "shardId-000000000001: GetRecords: access denied; again in 30000 ms");
            },
        },
    ]);
}
