//! Errors that meet control before a job starts.

use serde_json::json;
use weir_kinesis::Start;
use weir_runtime::error::Kind;

use crate::row::{Job, Row, Seen, Until, judge};
use crate::service::{Fault, Reply, SHARD, shard};

const OLDEST: Job = Job::Read(Start::TrimHorizon);

/// The first calls of `operation` are refused; then the job starts and reads.
fn passing(name: &'static str, operation: &'static str, times: usize, reply: Reply) -> Row {
    let judge = |seen: &Seen| {
        assert_eq!((&seen.error, seen.read.len()), (&None, 4));
        let lines = seen.lines.iter().filter(|line| line.contains("; again in ")).count();
        assert!(lines >= 1, "it is said: {:#?}", seen.lines);
        for announced in seen.announced_ms() {
            assert!((100..=5_000).contains(&announced), "{:#?}", seen.lines);
        }
    };
    Row { name, job: OLDEST, faults: vec![Fault { operation, after: 0, times, reply }], until: Until::Moved(4), judge }
}

/// The first call is refused, and so is the job, in these words.
fn final_(name: &'static str, operation: &'static str, code: &'static str, judge: fn(&Seen)) -> Row {
    let faults = vec![Fault { operation, after: 0, times: usize::MAX, reply: Reply::Refuse(400, code) }];
    Row { name, job: OLDEST, faults, until: Until::Failed, judge }
}

fn refused(seen: &Seen, operation: &str, kind: Kind, remedy: &str) {
    let error = seen.error.as_ref().expect("it is not started");
    assert!(seen.report.is_none());
    assert_eq!((error.kind, seen.of(operation).len()), (kind, 1), "{error}");
    assert!(error.message.starts_with(&format!("{operation}: because of ")), "{error}");
    assert!(error.message.ends_with(remedy), "{error}");
}

#[test]
fn what_passes_is_waited_for_before_a_start() {
    // The SDK itself tries a call of the control plane three times.
    judge(vec![
        passing("ListShards ResourceInUse", "ListShards", 2, Reply::Refuse(400, "ResourceInUseException")),
        passing("ListShards LimitExceeded", "ListShards", 4, Reply::Refuse(400, "LimitExceededException")),
        passing("ListShards Throttling", "ListShards", 4, Reply::Refuse(400, "ThrottlingException")),
        passing("ListShards InternalFailure", "ListShards", 4, Reply::Refuse(500, "InternalFailureException")),
        passing("DescribeStreamSummary HTTP 503", "DescribeStreamSummary", 4, Reply::Say(503, String::new())),
        passing("DescribeStreamSummary reset", "DescribeStreamSummary", 4, Reply::Reset),
        Row {
            name: "ListShards ExpiredNextToken",
            job: OLDEST,
            faults: vec![
                Fault { operation: "ListShards", after: 0, times: 1, reply: more() },
                Fault {
                    operation: "ListShards",
                    after: 1,
                    times: 1,
                    reply: Reply::Refuse(400, "ExpiredNextTokenException"),
                },
                Fault { operation: "ListShards", after: 2, times: 1, reply: more() },
                Fault {
                    operation: "ListShards",
                    after: 3,
                    times: 1,
                    reply: Reply::Say(200, json!({ "Shards": [shard("shardId-000000000007")] }).to_string()),
                },
            ],
            until: Until::Moved(5),
            judge: |seen| {
                assert_eq!((&seen.error, seen.read.len()), (&None, 5), "both shards");
                let tokens: Vec<_> = seen.of("ListShards").iter().map(|call| call.body["NextToken"].clone()).collect();
                assert_eq!(tokens[..4], [json!(null), json!("more"), json!(null), json!("more")], "from the beginning");
            },
        },
    ]);
}

/// The first of two pages.
fn more() -> Reply {
    Reply::Say(200, json!({ "Shards": [shard(SHARD)], "NextToken": "more" }).to_string())
}

#[test]
fn what_does_not_pass_refuses_the_job_at_once_and_says_what_to_do() {
    judge(vec![
        final_(
            "DescribeStreamSummary ResourceNotFound",
            "DescribeStreamSummary",
            "ResourceNotFoundException",
            |seen| {
                refused(seen, "DescribeStreamSummary", Kind::Service, "or create it with `weir stream create`");
            },
        ),
        final_("ListShards ResourceNotFound", "ListShards", "ResourceNotFoundException", |seen| {
            refused(seen, "ListShards", Kind::Service, "or create it with `weir stream create`");
        }),
        final_("ListShards InvalidArgument", "ListShards", "InvalidArgumentException", |seen| {
            refused(seen, "ListShards", Kind::Settings, "check the job's settings");
        }),
        final_("ListShards AccessDenied", "ListShards", "AccessDeniedException", |seen| {
            refused(seen, "ListShards", Kind::Service, "allow this action to the credentials in use");
        }),
        final_(
            "DescribeStreamSummary UnrecognizedClient",
            "DescribeStreamSummary",
            "UnrecognizedClientException",
            |seen| {
                refused(seen, "DescribeStreamSummary", Kind::Service, "the secret key and this machine's clock");
            },
        ),
        final_(
            "DescribeStreamSummary InvalidSignature",
            "DescribeStreamSummary",
            "InvalidSignatureException",
            |seen| {
                refused(seen, "DescribeStreamSummary", Kind::Service, "the secret key and this machine's clock");
            },
        ),
    ]);
}
