//! Each provider against a stub of ours, in a process of its own, since they are chosen by the environment.

use super::super::scripted::{Peer, Scripted};
use super::super::tests::{is_inner, rerun_in, run};
use super::super::{Client, ErrorKind, IteratorPosition, ServiceError, ServiceSettings};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Heads of requests with their bodies, in order.
type Log = Arc<Mutex<Vec<(String, String)>>>;

/// Answers with what `answer` says to the request line or the form in the body.
fn stub(answer: impl Fn(&str, &str) -> (u16, String) + Send + Sync + 'static) -> (Scripted, Log) {
    let log = Log::default();
    let seen = Arc::clone(&log);
    let server = Scripted::start(move |peer: &mut Peer| {
        while let Some((head, body)) = peer.request() {
            let body = String::from_utf8(body).expect("forms are text");
            let (status, answer) = answer(head.lines().next().expect("a request line"), &body);
            seen.lock().expect("no panic").push((head, body));
            // What the instance's metadata say with their session token; nobody else minds.
            let ttl = "x-aws-ec2-metadata-token-ttl-seconds: 21600";
            peer.write(format!("HTTP/1.1 {status} Said\r\n{ttl}\r\ncontent-length: {}\r\n\r\n{answer}", answer.len()));
        }
    });
    (server, log)
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("there is room");
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("it is in the folder")).expect("there is room");
        std::fs::write(path, text).expect("there is room");
    }
    folder
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

fn outer(test: &str, variables: &[(&str, &str)]) {
    let mut all = vec![("AWS_REGION", "eu-west-1")];
    all.extend_from_slice(variables);
    rerun_in("credentials::tests", test, &all);
}

/// The access key that a client for these settings signs with.
async fn key(settings: ServiceSettings) -> Result<String, ServiceError> {
    let client = Client::connect(&settings).await?;
    let snapshot = client.0.snapshot.clone().expect("they come from the environment");
    Ok(snapshot.provide().await.expect("they were there just now").access_key_id().to_owned())
}

fn far(profile: Option<&str>) -> ServiceSettings {
    ServiceSettings { profile: profile.map(str::to_owned), ..ServiceSettings::default() }
}

fn near() -> ServiceSettings {
    ServiceSettings { endpoint_url: Some("http://127.0.0.1:1".into()), ..ServiceSettings::default() }
}

/// What the token service says to `action`.
fn role_answer(action: &str, key: &str) -> String {
    format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result><AssumedRoleUser>\
         <AssumedRoleId>AROA:s</AssumedRoleId><Arn>arn:aws:sts::1:assumed-role/r/s</Arn></AssumedRoleUser><Credentials>\
         <AccessKeyId>{key}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
         <Expiration>2999-01-02T03:04:05Z</Expiration></Credentials></{action}Result></{action}Response>"
    )
}

#[test]
fn web_identity_takes_its_role_at_the_token_service() {
    const TEST: &str = "web_identity_takes_its_role_at_the_token_service";
    if !is_inner() {
        let (sts, log) = stub(|_, _| (200, role_answer("AssumeRoleWithWebIdentity", "AKIDWEB")));
        let files = folder(&[("token", "a-web-token")]);
        let token = files.path().join("token");
        outer(
            TEST,
            &[
                ("AWS_ENDPOINT_URL_STS", &sts.url("")),
                ("AWS_WEB_IDENTITY_TOKEN_FILE", text(&token)),
                ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r"),
            ],
        );
        let log = log.lock().expect("no panic");
        assert_eq!(log.len(), 1);
        assert!(log[0].1.contains("WebIdentityToken=a-web-token") && log[0].1.contains("role%2Fr"), "{}", log[0].1);
        return;
    }
    assert_eq!(run(key(near())).as_deref(), Ok("AKIDWEB"));
}

#[test]
fn profile_takes_roles_one_by_the_other() {
    const TEST: &str = "profile_takes_roles_one_by_the_other";
    if !is_inner() {
        let (sts, log) = stub(|_, form| {
            let key = if form.contains("role%2Ffirst") { "AKIDFIRST" } else { "AKIDSECOND" };
            (200, role_answer("AssumeRole", key))
        });
        let config = "[profile work]\nrole_arn = arn:aws:iam::2:role/second\nsource_profile = middle\nexternal_id = x-1\n\
                      [profile middle]\nrole_arn = arn:aws:iam::1:role/first\nsource_profile = base\n\
                      [profile base]\naws_access_key_id = AKIDBASE\naws_secret_access_key = b\n";
        let files = folder(&[("config", config)]);
        let config = files.path().join("config");
        outer(TEST, &[("AWS_ENDPOINT_URL_STS", &sts.url("")), ("AWS_CONFIG_FILE", text(&config))]);
        let log = log.lock().expect("no panic");
        let signers = log.iter().map(|(head, _)| head.split_once("Credential=").expect("signed").1.split('/').next());
        assert_eq!(signers.collect::<Vec<_>>(), [Some("AKIDBASE"), Some("AKIDFIRST")]);
        assert!(log[1].1.contains("ExternalId=x-1"), "{}", log[1].1);
        return;
    }
    assert_eq!(run(key(far(Some("work")))).as_deref(), Ok("AKIDSECOND"));
}

