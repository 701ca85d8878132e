use super::scripted::{Peer, Scripted};
use super::*;
use bytes::Bytes;
use futures_util::future::join_all;
use std::future::Future;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use weir_runtime::facade;
use weir_runtime::source::Source as _;

const SECRET: &str = "wJalrXUtnFEMI-secret";
const EMPTY_PAGE: &str = r#"{"Records":[],"NextShardIterator":"next","MillisBehindLatest":0}"#;

pub(super) fn run<F: Future>(f: F) -> F::Output {
    facade::run_here(f).expect("an executor starts here")
}

fn settings(server: &Scripted) -> ServiceSettings {
    ServiceSettings {
        endpoint_url: Some(server.url("")),
        region: Some("eu-central-1".into()),
        access_key_id: Some("AKIDEXAMPLE".into()),
        secret_access_key: Some(SECRET.into()),
        ..ServiceSettings::default()
    }
}

async fn connect(server: &Scripted) -> Client {
    Client::connect(&settings(server)).await.expect("keys and region are set")
}

/// Answers each request by what `answer` says for its number and operation: status and body.
fn service(
    answer: impl Fn(usize, &str, &str) -> (u16, String) + Send + Sync + 'static,
) -> (Scripted, Arc<AtomicUsize>) {
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&requests);
    let server = Scripted::start(move |peer| {
        while let Some((head, body)) = peer.request() {
            let target =
                head.lines().find_map(|line| line.strip_prefix("x-amz-target: Kinesis_20131202.")).unwrap_or("none");
            let body = String::from_utf8(body).expect("JSON is text");
            let (status, answer) = answer(counter.fetch_add(1, Ordering::SeqCst), target, &body);
            respond(peer, status, &answer);
        }
    });
    (server, requests)
}

