//! Bad input to the real binary: one clear sentence with its remedy, the documented exit code, and no panic.

mod common;

use std::{fs, net::TcpListener, path::Path, process::Command};

use common::{Local, clean, example, free_port, refusal, run, skip, weir, weir_at};

const MONITOR: &str = "kinesis-traffic-monitor.toml";

/// A copy of the monitor example with one text changed, and the number of the line it is in.
fn changed_monitor(folder: &Path, from: &str, to: &str) -> (String, usize) {
    let text = fs::read_to_string(example(MONITOR)).expect("the example is there");
    let line = text[..text.find(from).expect("the example has it")].lines().count().max(1);
    let at = folder.join("job.toml");
    fs::write(&at, text.replacen(from, to, 1)).expect("a file in our own folder");
    (at.display().to_string(), line + usize::from(text[..text.find(from).unwrap_or(0)].ends_with('\n')))
}

fn run_file(file: &str) -> common::Ended {
    let mut command = weir_at("http://127.0.0.1:9");
    let _ = command.args(["run", file]);
    run(command)
}

#[test]
fn unknown_key_in_a_job_file_is_named_with_file_line_and_the_right_one() {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let (file, line) = changed_monitor(folder.path(), "stream = ", "straem = ");
    let said = refusal(&run_file(&file), 2);
    let expected = format!("{file}:{line}: unknown key `straem` in [source]: did you mean `stream`? (expected one of ");
    assert!(said.starts_with(&expected), "{said}");
}

#[test]
fn bad_duration_in_a_job_file_is_named_with_file_line_and_how_to_write_one() {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let (file, line) = changed_monitor(folder.path(), "lag = \"3s\"", "lag = \"soon\"");
    let said = refusal(&run_file(&file), 2);
    let how = "write a number and a unit, ms, s, m, h or d, such as 500ms or 3s";
    assert_eq!(said, format!("{file}:{line}: key `lag` in [source]: `soon` is not a duration: {how}"));
}

#[test]
fn bad_duration_on_the_command_line_is_answered_with_how_to_write_one() {
    let mut command = weir();
    let _ = command.args(["demo", "--for", "soon"]);
    let ended = run(command);
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    assert!(ended.stderr.contains("`soon` is not a duration: write a number and a unit"), "{ended:#?}");
}

#[test]
fn job_file_that_is_not_there_is_named() {
    let said = refusal(&run_file("/nonexistent/job.toml"), 2);
    assert!(said.starts_with("cannot read the job file /nonexistent/job.toml: "), "{said}");
}

#[test]
fn missing_stream_fails_a_job_and_a_command_with_what_to_do() {
    let local = Local::start(&["Other:1"]);
    for arguments in [
        vec!["run".to_owned(), example(MONITOR).display().to_string()],
        vec!["run".to_owned(), example("tweet-publisher.toml").display().to_string()],
    ] {
        let mut command = weir_at(&local.url);
        let _ = command.args(arguments);
        let said = refusal(&run(command), 4);
        assert!(said.starts_with("job ") && said.contains("Stream Tweets"), "{said}");
        assert!(said.contains("create it with `weir stream create`"), "{said}");
    }
    let mut command = weir_at(&local.url);
    let _ = command.args(["stream", "describe", "Tweets"]);
    let said = refusal(&run(command), 4);
    assert!(said.contains("Stream Tweets") && said.contains("weir stream create"), "{said}");
}

#[test]
fn missing_credentials_are_said_with_where_to_put_them() {
    let job = example(MONITOR).display().to_string();
    for arguments in [["stream", "describe", "Tweets"].as_slice(), &["run", &job]] {
        let mut command = weir();
        let _ = command
            .args(arguments)
            .args(["--endpoint-url", "http://127.0.0.1:9", "--region", "us-east-1"])
            .env("AWS_EC2_METADATA_DISABLED", "true");
        let said = refusal(&run(command), 4);
        assert!(said.contains("no AWS credentials were found"), "{said}");
        assert!(said.contains("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"), "{said}");
    }
}

#[test]
fn missing_region_is_said_with_where_to_put_it() {
    let mut command = weir_at("http://127.0.0.1:9");
    let _ = command.args(["stream", "describe", "Tweets"]).env_remove("AWS_REGION");
    let said = refusal(&run(command), 2);
    assert!(said.contains("no AWS region is set; set --region or AWS_REGION"), "{said}");
}

#[test]
fn endpoint_that_refuses_is_named_with_what_to_check() {
    let address = free_port();
    let job = example(MONITOR).display().to_string();
    for arguments in [["stream", "describe", "Tweets"].as_slice(), &["run", &job]] {
        let mut command = weir_at(&format!("http://{address}"));
        let _ = command.args(arguments);
        let said = refusal(&run(command), 4);
        assert!(said.contains(&format!("{address} cannot be reached")), "{said}");
        assert!(said.contains("check that the endpoint is up"), "{said}");
    }
}

#[test]
fn endpoint_that_is_no_address_is_refused() {
    let mut command = weir();
    let _ = command.args(["stream", "describe", "Tweets", "--endpoint-url", "localhost:4567"]);
    let said = refusal(&run(command), 2);
    assert!(said.starts_with("--endpoint-url: \"localhost:4567\" is not an endpoint"), "{said}");
}