#[test]
fn role_that_is_refused_says_so_and_a_token_service_that_is_not_reached_passes() {
    const TEST: &str = "role_that_is_refused_says_so_and_a_token_service_that_is_not_reached_passes";
    if !is_inner() {
        let denied = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>\
                      <Message>not authorized to perform sts:AssumeRole</Message></Error></ErrorResponse>";
        let (sts, _) = stub(move |_, _| (403, denied.into()));
        let config = "[profile work]\nrole_arn = arn:aws:iam::2:role/r\nsource_profile = base\nregion = eu-west-1\n\
                      [profile base]\naws_access_key_id = AKIDBASE\naws_secret_access_key = b\n";
        let files = folder(&[("config", config)]);
        let config = files.path().join("config");
        for (url, refused) in [(sts.url("").as_str(), "1"), ("http://127.0.0.1:1", "0")] {
            outer(
                TEST,
                &[("AWS_ENDPOINT_URL_STS", url), ("AWS_CONFIG_FILE", text(&config)), ("WEIR_TEST_REFUSED", refused)],
            );
        }
        return;
    }
    let error = run(key(far(Some("work")))).expect_err("no role");
    if std::env::var("WEIR_TEST_REFUSED").as_deref() == Ok("1") {
        assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Credentials, "CredentialsFailed"));
        assert!(error.message.contains("not authorized to perform sts:AssumeRole"), "{error}");
    } else {
        assert_eq!(error.kind, ErrorKind::Unreached);
        assert!(
            error.message.starts_with("AWS credentials cannot be loaded: 127.0.0.1:1 cannot be reached"),
            "{error}"
        );
    }
}

#[test]
fn sso_gives_credentials_for_a_token_and_names_the_login_without_one() {
    const TEST: &str = "sso_gives_credentials_for_a_token_and_names_the_login_without_one";
    if !is_inner() {
        let (sso, log) = stub(|_, _| {
            let credentials = r#"{"roleCredentials":{"accessKeyId":"AKIDSSO","secretAccessKey":"s","sessionToken":"t","expiration":32472144000000}}"#;
            (200, credentials.into())
        });
        let config = "[profile work]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = Reader\n\
                      [profile play]\nsso_session = other\nsso_account_id = 123456789012\nsso_role_name = Reader\n\
                      [sso-session corp]\nsso_region = eu-west-1\nsso_start_url = https://corp.awsapps.com/start\n\
                      [sso-session other]\nsso_region = eu-west-1\nsso_start_url = https://corp.awsapps.com/start\n";
        let token = r#"{"accessToken":"sso-token","expiresAt":"2999-01-02T03:04:05Z","region":"eu-west-1","startUrl":"https://corp.awsapps.com/start"}"#;
        // The name of the session, by SHA-1.
        let cached = ".aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json";
        let files = folder(&[(".aws/config", config), (cached, token)]);
        outer(TEST, &[("AWS_ENDPOINT_URL_SSO", &sso.url("")), ("HOME", text(files.path()))]);
        let log = log.lock().expect("no panic");
        assert_eq!(log.len(), 1);
        assert!(log[0].0.contains("role_name=Reader") && log[0].0.contains("sso-token"), "{}", log[0].0);
        return;
    }
    run(async {
        assert_eq!(key(far(Some("work"))).await.as_deref(), Ok("AKIDSSO"));
        let error = key(far(Some("play"))).await.expect_err("nobody has logged in");
        assert_eq!(error.kind, ErrorKind::Credentials);
        assert!(error.message.ends_with("; run `aws sso login` for this profile"), "{error}");
    });
}