fn respond(peer: &mut Peer, status: u16, body: &str) {
    peer.write(format!(
        "HTTP/1.1 {status} Said\r\nDate: Mon, 23 Nov 2026 16:11:27 GMT\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
}

fn refusal(code: &str, message: &str) -> String {
    format!(r#"{{"__type":"{code}","message":"{message}"}}"#)
}

#[test]
fn control_plane_call_is_repeated_on_a_new_connection_after_503() {
    let (server, requests) = service(|number, _, _| match number {
        0 => (503, String::new()),
        _ => (200, r#"{"StreamNames":["Tweets"],"HasMoreStreams":false}"#.into()),
    });
    run(async {
        let client = connect(&server).await;
        assert_eq!(client.list_streams().await, Ok(vec!["Tweets".to_owned()]));
        assert_eq!(requests.load(Ordering::SeqCst), 2);
        assert_eq!(server.connections(), 2, "the connection that brought a 503 was used again");
        assert_eq!(client.list_streams().await, Ok(vec!["Tweets".to_owned()]));
        assert_eq!(server.connections(), 2, "a good connection was not kept");
    });
}

#[test]
fn control_plane_call_gives_up_after_three_attempts() {
    let (server, requests) = service(|_, _, _| (500, refusal("InternalFailureException", "Sorry.")));
    run(async {
        let error = connect(&server).await.describe("Tweets").await.expect_err("it always fails");
        assert_eq!((error.kind, error.operation), (ErrorKind::Unavailable, "DescribeStreamSummary"));
        assert_eq!(requests.load(Ordering::SeqCst), 3);
    });
}

#[test]
fn reading_and_putting_are_tried_once_and_leave_a_bad_connection() {
    let (server, requests) = service(|number, target, _| match (number, target) {
        (0, _) => (503, String::new()),
        (1, _) => (400, refusal("ProvisionedThroughputExceededException", "Rate exceeded for shard")),
        (_, "GetRecords") => (200, EMPTY_PAGE.into()),
        _ => (500, refusal("InternalFailureException", "Sorry.")),
    });
    run(async {
        let client = connect(&server).await;
        let error = client.get_records("it".into(), 10).await.expect_err("503");
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Unavailable, "HTTP 503"));
        let error = client.get_records("it".into(), 10).await.expect_err("throttled");
        assert_eq!(error.kind, ErrorKind::Throttled);
        assert_eq!(
            error.to_string(),
            "GetRecords: Rate exceeded for shard (ProvisionedThroughputExceededException); it is tried again more slowly"
        );
        assert!(client.get_records("it".into(), 10).await.is_ok());
        assert_eq!((requests.load(Ordering::SeqCst), server.connections()), (3, 2));
        let entry = PutEntry { key: "k".into(), explicit_hash: None, data: Bytes::from_static(b"d") };
        let error = client.put_records("Tweets", vec![entry]).await.expect_err("500");
        assert_eq!((error.kind, requests.load(Ordering::SeqCst)), (ErrorKind::Unavailable, 4));
    });
}

#[test]
fn page_of_records_comes_with_its_timing() {
    let body = r#"{"ChildShards":[{"HashKeyRange":{"EndingHashKey":"9","StartingHashKey":"0"},"ParentShards":["a","b"],"ShardId":"c"}],
        "MillisBehindLatest":42,"NextShardIterator":null,
        "Records":[{"ApproximateArrivalTimestamp":1795395060.708,"Data":"dHdlZXQ=","PartitionKey":"3","SequenceNumber":"495"}]}"#;
    let (server, _) = service(move |_, target, sent| {
        assert_eq!((target, sent), ("GetRecords", r#"{"ShardIterator":"it","Limit":7}"#));
        (200, body.into())
    });
    run(async {
        let before = Instant::now();
        let answer = connect(&server).await.get_records("it".into(), 7).await.expect("a page");
        let batch = &answer.batch;
        assert_eq!(
            (batch.len(), batch.partition_key(0), batch.data(0), batch.sequence(0)),
            (1, "3", &b"tweet"[..], "495")
        );
        assert_eq!(batch.arrival_ms(0), 1_795_395_060_708);
        assert_eq!((answer.next_iterator, answer.behind_ms, answer.bytes), (None, Some(42), body.len()));
        let child = ChildShard { id: "c".into(), parents: vec!["a".into(), "b".into()], hash_range: Some((0, 9)) };
        assert_eq!(answer.children, [child]);
        assert_eq!(answer.timing.date_ms, Some(1_795_450_287_000));
        assert!(before <= answer.timing.sent_at && answer.timing.sent_at < answer.timing.received_at);
        assert!(answer.timing.received_at <= Instant::now());
    });
}

#[test]
fn shards_are_listed_over_all_pages_and_anew_when_the_token_expired() {
    let shard = |id: u8| {
        format!(
            r#"{{"ShardId":"s{id}","ParentShardId":"p","HashKeyRange":{{"StartingHashKey":"0","EndingHashKey":"340282366920938463463374607431768211455"}},"SequenceNumberRange":{{"StartingSequenceNumber":"1"}}}}"#
        )
    };
    let pages = [shard(1), shard(2)];
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let (server, _) = service(move |number, _, sent| {
        log.lock().expect("no panic").push(sent.to_owned());
        match number {
            0 | 2 => (200, format!(r#"{{"Shards":[{}],"NextToken":"more"}}"#, pages[0])),
            1 => (400, refusal("ExpiredNextTokenException", "expired")),
            _ => (200, format!(r#"{{"Shards":[{}]}}"#, pages[1])),
        }
    });
    run(async {
        let shards = connect(&server).await.list_shards("Tweets").await.expect("both pages");
        let ids: Vec<&str> = shards.iter().map(|shard| shard.id.as_str()).collect();
        assert_eq!(ids, ["s1", "s2"]);
        assert_eq!((shards[0].first_hash, shards[0].last_hash, &shards[0].last_sequence), (0, u128::MAX, &None));
    });
    let named = r#"{"StreamName":"Tweets"}"#;
    let token = r#"{"NextToken":"more"}"#;
    assert_eq!(*seen.lock().expect("no panic"), [named, token, named, token]);
}

#[test]
fn records_refused_one_by_one_keep_their_places() {
    let (server, _) = service(|_, target, sent| {
        assert_eq!(target, "PutRecords");
        assert!(sent.contains(r#""Data":"dHdlZXQ=""#) && sent.contains(r#""ExplicitHashKey":"7""#), "{sent}");
        let ok = r#"{"ShardId":"s1","SequenceNumber":"12"}"#;
        let refused = r#"{"ErrorCode":"ProvisionedThroughputExceededException","ErrorMessage":"slow"}"#;
        (200, format!(r#"{{"FailedRecordCount":1,"Records":[{ok},{refused}]}}"#))
    });
    run(async {
        let entry = |hash: Option<&str>| PutEntry {
            key: "k".into(),
            explicit_hash: hash.map(str::to_owned),
            data: Bytes::from_static(b"tweet"),
        };
        let answer =
            connect(&server).await.put_records("Tweets", vec![entry(None), entry(Some("7"))]).await.expect("an answer");
        let refused = PutFailure { code: "ProvisionedThroughputExceededException".into(), message: "slow".into() };
        assert_eq!(answer.entries, [Ok(Placed { shard: "s1".into(), sequence: "12".into() }), Err(refused)]);
        assert!(answer.timing.is_some());
    });
}

#[test]
fn void_calls_take_an_empty_body_and_an_empty_object() {
    let (server, _) = service(|number, _, _| (200, if number == 0 { String::new() } else { "{}".into() }));
    run(async {
        let client = connect(&server).await;
        assert_eq!(client.create_stream("Tweets", 2).await, Ok(()));
        assert_eq!(client.create_stream("Tweets", 2).await, Ok(()));
    });
}

#[test]
fn missing_stream_and_unusable_answers_are_told_apart() {
    let (server, _) = service(|number, _, _| match number {
        0 => (400, refusal("ResourceNotFoundException", "Stream Tweets under account 000000000000 not found.")),
        _ => (200, "<html>".into()),
    });
    run(async {
        let client = connect(&server).await;
        let error = client.describe("Tweets").await.expect_err("missing");
        assert_eq!(error.kind, ErrorKind::NotFound);
        assert_eq!(
            error.message,
            "Stream Tweets under account 000000000000 not found (ResourceNotFoundException); check the stream's name, the region and the endpoint, or create it with `weir stream create`"
        );
        let error = client.get_records("it".into(), 1).await.expect_err("not JSON");
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Other, "MalformedAnswer"));
    });
}

#[test]
fn refused_connection_is_said_quickly() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("loopback");
    run(async {
        let base =
            ServiceSettings { endpoint_url: Some(format!("http://{free}")), ..settings(&Scripted::start(drop_peer)) };
        let client = Client::connect(&base).await.expect("keys and region are set");
        let start = Instant::now();
        let error = client.get_records("it".into(), 1).await.expect_err("nobody is there");
        assert!(start.elapsed() < Duration::from_millis(300), "{:?}", start.elapsed());
        assert_eq!(error.kind, ErrorKind::Unreached);
        assert_eq!(
            error.to_string(),
            format!(
                "GetRecords: {free} cannot be reached: Connection refused (os error 111); check that the endpoint is up and its address is right"
            )
        );
        let error = client.list_streams().await.expect_err("nobody is there");
        assert_eq!(error.kind, ErrorKind::Unreached);
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    });
}

fn drop_peer(_: &mut Peer) {}

#[test]
fn connection_cut_before_the_answer_is_repeated_for_the_control_plane_only() {
    let server = Scripted::start(|peer| drop(peer.request()));
    run(async {
        let client = connect(&server).await;
        let error = client.get_records("it".into(), 1).await.expect_err("no answer");
        assert_eq!((error.kind, server.connections()), (ErrorKind::Connection, 1));
        let error = client.list_streams().await.expect_err("no answer");
        assert_eq!((error.kind, server.connections()), (ErrorKind::Connection, 4));
    });
}

#[test]
fn stream_is_not_created_or_deleted_a_second_time_when_the_answer_is_lost() {
    let server = Scripted::start(|peer| drop(peer.request()));
    run(async {
        let client = connect(&server).await;
        let error = client.create_stream("Tweets", 1).await.expect_err("no answer");
        assert_eq!((error.kind, server.connections()), (ErrorKind::Connection, 1));
        let error = client.delete_stream("Tweets").await.expect_err("no answer");
        assert_eq!((error.kind, server.connections()), (ErrorKind::Connection, 2));
    });
}

/// Statuses and bodies of servers that are not Kinesis.
const STRANGERS: [(u16, &str); 4] = [(404, "<html>"), (401, ""), (308, ""), (200, "<html>")];

#[test]
fn stranger_at_the_endpoint_is_named() {
    for (status, body) in STRANGERS {
        let (server, requests) = service(move |_, _, _| (status, body.into()));
        run(async {
            let error = connect(&server).await.describe("Tweets").await.expect_err("it is none");
            assert_eq!((error.kind, requests.load(Ordering::SeqCst)), (ErrorKind::Other, 1), "{error}");
            let start = format!("{} does not answer like Kinesis (", server.address);
            assert!(error.message.starts_with(&start), "{error}");
            assert!(error.message.ends_with("; check that the address is that of a Kinesis endpoint"), "{error}");
            assert_eq!(error.message.contains(&format!("(HTTP {status})")), status != 200, "{error}");
        });
    }
}

#[test]
fn job_does_not_wait_for_a_stranger_to_become_kinesis() {
    let servers = STRANGERS.map(|(status, body)| service(move |_, _, _| (status, body.into())));
    run(async {
        let starts = servers.iter().map(|(server, _)| async {
            let mut control = crate::source("Tweets").service(settings(server)).control();
            let prepared = facade::sleep(Duration::from_secs(30));
            let late = async {
                prepared.await;
                None
            };
            let error = futures_lite::future::or(async { Some(control.prepare().await) }, late).await;
            let error = error.expect("it gives up").expect_err("it is none");
            assert_eq!(error.kind, weir_runtime::error::Kind::Service);
            assert!(error.message.contains("does not answer like Kinesis"), "{error}");
        });
        join_all(starts).await;
    });
}

#[test]
fn address_that_cannot_be_called_ends_a_start_at_once_wherever_it_was_said() {
    const NAME: &str = "address_that_cannot_be_called_ends_a_start_at_once_wherever_it_was_said";
    if !is_inner() {
        for (variable, url) in [("AWS_ENDPOINT_URL", "127.0.0.1:4567"), ("AWS_ENDPOINT_URL_KINESIS", "localhost:4567")]
        {
            rerun(NAME, &[(variable, url), ("AWS_REGION", "us-east-1")]);
        }
        return;
    }
    run(async {
        let base = ServiceSettings {
            access_key_id: Some("a".into()),
            secret_access_key: Some("b".into()),
            ..ServiceSettings::default()
        };
        let source = crate::source("Tweets").service(base.clone());
        let error = source.control().prepare().await.expect_err("it cannot be called");
        assert_eq!(error.kind, weir_runtime::error::Kind::Settings);
        assert!(error.message.contains(":4567\", which is no address to call"), "{error}");
        let error = source.endpoint("localhost:1").control().prepare().await.expect_err("it cannot be called");
        assert!(error.message.contains("the endpoint is \"localhost:1\""), "{error}");
    });
}

#[test]
fn endpoint_of_a_profile_is_used_if_it_can_be_called_and_refused_if_not() {
    const NAME: &str = "endpoint_of_a_profile_is_used_if_it_can_be_called_and_refused_if_not";
    if !is_inner() {
        let (server, requests) = service(|_, _, _| (200, EMPTY_PAGE.into()));
        let file = std::env::temp_dir().join(format!("weir-endpoints-{}", std::process::id()));
        let keys = "region = eu-west-1\naws_access_key_id = AKID\naws_secret_access_key = s";
        let bad = "endpoint_url = 127.0.0.1:4567";
        let text = format!(
            "[default]\n{bad}\n{keys}\n[profile good]\nendpoint_url = {}\n{keys}\n[profile bad]\n{bad}\n{keys}\n",
            server.url("")
        );
        std::fs::write(&file, text).expect("there is room");
        rerun(NAME, &[("AWS_CONFIG_FILE", file.to_str().expect("a plain path"))]);
        std::fs::remove_file(&file).expect("it is ours");
        assert_eq!(requests.load(Ordering::SeqCst), 1);
        return;
    }
    run(async {
        let profile =
            |name: Option<&str>| ServiceSettings { profile: name.map(Into::into), ..ServiceSettings::default() };
        let client = Client::connect(&profile(Some("good"))).await.expect("all is there");
        client.get_records("it".into(), 1).await.expect("a page");
        for (name, said) in [(None, "default"), (Some("bad"), "bad")] {
            let error = Client::connect(&profile(name)).await.map(drop).expect_err("it cannot be called");
            assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Region, "BadEndpoint"));
            let start = format!("endpoint_url of the profile {said} is \"127.0.0.1:4567\"");
            assert!(error.message.starts_with(&start), "{error}");
        }
    });
}

#[test]
fn dropped_call_closes_its_connection_and_does_not_disturb_the_next() {
    let (sender, closed) = std::sync::mpsc::channel();
    let server = Scripted::start(move |peer| {
        if peer.index == 0 {
            drop(peer.request());
            // Ends only when the client closes.
            sender.send(peer.request().is_none()).expect("the test waits");
            return;
        }
        while peer.request().is_some() {
            respond(peer, 200, EMPTY_PAGE);
        }
    });
    run(async {
        let client = connect(&server).await;
        let call = facade::spawn(client.get_records("it".into(), 1));
        facade::sleep(Duration::from_millis(50)).await;
        assert!(call.cancel().await.is_none());
        assert!(client.get_records("it".into(), 1).await.is_ok());
        assert_eq!(server.connections(), 2);
        let closed = facade::spawn_blocking(move || closed.recv_timeout(Duration::from_secs(2))).await;
        assert_eq!(closed, Ok(true), "the connection was left open");
    });
}

#[test]
fn client_that_has_used_up_its_repetitions_takes_none_from_another() {
    let answer = |_: usize, _: &str, _: &str| (503, String::new());
    let ((ill, _), (other, requests)) = (service(answer), service(answer));
    run(async {
        let (ill, other) = (connect(&ill).await, connect(&other).await);
        // A bucket has 500 tokens, a repetition costs 5 or more: fewer than 100 repetitions in all.
        join_all((0..60).map(|_| ill.list_streams())).await;
        other.list_streams().await.expect_err("it always fails");
        assert_eq!(requests.load(Ordering::SeqCst), 3, "the other's first call was not repeated twice");
    });
}

#[test]
fn parallel_calls_share_a_pool() {
    let (server, requests) = service(|_, _, _| {
        std::thread::sleep(Duration::from_millis(20));
        (200, EMPTY_PAGE.into())
    });
    run(async {
        let client = connect(&server).await;
        for _ in 0..3 {
            let answers = join_all((0..8).map(|_| client.get_records("it".into(), 1))).await;
            assert!(answers.iter().all(Result::is_ok));
        }
        assert_eq!((requests.load(Ordering::SeqCst), server.connections()), (24, 8));
    });
}

#[test]
fn client_is_shared_on_an_executor_and_made_anew_on_the_next() {
    let (server, _) = service(|_, _, _| (200, EMPTY_PAGE.into()));
    let kept = run(async {
        let (one, two) = (connect(&server).await, connect(&server).await);
        assert!(Rc::ptr_eq(&one.0, &two.0));
        one.get_records("it".into(), 1).await.expect("a page");
        one
    });
    run(async {
        let client = connect(&server).await;
        assert!(!Rc::ptr_eq(&kept.0, &client.0));
        client.get_records("it".into(), 1).await.expect("a page");
        // Even one that should not be here finds connections of this executor.
        kept.get_records("it".into(), 1).await.expect("a page");
    });
}

#[test]
fn secrets_are_in_no_debug_output() {
    let (server, _) = service(|_, _, _| (400, refusal("InvalidSignatureException", "no")));
    run(async {
        let client = connect(&server).await;
        let error = client.get_records("it".into(), 1).await.expect_err("refused");
        assert_eq!(error.kind, ErrorKind::Credentials);
        for text in [
            format!("{client:?}"),
            format!("{client:#?}"),
            format!("{error:?} {error}"),
            format!("{:?}", settings(&server)),
        ] {
            assert!(!text.contains(SECRET), "{text}");
        }
    });
}

#[test]
fn request_that_a_service_says_over_again_is_not_passed_on() {
    const TOKEN: &str = "FwoGZXIvYXdzE-session";
    // As AWS does it when a signature does not match: the request, its token included, behind an empty line.
    let server = Scripted::start(|peer| {
        while let Some((head, _)) = peer.request() {
            assert!(head.contains(TOKEN), "it is sent: {head}");
            let head = head.replace('"', "'").replace("\r\n", "\\n");
            let said =
                format!("The signature does not match. Check your key.\\n\\nThe Canonical String was\\n'{head}'");
            respond(peer, 400, &refusal("InvalidSignatureException", &said));
        }
    });
    run(async {
        let base = ServiceSettings { session_token: Some(TOKEN.into()), ..settings(&server) };
        let client = Client::connect(&base).await.expect("keys and region are set");
        for error in [client.get_records("it".into(), 1).await.map(drop), client.list_streams().await.map(drop)] {
            let error = error.expect_err("refused");
            assert_eq!(error.kind, ErrorKind::Credentials);
            let text = format!("{error:?} {error}");
            assert!(text.contains("Check your key (InvalidSignatureException)"), "{text}");
            assert!(!text.contains(TOKEN) && !text.contains("Canonical"), "{text}");
        }
    });
}

fn rerun(test: &str, variables: &[(&str, &str)]) {
    rerun_in("tests", test, variables);
}

/// What the environment says is a process's affair: runs the named test alone, with only these variables.
pub(super) fn rerun_in(module: &str, test: &str, variables: &[(&str, &str)]) {
    let output = Command::new(std::env::current_exe().expect("a test has a path"))
        .args(["--exact", &format!("client::{module}::{test}"), "--nocapture"])
        .env_clear()
        .env("HOME", "/nonexistent")
        .env("WEIR_TEST_INNER", "1")
        .envs(variables.iter().copied())
        .output()
        .expect("it starts");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

pub(super) fn is_inner() -> bool {
    std::env::var_os("WEIR_TEST_INNER").is_some()
}

#[test]
fn missing_credentials_and_region_are_said_at_once_for_a_local_endpoint() {
    if !is_inner() {
        // The instance's credentials must not be asked for: this address would hang.
        let hanging = Scripted::start(|peer| while peer.request().is_some() {});
        return rerun(
            "missing_credentials_and_region_are_said_at_once_for_a_local_endpoint",
            &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &hanging.url("/"))],
        );
    }
    run(async {
        let start = Instant::now();
        let endpoint =
            ServiceSettings { endpoint_url: Some("http://127.0.0.1:1".into()), ..ServiceSettings::default() };
        let error = Client::connect(&endpoint).await.map(drop).expect_err("no region");
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Region, "NoRegion"));
        assert!(error.message.contains("AWS_REGION"), "{error}");
        let with_region = ServiceSettings { region: Some("us-east-1".into()), ..endpoint };
        let error = Client::connect(&with_region).await.map(drop).expect_err("no credentials");
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Credentials, "NoCredentials"));
        assert!(
            error.message.contains("AWS_ACCESS_KEY_ID") && error.message.ends_with("(a local endpoint takes any keys)"),
            "{error}"
        );
        assert!(start.elapsed() < Duration::from_millis(400), "{:?}", start.elapsed());
    });
}

/// Connects without a region, and with one but without credentials: how long each took.
fn times_without_instance() -> [Duration; 2] {
    run(async {
        let start = Instant::now();
        let error = Client::connect(&ServiceSettings::default()).await.map(drop).expect_err("no region");
        assert_eq!(error.kind, ErrorKind::Region);
        let without_region = start.elapsed();
        let region = ServiceSettings { region: Some("us-east-1".into()), ..ServiceSettings::default() };
        let start = Instant::now();
        let error = Client::connect(&region).await.map(drop).expect_err("no credentials");
        assert_ne!(error.code, "NoRegion");
        [without_region, start.elapsed()]
    })
}

#[test]
fn hanging_instance_metadata_does_not_hold_up_the_answer() {
    if !is_inner() {
        let hanging = Scripted::start(|peer| while peer.request().is_some() {});
        return rerun(
            "hanging_instance_metadata_does_not_hold_up_the_answer",
            &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &hanging.url("/"))],
        );
    }
    for took in times_without_instance() {
        assert!(took > Duration::from_millis(400), "the test tests nothing: {took:?}");
        assert!(took < Duration::from_millis(900), "{took:?}");
    }
}

