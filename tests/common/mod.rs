//! What tests of the real binary share: starting it in a clean environment and reading what it says.

#![allow(dead_code, reason = "each test file uses its part")]

pub mod counted;
pub mod http;

use std::{
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// How long a command may take that should end by itself.
const PATIENCE: Duration = Duration::from_secs(60);

/// The binary, with nothing of the tester's own AWS settings; add flags and variables.
pub fn weir() -> Command {
    clean(Command::new(env!("CARGO_BIN_EXE_weir")))
}

/// Takes the tester's AWS settings, proxies and home out of a command's environment.
pub fn clean(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy().to_ascii_uppercase();
        if text.starts_with("AWS_") || text.ends_with("_PROXY") {
            let _ = command.env_remove(&name);
        }
    }
    let _ = command.env("HOME", "/nonexistent").env_remove("WEIR_LOG").stdin(Stdio::null());
    command
}

/// The binary with a region and keys that a local endpoint takes.
pub fn weir_at(endpoint: &str) -> Command {
    let mut command = weir();
    let _ = command
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "local")
        .env("AWS_SECRET_ACCESS_KEY", "local");
    command
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a command to its end; one that does not end by itself in a minute fails the test.
pub fn run(command: Command) -> Ended {
    wait(start(command), PATIENCE)
}

/// Starts a command whose output is kept.
pub fn start(mut command: Command) -> Child {
    let _ = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Waits for a started command and reads what it said.
pub fn wait(mut child: Child, patience: Duration) -> Ended {
    let read = |pipe: Option<Box<dyn std::io::Read + Send>>| {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(mut pipe) = pipe {
                let _ = pipe.read_to_end(&mut bytes);
            }
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let stdout = read(child.stdout.take().map(|pipe| Box::new(pipe) as _));
    let stderr = read(child.stderr.take().map(|pipe| Box::new(pipe) as _));
    let deadline = Instant::now() + patience;
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            break Some(status);
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            break None;
        }
        thread::sleep(Duration::from_millis(10));
    };
    let ended = Ended {
        code: status.and_then(|status| status.code()),
        stdout: stdout.join().expect("reading does not panic"),
        stderr: stderr.join().expect("reading does not panic"),
    };
    assert!(status.is_some(), "did not end in {patience:?}: {ended:#?}");
    ended
}

/// Sends a signal by its name, `INT`.
pub fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status();
    assert!(sent.is_ok_and(|status| status.success()), "kill -{name}");
}

/// The sentence with which a command refused: its last line on standard error, without `weir: `. Fails the test when
/// the exit code differs, when there is panic text, or when it is not one sentence.
pub fn refusal(ended: &Ended, code: i32) -> String {
    assert_eq!(ended.code, Some(code), "{ended:#?}");
    for sign in ["panicked", "RUST_BACKTRACE", "stack backtrace"] {
        assert!(!ended.stderr.contains(sign) && !ended.stdout.contains(sign), "{ended:#?}");
    }
    // What is retried is said while it is; what is said last is why it ended.
    let lines: Vec<_> = ended.stderr.lines().filter(|line| !line.starts_with("weir: warning: ")).collect();
    assert_eq!(lines.len(), 1, "one sentence: {ended:#?}");
    lines[0].strip_prefix("weir: ").unwrap_or_else(|| panic!("no sentence of ours: {ended:#?}")).to_owned()
}

/// A running `weir local`, ended when dropped.
pub struct Local {
    child: Child,
    pub url: String,
    _stdout: BufReader<ChildStdout>,
}

impl Local {
    /// Starts it on a free port with the streams given as `NAME:SHARDS`.
    pub fn start(streams: &[&str]) -> Local {
        let flags: Vec<_> = streams.iter().flat_map(|stream| ["--stream", stream]).collect();
        Local::start_with(&flags)
    }