fn container_answer(key: &str, expiration: &str) -> String {
    format!(r#"{{"AccessKeyId":"{key}","SecretAccessKey":"s","Token":"t","Expiration":"{expiration}"}}"#)
}

#[test]
fn container_is_asked_by_name_with_the_token_of_the_file() {
    const TEST: &str = "container_is_asked_by_name_with_the_token_of_the_file";
    if !is_inner() {
        let (container, log) = stub(|_, _| (200, container_answer("AKIDPOD", "2999-01-02T03:04:05Z")));
        let files = folder(&[("token", "a-pod-token")]);
        let token = files.path().join("token");
        outer(
            TEST,
            &[
                (
                    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                    &format!("http://localhost:{}/v1/credentials", container.address.port()),
                ),
                ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", text(&token)),
            ],
        );
        let log = log.lock().expect("no panic");
        assert_eq!(log.len(), 1);
        assert!(log[0].0.starts_with("GET /v1/credentials HTTP/1.1"), "{}", log[0].0);
        assert!(log[0].0.contains("authorization: a-pod-token"), "{}", log[0].0);
        return;
    }
    assert_eq!(run(key(near())).as_deref(), Ok("AKIDPOD"));
}

#[test]
fn container_elsewhere_than_here_is_refused() {
    const TEST: &str = "container_elsewhere_than_here_is_refused";
    if !is_inner() {
        return outer(TEST, &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://192.0.2.1/credentials")]);
    }
    let error = run(key(near())).expect_err("credentials must not come from afar without TLS");
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Credentials, "CredentialsFailed"));
    assert!(error.message.contains("192.0.2.1"), "{error}");
}

#[test]
fn instance_is_asked_by_a_session_token_and_also_if_only_a_profile_says_so() {
    const TEST: &str = "instance_is_asked_by_a_session_token_and_also_if_only_a_profile_says_so";
    if !is_inner() {
        let (instance, log) = stub(|line, _| match line.split(' ').nth(1).unwrap_or_default() {
            "/latest/api/token" => (200, "session".into()),
            path if path.trim_end_matches('/').ends_with("security-credentials") => (200, "the-role".into()),
            path if path.ends_with("security-credentials/the-role") => {
                let answer = container_answer("AKIDEC2", "2999-01-02T03:04:05Z");
                (
                    200,
                    answer.replacen(
                        '{',
                        r#"{"Code":"Success","Type":"AWS-HMAC","LastUpdated":"2026-01-02T03:04:05Z","#,
                        1,
                    ),
                )
            }
            _ => (404, String::new()),
        });
        let config = "[profile work]\nrole_arn = arn:aws:iam::2:role/r\ncredential_source = Ec2InstanceMetadata\n";
        let files = folder(&[("config", config)]);
        let config = files.path().join("config");
        let (sts, _) = stub(|_, _| (200, role_answer("AssumeRole", "AKIDROLE")));
        outer(
            TEST,
            &[
                ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &instance.url("/")),
                ("AWS_CONFIG_FILE", text(&config)),
                ("AWS_ENDPOINT_URL_STS", &sts.url("")),
            ],
        );
        let log = log.lock().expect("no panic");
        let first = &log[0].0;
        assert!(
            first.starts_with("PUT /latest/api/token") && first.contains("x-aws-ec2-metadata-token-ttl"),
            "{first}"
        );
        assert!(log[1].0.contains("x-aws-ec2-metadata-token: session"), "{}", log[1].0);
        return;
    }
    run(async {
        assert_eq!(key(far(None)).await.as_deref(), Ok("AKIDEC2"));
        let profile = ServiceSettings { profile: Some("work".into()), ..near() };
        assert_eq!(key(profile).await.as_deref(), Ok("AKIDROLE"));
    });
}

#[test]
fn profile_runs_its_command_and_says_what_only_the_command_line_can_do() {
    const TEST: &str = "profile_runs_its_command_and_says_what_only_the_command_line_can_do";
    if !is_inner() {
        let answer = r#"{"Version":1,"AccessKeyId":"AKIDCMD","SecretAccessKey":"hunter2"}"#;
        let config = format!(
            "[profile work]\ncredential_process = printf '{answer}'\n\
             [profile bad]\ncredential_process = echo hunter2; echo 'no ticket' >&2; exit 3 # --password hunter2\n\
             [profile role]\nrole_arn = arn:aws:iam::2:role/r\nsource_profile = work\n\
             [profile login]\nlogin_session = arn:aws:iam::1:user/a\n"
        );
        let files = folder(&[("config", &config)]);
        let config = files.path().join("config");
        return outer(TEST, &[("AWS_CONFIG_FILE", text(&config))]);
    }
    run(async {
        assert_eq!(key(far(Some("work"))).await.as_deref(), Ok("AKIDCMD"));
        let error = key(far(Some("bad"))).await.expect_err("it fails");
        assert_eq!(
            error.message,
            "AWS credentials cannot be loaded: the credential_process of profile `bad` failed (exit status: 3) and said \"no ticket\"; check the profile, the role and what the environment says about credentials"
        );
        for profile in ["role", "login"] {
            let error = key(far(Some(profile))).await.expect_err("not supported");
            assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Credentials, "UnsupportedProfile"));
            let way_out =
                format!("`credential_process = aws configure export-credentials --profile {profile} --format process`");
            assert!(error.message.contains(&way_out), "{error}");
        }
    });
}