#[test]
fn instance_metadata_that_fail_are_asked_once() {
    if !is_inner() {
        let requests = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&requests);
        let failing = Scripted::start(move |peer| {
            while peer.request().is_some() {
                counter.fetch_add(1, Ordering::SeqCst);
                respond(peer, 503, "");
            }
        });
        rerun(
            "instance_metadata_that_fail_are_asked_once",
            &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &failing.url("/"))],
        );
        return assert_eq!(requests.load(Ordering::SeqCst), 2, "once for the region, once for credentials");
    }
    for took in times_without_instance() {
        assert!(took < Duration::from_millis(400), "{took:?}");
    }
}

#[test]
fn proxy_that_the_environment_asks_for_is_refused_and_the_remedy_said() {
    if !is_inner() {
        return rerun(
            "proxy_that_the_environment_asks_for_is_refused_and_the_remedy_said",
            &[("HTTP_PROXY", "http://user:hunter2@127.0.0.1:1"), ("HTTPS_PROXY", "http://127.0.0.1:1")],
        );
    }
    run(async {
        let near = Scripted::start(|peer| {
            while peer.request().is_some() {
                respond(peer, 200, EMPTY_PAGE);
            }
        });
        connect(&near).await.get_records("it".into(), 1).await.expect("this machine needs no proxy");
        let far = ServiceSettings { endpoint_url: Some("http://kinesis.invalid:1".into()), ..settings(&near) };
        let error = Client::connect(&far).await.expect("keys are set").list_streams().await.expect_err("a proxy");
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Region, "Proxy"));
        assert_eq!(
            error.message,
            "HTTP_PROXY is set and kinesis.invalid is not in NO_PROXY, but HTTP proxies are not supported; add the host to NO_PROXY if it can be reached directly, for example by a VPC endpoint"
        );
    });
}

