//! `credential_process`: a command of the user's that prints credentials.
//!
//! Ours, because the SDK's needs a tokio runtime. The command runs under `sh -c`, as the AWS command line does it, on a
//! blocking thread, never on an executor, and for a limited time. What it prints on standard output is never shown, not
//! even in part; what it prints on standard error is, cut. The command itself is not shown either: people put secrets in it.
//!
//! Format: *Sourcing credentials with an external process*, AWS SDKs and Tools Reference Guide (read November 2026).

use std::fmt;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde_json::Value;
use weir_runtime::facade;

/// Some ask a vault or a browser; none needs longer without a person.
pub(super) const LIMIT: Duration = Duration::from_secs(60);
/// Most of standard output that is read. Credentials are about 2 KiB.
const OUTPUT_BYTES_MAX: u64 = 64 << 10;
/// Most of standard error that is shown.
const ERROR_CHARS_MAX: usize = 200;
const POLL: Duration = Duration::from_millis(5);

/// The command of a profile.
#[derive(Clone)]
pub(super) struct Process {
    pub(super) profile: String,
    pub(super) command: String,
    pub(super) limit: Duration,
}

/// Why a command gave no credentials. Each reads on after "the credential_process of profile `x`".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Problem {
    #[error("cannot be started: {0}")]
    Start(String),
    #[error("did not end within {0} s and was killed")]
    TimedOut(u64),
    #[error("failed ({status}) and said \"{said}\"")]
    Failed { status: String, said: String },
    #[error("printed no credentials: {0}")]
    Output(String),
    #[error("printed credentials that expired {0}")]
    Expired(String),
}

/// Says whose command it was.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the credential_process of profile `{profile}` {problem}")]
struct ProcessError {
    profile: String,
    problem: Problem,
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("profile", &self.profile).finish_non_exhaustive()
    }
}

impl ProvideCredentials for Process {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let Process { profile, command, limit } = self.clone();
        future::ProvideCredentials::new(async move {
            let done = facade::spawn_blocking(move || {
                let output = run(&command, limit)?;
                parse(&output, super::now())
            });
            done.await.map_err(|problem| CredentialsError::provider_error(ProcessError { profile, problem }))
        })
    }
}

/// Standard output of the command. Blocks.
fn run(command: &str, limit: Duration) -> Result<Vec<u8>, Problem> {
    let started = |error: io::Error| Problem::Start(error.to_string());
    let deadline = facade::now() + limit;
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // So that all that it starts can be killed together.
        .process_group(0)
        .spawn()
        .map_err(started)?;
    // Each is read on a thread, or a command that fills one pipe would wait for us while we wait for the other.
    let output = drained(child.stdout.take()).map_err(started)?;
    let errors = drained(child.stderr.take()).map_err(started)?;
    let left = || deadline.saturating_duration_since(facade::now());
    let ended = (|| {
        let output = output.recv_timeout(left()).ok()?;
        let errors = errors.recv_timeout(left()).ok()?;
        Some((output, errors, ended_before(&mut child, deadline)?))
    })();
    let Some((output, errors, status)) = ended else {
        kill(&mut child);
        return Err(Problem::TimedOut(limit.as_secs()));
    };
    if !status.success() {
        return Err(Problem::Failed { status: status.to_string(), said: shown(&errors) });
    }
    Ok(output)
}

/// Reads to the end, keeping what may be kept.
fn drained(pipe: Option<impl Read + Send + 'static>) -> io::Result<Receiver<Vec<u8>>> {
    let mut pipe = pipe.expect("it was asked for");
    let (sender, receiver) = mpsc::sync_channel(1);
    let drain = move || {
        let mut bytes = Vec::new();
        let _ = pipe.by_ref().take(OUTPUT_BYTES_MAX).read_to_end(&mut bytes);
        let _ = io::copy(&mut pipe, &mut io::sink());
        let _ = sender.send(bytes);
    };
    std::thread::Builder::new().name("weir-process".to_owned()).spawn(drain).map(|_| receiver)
}

/// It has closed its pipes, so this does not take long.
fn ended_before(child: &mut Child, deadline: Instant) -> Option<ExitStatus> {
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if facade::now() >= deadline {
            return None;
        }
        std::thread::sleep(POLL);
    }
}

fn kill(child: &mut Child) {
    // The shell knows how to signal a group; the standard library does not.
    let group = format!("kill -s KILL -- -{}", child.id());
    let _ = Command::new("sh").args(["-c", &group]).stderr(Stdio::null()).status();
    let _ = child.kill();
    let _ = child.wait();
}

/// One line of bounded length.
fn shown(errors: &[u8]) -> String {
    let text = String::from_utf8_lossy(errors);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut cut: String = words.chars().take(ERROR_CHARS_MAX).collect();
    if cut.len() < words.len() {
        cut.push('…');
    }
    cut.escape_debug().to_string()
}

