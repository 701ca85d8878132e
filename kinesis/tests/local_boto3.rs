//! Independent judges: Amazon's own Python clients, an encoder and an HTTP library that are not ours, all pinned, drive
//! the local endpoint and look at the answers.
//!
//! The first run makes a Python environment under the target directory. Where there is no Python or no package index
//! the tests say `SKIPPED` and why; under `CI` that is a failure.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use weir_kinesis::local::{Certificate, Keys, LocalEndpoint, LocalSettings, LocalThread, ModelSettings};

const PACKAGES: [&str; 7] = [
    "boto3==1.44.5",
    "botocore==1.44.5",
    "awscli==1.46.3",
    "cbor2==6.3.0",
    "aws_kinesis_agg==1.2.3",
    "protobuf==7.36.2",
    "httpx[http2]==0.28.1",
];
const JUDGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/judges");

#[test]
fn boto3_finds_nothing_to_object_to() {
    let Some(python) = python("boto3_finds_nothing_to_object_to") else { return };
    let endpoint = start(LocalSettings::default());
    endpoint.create_stream("judged.other", 1).expect("a new name");
    judge(python, "boto3_judge.py", [endpoint.url()], 100);
    endpoint.stop().expect("it did not panic");
}

#[test]
fn every_stated_constraint_is_refused_by_name() {
    let Some(python) = python("every_stated_constraint_is_refused_by_name") else { return };
    let endpoint = start(LocalSettings::default());
    endpoint.create_stream("judged.constraints", 1).expect("a new name");
    judge(python, "constraint_judge.py", [endpoint.url()], 590);
    endpoint.stop().expect("it did not panic");
}

#[test]
fn clients_wait_page_and_type_as_people_do() {
    let Some(python) = python("clients_wait_page_and_type_as_people_do") else { return };
    // With the limits that `weir local` keeps unless told otherwise: clients bear them.
    let model = ModelSettings { throughput_limits: true, ..ModelSettings::default() };
    let endpoint = start(LocalSettings { model, ..LocalSettings::default() });
    judge(python, "client_judge.py", [endpoint.url()], 25);
    endpoint.stop().expect("it did not panic");
}

#[test]
fn wire_is_spoken_in_both_encodings_and_protocols_and_broken_requests_are_refused() {
    let name = "wire_is_spoken_in_both_encodings_and_protocols_and_broken_requests_are_refused";
    let Some(python) = python(name) else { return };
    let endpoint = start(LocalSettings::default());
    endpoint.create_stream("judged.wire", 1).expect("a new name");
    judge(python, "wire_judge.py", [endpoint.url()], 120);
    endpoint.stop().expect("it did not panic");
}

#[test]
fn wire_is_spoken_through_tls_as_well() {
    let Some(python) = python("wire_is_spoken_through_tls_as_well") else { return };
    let certificate = Certificate::make("localhost").expect("a good name");
    let authority = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("judge-{}.pem", std::process::id()));
    std::fs::write(&authority, certificate.authority_pem()).expect("a file in the target directory");
    let endpoint = start(LocalSettings { certificate: Some(certificate), ..LocalSettings::default() });
    endpoint.create_stream("judged.wire", 1).expect("a new name");
    let arguments = [endpoint.url().into(), authority.clone().into_os_string()];
    judge(python, "wire_judge.py", arguments, 100);
    endpoint.stop().expect("it did not panic");
    std::fs::remove_file(authority).expect("it was written");
}

#[test]
fn botocore_s_signatures_are_taken_with_the_right_secret_only() {
    let Some(python) = python("botocore_s_signatures_are_taken_with_the_right_secret_only") else { return };
    let keys = Keys { access_key_id: Some("judge".to_owned()), secret_access_key: "judge".to_owned() };
    let endpoint = start(LocalSettings { keys: Some(keys), ..LocalSettings::default() });
    judge(python, "signature_judge.py", [endpoint.url()], 8);
    endpoint.stop().expect("it did not panic");
}

fn start(settings: LocalSettings) -> LocalThread {
    LocalEndpoint::spawn_thread("127.0.0.1:0", settings).expect("an executor runs here")
}

/// Lets one judge look, and fails unless all of its checks, `checks` at the least, hold: fewer would mean that it looked
/// away.
fn judge<I: AsRef<OsStr>>(python: &Path, script: &str, arguments: impl IntoIterator<Item = I>, checks: u32) {
    let verdict = Command::new(python)
        .arg(Path::new(JUDGES).join(script))
        .args(arguments)
        .env_remove("AWS_PROFILE")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .output()
        .expect("the environment's python runs");
    let said = String::from_utf8_lossy(&verdict.stdout);
    assert!(verdict.status.success(), "{said}\n{}", String::from_utf8_lossy(&verdict.stderr));
    let count = said.lines().last().and_then(|line| line.strip_prefix("judged: ")?.strip_suffix(" checks"));
    let count: u32 = count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("no verdict in {said}"));
    assert!(count >= checks, "{count} checks only:\n{said}");
}

/// The judges' Python, or a loud word why there is none. Made once, however many tests wait for it.
fn python(test: &str) -> Option<&'static Path> {
    static MADE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match MADE.get_or_init(environment) {
        Ok(python) => Some(python),
        Err(reason) => {
            assert!(std::env::var_os("CI").is_none(), "the judges must be had in CI: {reason}");
            // Past the test harness, which would keep it to itself.
            let _ = writeln!(std::io::stderr(), "SKIPPED: {test}: {reason}");
            None
        }
    }
}

/// The Python of an environment with the pinned packages, made if it is not there.
fn environment() -> Result<PathBuf, String> {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("judges");
    let (python, made) = (home.join("bin/python"), home.join("made"));
    let wanted = PACKAGES.join("\n");
    if std::fs::read_to_string(&made).is_ok_and(|has| has == wanted) {
        return Ok(python);
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--retries", "1"];
    run(Command::new(&python).args(pip).args(PACKAGES))?;
    std::fs::write(&made, wanted).map_err(|error| format!("{}: {error}", made.display()))?;
    Ok(python)
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{command:?}: {}: {said}", output.status)) }
}
