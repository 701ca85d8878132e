//! An independent judge: boto3, pinned, drives the local endpoint through every call and looks at the answers.
//!
//! The first run makes a Python environment under the target directory. Where there is no Python or no package index
//! the test says `SKIPPED` and why; under `CI` that is a failure.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use weir_kinesis::local::{LocalEndpoint, LocalSettings};

const PACKAGES: [&str; 2] = ["boto3==1.44.5", "botocore==1.44.5"];
const JUDGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/judges/boto3_judge.py");
/// Far fewer would mean that the judge looked away.
const CHECKS_AT_LEAST: u32 = 100;

#[test]
fn boto3_finds_nothing_to_object_to() {
    let python = match environment() {
        Ok(python) => python,
        Err(reason) => {
            assert!(std::env::var_os("CI").is_none(), "the judge must be had in CI: {reason}");
            // Past the test harness, which would keep it to itself.
            let _ = writeln!(std::io::stderr(), "SKIPPED: boto3_finds_nothing_to_object_to: {reason}");
            return;
        }
    };
    let endpoint = LocalEndpoint::spawn_thread("127.0.0.1:0", LocalSettings::default()).expect("an executor runs here");
    endpoint.create_stream("judged.other", 1).expect("a new name");
    let verdict = Command::new(python)
        .arg(JUDGE)
        .arg(endpoint.url())
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
    assert!(count >= CHECKS_AT_LEAST, "{count} checks only:\n{said}");
    endpoint.stop().expect("it did not panic");
}

/// The Python of an environment with the pinned packages, made if it is not there.
fn environment() -> Result<PathBuf, String> {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("judge-boto3-1.44.5");
    let (python, made) = (home.join("bin/python"), home.join("made"));
    if made.exists() {
        return Ok(python);
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--retries", "1"];
    run(Command::new(&python).args(pip).args(PACKAGES))?;
    std::fs::write(&made, b"").map_err(|error| format!("{}: {error}", made.display()))?;
    Ok(python)
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{command:?}: {}: {said}", output.status)) }
}