#[test]
fn proxy_in_the_environment_is_refused_with_the_way_past_it() {
    let job = example(MONITOR).display().to_string();
    for arguments in [["stream", "describe", "Tweets"].as_slice(), &["run", &job]] {
        let mut command = weir_at("https://kinesis.invalid");
        let _ = command.args(arguments).env("HTTPS_PROXY", "http://user:hunter2@127.0.0.1:9");
        let said = refusal(&run(command), 2);
        assert!(said.contains("HTTPS_PROXY is set and kinesis.invalid is not in NO_PROXY"), "{said}");
        assert!(said.contains("add the host to NO_PROXY") && !said.contains("hunter2"), "{said}");
    }
}

#[test]
fn https_endpoint_that_cannot_be_trusted_is_the_machines_affair() {
    let listening = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let endpoint = format!("https://{}", listening.local_addr().expect("it is bound"));
    let job = example(MONITOR).display().to_string();
    for arguments in [["stream", "describe", "Tweets"].as_slice(), &["run", &job]] {
        let mut command = weir_at(&endpoint);
        let _ = command.args(arguments).env("AWS_CA_BUNDLE", "/nonexistent/ca.pem");
        let said = refusal(&run(command), 3);
        assert!(said.contains("the certificates in /nonexistent/ca.pem cannot be read"), "{said}");
        assert!(said.contains("correct AWS_CA_BUNDLE"), "{said}");
    }
}

#[test]
fn port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let mut command = weir();
    let _ = command.args(["local", "--listen", &address]);
    let said = refusal(&run(command), 3);
    assert_eq!(said, format!("{address} is in use by another program; choose another port, or 0 for any free one"));
}

#[test]
fn core_that_may_not_be_used_is_named_with_those_that_may() {
    let mut command = weir();
    let _ = command.args(["demo", "--for", "1s", "--cores", "9999,"]);
    let said = refusal(&run(command), 3);
    assert!(said.starts_with("core 9999 may not be used by this process, only "), "{said}");
    assert!(said.contains("choose among these"), "{said}");
    let mut command = weir();
    let _ = command.args(["demo", "--for", "1s", "--cores", "all"]);
    let said = refusal(&run(command), 2);
    assert!(said.starts_with("`all` is neither a number of cores nor a list of them; write "), "{said}");
}

#[test]
fn memory_lock_limit_that_is_too_small_is_said_with_how_to_raise_it() {
    let script = format!("ulimit -l 64 && exec {} demo --for 1s", env!("CARGO_BIN_EXE_weir"));
    let mut command = clean(Command::new("bash"));
    let _ = command.args(["-c", &script]);
    let said = refusal(&run(command), 3);
    assert!(said.starts_with("only 64 KiB of memory may be locked"), "{said}");
    assert!(said.contains("`ulimit -l 8192`"), "{said}");
}

/// Loads a seccomp filter that answers io_uring's three system calls with EPERM, as container engines do, and becomes
/// the program given. x86-64 and aarch64 number them alike.
const BAR_IO_URING: &str = r#"
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
LD, JEQ, RET, ALLOW, EPERM = 0x20, 0x15, 0x06, 0x7fff0000, 0x00050001
code = [(LD, 0, 0, 0), (JEQ, 3, 0, 425), (JEQ, 2, 0, 426), (JEQ, 1, 0, 427), (RET, 0, 0, ALLOW), (RET, 0, 0, EPERM)]
filters = b"".join(struct.pack("HBBI", *line) for line in code)
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filters", ctypes.c_char_p)]
program = Program(len(code), filters)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.byref(program), 0, 0):
    print("no seccomp filter:", os.strerror(ctypes.get_errno()), file=sys.stderr)
    sys.exit(77)
os.execv(sys.argv[1], sys.argv[1:])
"#;

#[test]
fn barred_io_uring_is_said_with_how_to_allow_it() {
    for arguments in [["demo", "--for", "1s"].as_slice(), &["local", "--listen", "127.0.0.1:0"]] {
        let mut command = clean(Command::new("python3"));
        let _ = command.args(["-c", BAR_IO_URING, env!("CARGO_BIN_EXE_weir")]).args(arguments);
        // pyenv and its like look for their versions at home.
        if let Some(home) = std::env::var_os("HOME") {
            let _ = command.env("HOME", home);
        }
        let Ok(child) = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn()
        else {
            return skip("python3 is not there to bar io_uring with");
        };
        let ended = common::wait(child, std::time::Duration::from_secs(60));
        if ended.code == Some(77) {
            return skip(&ended.stderr);
        }
        let said = refusal(&ended, 3);
        assert!(said.contains("io_uring"), "{said}");
        assert!(said.contains(';'), "a remedy: {said}");
    }
}

#[test]
fn unknown_command_and_flag_are_answered_with_the_nearest() {
    let mut command = weir();
    let _ = command.arg("dmo");
    let ended = run(command);
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    assert!(ended.stderr.contains("similar subcommand exists: 'demo'"), "{ended:#?}");
}