/// Never says a word of the output: a secret may stand anywhere in what is not as it should be.
fn parse(output: &[u8], now: SystemTime) -> Result<Credentials, Problem> {
    let bad = |why: &str| Problem::Output(why.to_owned());
    let value: Value = serde_json::from_slice(output).map_err(|error| {
        Problem::Output(format!("what it printed is not JSON (line {}, column {})", error.line(), error.column()))
    })?;
    let field = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    if value.get("Version").and_then(Value::as_u64) != Some(1) {
        return Err(bad("its Version is not 1"));
    }
    let id = field("AccessKeyId").ok_or_else(|| bad("there is no AccessKeyId"))?;
    let secret = field("SecretAccessKey").ok_or_else(|| bad("there is no SecretAccessKey"))?;
    let expiry = match value.get("Expiration").filter(|value| !value.is_null()) {
        None => None,
        Some(value) => {
            let text = value.as_str().unwrap_or_default();
            let at = DateTime::from_str(text, Format::DateTimeWithOffset).ok().and_then(|at| at.try_into().ok());
            let at: SystemTime = at.ok_or_else(|| bad("its Expiration is no time in ISO 8601"))?;
            if at <= now {
                return Err(Problem::Expired(text.to_owned()));
            }
            Some(at)
        }
    };
    Ok(Credentials::new(id, secret, field("SessionToken"), expiry, "CredentialProcess"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error;
    use std::time::UNIX_EPOCH;

    const GOOD: &str = r#"{"Version":1,"AccessKeyId":"AKID","SecretAccessKey":"hunter2","SessionToken":"token","Expiration":"2999-01-02T03:04:05+00:00"}"#;

    fn load(command: &str, limit_ms: u64) -> Result<Credentials, String> {
        let limit = Duration::from_millis(limit_ms);
        let process = Process { profile: "work".into(), command: command.into(), limit };
        let loaded = facade::run_here(async move { process.provide_credentials().await }).expect("an executor");
        loaded.map_err(|error| error.source().expect("a cause").to_string())
    }

    #[test]
    fn credentials_are_read_with_their_expiry() {
        let loaded = load(&format!("echo '{GOOD}'; echo chatter >&2"), 10_000).expect("good ones");
        assert_eq!(
            (loaded.access_key_id(), loaded.secret_access_key(), loaded.session_token()),
            ("AKID", "hunter2", Some("token"))
        );
        assert!(loaded.expiry().expect("it has one") > SystemTime::now() + Duration::from_secs(1 << 30));
        let bare = r#"{"Version":1,"AccessKeyId":"AKID","SecretAccessKey":"hunter2","Expiration":null}"#;
        assert_eq!(parse(bare.as_bytes(), UNIX_EPOCH).expect("good ones").expiry(), None);
    }

    #[test]
    fn output_that_holds_no_credentials_is_said_without_a_word_of_it() {
        let problem = |output: &str| parse(output.as_bytes(), UNIX_EPOCH + Duration::from_secs(1)).expect_err("bad");
        for (output, said) in [
            ("hunter2", "what it printed is not JSON (line 1, column 1)"),
            (r#"{"Version":"hunter2"}"#, "its Version is not 1"),
            (r#"{"Version":2,"AccessKeyId":"a","SecretAccessKey":"hunter2"}"#, "its Version is not 1"),
            (r#"{"Version":1,"SecretAccessKey":"hunter2"}"#, "there is no AccessKeyId"),
            (r#"{"Version":1,"AccessKeyId":"a"}"#, "there is no SecretAccessKey"),
            (
                r#"{"Version":1,"AccessKeyId":"a","SecretAccessKey":"b","Expiration":"hunter2"}"#,
                "its Expiration is no time in ISO 8601",
            ),
        ] {
            assert_eq!(problem(output).to_string(), format!("printed no credentials: {said}"));
        }
        let old = r#"{"Version":1,"AccessKeyId":"a","SecretAccessKey":"b","Expiration":"1970-01-01T00:00:01Z"}"#;
        assert_eq!(problem(old), Problem::Expired("1970-01-01T00:00:01Z".into()));
    }

    #[test]
    fn failed_command_is_said_with_the_beginning_of_its_errors() {
        let error = load(&format!("echo '{GOOD}'; echo 'no\n  ticket' >&2; exit 3"), 10_000).expect_err("it failed");
        assert_eq!(error, "the credential_process of profile `work` failed (exit status: 3) and said \"no ticket\"");
        let long = load("head -c 1000000 /dev/zero | tr '\\0' x >&2; exit 1", 10_000).expect_err("it failed");
        assert!(long.len() < 320 && long.ends_with("x…\""), "{long}");
        let missing = load("/nonexistent/command", 10_000).expect_err("there is none");
        assert!(missing.contains("exit status: 127"), "{missing}");
    }

    #[test]
    fn command_that_does_not_end_is_killed_with_all_it_started() {
        let folder = tempfile::tempdir().expect("there is room");
        let trace = folder.path().join("trace");
        let begun = Instant::now();
        let error = load(&format!("(sleep 0.6; touch {}) & sleep 30", trace.display()), 100).expect_err("too slow");
        assert_eq!(error, "the credential_process of profile `work` did not end within 0 s and was killed");
        assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
        std::thread::sleep(Duration::from_millis(800));
        assert!(!trace.exists(), "what it started lives on");
    }

    #[test]
    fn executor_goes_on_while_the_command_runs() {
        let limit = LIMIT;
        let process = Process { profile: "work".into(), command: format!("sleep 0.3; echo '{GOOD}'"), limit };
        let turns = facade::run_here(async move {
            let loading = facade::spawn(async move { process.provide_credentials().await.map(drop) });
            let mut turns = 0;
            let ticking = async {
                loop {
                    facade::sleep(Duration::from_millis(5)).await;
                    turns += 1;
                }
            };
            futures_lite::future::or(async { loading.await.expect("good ones") }, ticking).await;
            turns
        });
        assert!(turns.expect("an executor") >= 10);
    }

    #[test]
    fn command_is_not_shown() {
        let process = Process { profile: "work".into(), command: "get --password hunter2".into(), limit: LIMIT };
        assert_eq!(format!("{process:?}"), "Process { profile: \"work\", .. }");
    }
}