/// How long the stub's credentials live.
const LIFE: Duration = Duration::from_millis(1_000);
/// How long they are used.
const RUN: Duration = Duration::from_millis(2_400);

/// As AWS writes times; the year does not matter.
fn in_iso(since_epoch: Duration) -> String {
    let at = aws_smithy_types::DateTime::from_millis(i64::try_from(since_epoch.as_millis()).expect("not that late"));
    at.fmt(aws_smithy_types::date_time::Format::DateTime).expect("a year of four digits")
}

#[test]
fn credentials_that_expire_in_the_middle_of_a_run_are_renewed_once_for_all_executors() {
    const TEST: &str = "credentials_that_expire_in_the_middle_of_a_run_are_renewed_once_for_all_executors";
    if !is_inner() {
        let given: Arc<Mutex<Vec<Instant>>> = Arc::default();
        let gave = Arc::clone(&given);
        let (container, _) = stub(move |_, _| {
            let mut given = gave.lock().expect("no panic");
            given.push(Instant::now());
            let expiry = std::time::UNIX_EPOCH.elapsed().expect("after 1970") + LIFE;
            (200, container_answer(&format!("AKID{}", given.len() - 1), &in_iso(expiry)))
        });
        // Refuses what has expired, as the service does.
        let (served, known) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&given));
        let counter = Arc::clone(&served);
        let kinesis = Scripted::start(move |peer| {
            while let Some((head, _)) = peer.request() {
                let number = head.split_once("Credential=AKID").expect("signed").1.split('/').next();
                let number: usize = number.expect("a key").parse().expect("one of ours");
                let age = known.lock().expect("no panic")[number].elapsed();
                let (status, body) = match age < LIFE {
                    true => (200, r#"{"Records":[],"NextShardIterator":"next","MillisBehindLatest":0}"#),
                    false => (400, r#"{"__type":"ExpiredTokenException","message":"expired"}"#),
                };
                counter.fetch_add(1, Ordering::SeqCst);
                peer.write(format!("HTTP/1.1 {status} Said\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
            }
        });
        outer(
            TEST,
            &[
                ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &container.url("/credentials")),
                ("AWS_ENDPOINT_URL_KINESIS", &kinesis.url("")),
            ],
        );
        let (given, served) = (given.lock().expect("no panic").len(), served.load(Ordering::SeqCst));
        // Renewed after two thirds of their life, for three executors alike: four times. Three would be at their end only,
        // nine by each executor for itself.
        assert!((4..=6).contains(&given), "asked {given} times");
        assert!(served > 100, "served {served}");
        return;
    }
    let work = || async {
        let begun = Instant::now();
        let client = Client::connect(&ServiceSettings::default()).await.expect("credentials are there");
        while begun.elapsed() < RUN {
            client.get_records("it".into(), 1).await.expect("never with expired credentials");
            weir_runtime::facade::sleep(Duration::from_millis(20)).await;
        }
    };
    let threads: Vec<_> = (0..3).map(|_| std::thread::spawn(move || run(work()))).collect();
    threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
}

#[test]
fn credentials_that_any_call_finds_refused_are_had_anew_for_the_next() {
    const TEST: &str = "credentials_that_any_call_finds_refused_are_had_anew_for_the_next";
    if !is_inner() {
        let (container, log) = stub(|_, _| (200, container_answer("AKIDPOD", "2999-01-02T03:04:05Z")));
        outer(TEST, &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &container.url("/credentials"))]);
        return assert_eq!(log.lock().expect("no panic").len(), 6, "at the start, and after each of five calls");
    }
    let (service, _) = stub(|_, _| (400, r#"{"__type":"ExpiredTokenException","message":"old"}"#.into()));
    run(async {
        let settings = ServiceSettings { endpoint_url: Some(service.url("")), ..ServiceSettings::default() };
        let client = Client::connect(&settings).await.expect("the container has them");
        let snapshot = client.0.snapshot.clone().expect("they come from the environment");
        for call in 0..5 {
            snapshot.grow_old();
            let error = match call {
                0 => client.get_records("it".into(), 1).await.map(drop),
                1 => client.shard_iterator("s", "0", IteratorPosition::TrimHorizon).await.map(drop),
                2 => client.list_shards("s").await.map(drop),
                3 => client.describe("s").await.map(drop),
                _ => client.put_records("s", Vec::new()).await.map(drop),
            };
            assert_eq!(error.expect_err("refused").kind, ErrorKind::Credentials, "call {call}");
            // As the next request does.
            snapshot.provide().await.expect("the container has them still");
        }
    });
}