/// The access key and region a request was signed with.
fn signer(head: &str) -> Option<(String, String)> {
    let credential = head.lines().find_map(|line| line.split_once("Credential="))?.1;
    let mut parts = credential.split('/');
    Some((parts.next()?.to_owned(), parts.nth(1)?.to_owned()))
}

#[test]
fn environment_and_profile_are_used_as_the_aws_command_line_does() {
    if !is_inner() {
        let signers = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&signers);
        let server = Scripted::start(move |peer| {
            while let Some((head, _)) = peer.request() {
                log.lock().expect("no panic").push(signer(&head).expect("it is signed"));
                respond(peer, 200, EMPTY_PAGE);
            }
        });
        let file = std::env::temp_dir().join(format!("weir-profile-{}", std::process::id()));
        let profile =
            "[work]\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = p\n[profile work]\nregion = eu-west-1\n";
        std::fs::write(&file, profile).expect("there is room");
        let path = file.to_str().expect("a plain path");
        rerun(
            "environment_and_profile_are_used_as_the_aws_command_line_does",
            &[
                ("AWS_ENDPOINT_URL_KINESIS", &server.url("")),
                ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
                ("AWS_ACCESS_KEY_ID", "AKIDENV"),
                ("AWS_SECRET_ACCESS_KEY", "e"),
                ("AWS_REGION", "ap-south-1"),
                ("AWS_CONFIG_FILE", path),
                ("AWS_SHARED_CREDENTIALS_FILE", path),
            ],
        );
        std::fs::remove_file(&file).expect("it is ours");
        let signers = signers.lock().expect("no panic");
        let seen: Vec<(&str, &str)> = signers.iter().map(|(key, region)| (key.as_str(), region.as_str())).collect();
        assert_eq!(seen, [("AKIDENV", "ap-south-1"), ("AKIDPROFILE", "ap-south-1"), ("AKIDGIVEN", "sa-east-1")]);
        return;
    }
    run(async {
        let given = ServiceSettings {
            region: Some("sa-east-1".into()),
            access_key_id: Some("AKIDGIVEN".into()),
            secret_access_key: Some("g".into()),
            ..ServiceSettings::default()
        };
        let profile = ServiceSettings { profile: Some("work".into()), ..ServiceSettings::default() };
        for settings in [ServiceSettings::default(), profile, given] {
            let client = Client::connect(&settings).await.expect("all is there");
            client.get_records("it".into(), 1).await.expect("a page");
        }
        let missing = ServiceSettings { profile: Some("play".into()), ..ServiceSettings::default() };
        let error = Client::connect(&missing).await.map(drop).expect_err("no such profile");
        assert_eq!(error.kind, ErrorKind::Credentials);
        assert!(error.message.contains("play"), "{error}");
    });
}