    /// Starts it on a free port with these flags.
    pub fn start_with(flags: &[&str]) -> Local {
        let mut command = weir();
        let _ = command.args(["local", "--listen", "127.0.0.1:0"]).stderr(Stdio::null()).stdout(Stdio::piped());
        let _ = command.args(flags);
        let mut child = command.spawn().expect("weir local starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        let _ = stdout.read_line(&mut line).expect("it says where it listens");
        let url = line.trim_end().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line:?}")).to_owned();
        Local { child, url, _stdout: stdout }
    }

    /// `HOST:PORT`.
    pub fn address(&self) -> &str {
        self.url.strip_prefix("http://").expect("plain HTTP")
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port of loopback on which nobody listens.
pub fn free_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("it is bound")
}

/// An example's path.
pub fn example(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

/// Reads lines of a child's standard output until `enough` says so, or fails the test after `patience`.
pub fn lines_until(stdout: ChildStdout, patience: Duration, enough: impl FnMut(&[String]) -> bool) -> Vec<String> {
    let mut lines = Lines::of(stdout);
    lines.until(patience, enough);
    lines.seen
}

/// The lines of a child's standard output, as they come.
pub struct Lines {
    receiver: mpsc::Receiver<String>,
    pub seen: Vec<String>,
}

impl Lines {
    pub fn of(stdout: ChildStdout) -> Lines {
        let (sender, receiver) = mpsc::channel();
        let _ = thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Lines { receiver, seen: Vec::new() }
    }

    /// Reads on until `enough` says so, or fails the test after `patience`.
    pub fn until(&mut self, patience: Duration, mut enough: impl FnMut(&[String]) -> bool) {
        let deadline = Instant::now() + patience;
        while !enough(&self.seen) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.receiver.recv_timeout(left) {
                Ok(line) => self.seen.push(line),
                Err(problem) => panic!("{problem} after {:#?}", self.seen),
            }
        }
    }

    /// All lines, when the child has ended.
    pub fn rest(mut self) -> Vec<String> {
        self.seen.extend(self.receiver);
        self.seen
    }
}

/// A publisher that was stopped: how many records it knows to be in the stream, and how many more it may have put there
/// and cannot say, because they had no answer in the 2 s that a stop takes. None on a machine that is not overloaded.
#[derive(Debug)]
pub struct Published {
    pub written: u64,
    pub unwritten: u64,
    /// Sent again without an answer: so many may be there twice.
    pub repeated: u64,
}

impl Published {
    /// Of a job that was run with `--output json` and interrupted.
    #[track_caller]
    pub fn of(ended: &Ended) -> Published {
        let summary = ended.stdout.lines().last().unwrap_or_else(|| panic!("no summary: {ended:#?}"));
        let summary: serde_json::Value = serde_json::from_str(summary).expect("JSON");
        let job = &summary["jobs"][0];
        let losses = job["losses"].as_array().expect("a list");
        let lost = |reason: &str| {
            let of_reason = losses.iter().filter(|loss| loss["reason"] == reason);
            of_reason.map(|loss| loss["records"].as_u64().expect("a number")).sum()
        };
        let published = Published {
            written: job["written"].as_u64().expect("a number"),
            unwritten: lost("unwritten"),
            repeated: lost("repeated"),
        };
        assert_eq!(ended.code, Some(if published.unwritten == 0 { 0 } else { 4 }), "{ended:#?}");
        assert!(losses.iter().all(|loss| loss["reason"] == "unwritten" || loss["reason"] == "repeated"), "{summary}");
        published
    }

    /// Whether a stream that holds so many different records is what it says.
    pub fn fits(&self, different: u64) -> bool {
        (self.written..=self.written + self.unwritten).contains(&different)
    }
}

/// Skips a test loudly; under CI a skipped test is a failed one.
pub fn skip(reason: &str) {
    assert!(std::env::var_os("CI").is_none(), "may not be skipped under CI: {reason}");
    eprintln!("SKIPPED: {reason}");
}
