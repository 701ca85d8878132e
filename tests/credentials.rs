//! Credentials that expire every few seconds, under the real program: had once for all cores and jobs, and renewed in time.

mod common;

use std::{
    fs,
    time::{Duration, Instant},
};

use common::{Local, example, lines_until, run, signal, start, wait, weir};

/// Prints credentials that live two to three seconds, and leaves a line in a file each time.
const COMMAND: &str = r#"echo asked >> TRACE; printf '{"Version":1,"AccessKeyId":"AKID","SecretAccessKey":"hunter2","Expiration":"%s"}' "$(date -u -d '+3 seconds' +%Y-%m-%dT%H:%M:%SZ)""#;

#[test]
fn credentials_that_expire_every_few_seconds_are_fetched_once_for_all_jobs_and_cores() {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let (config, trace) = (folder.path().join("config"), folder.path().join("trace"));
    let command = COMMAND.replace("TRACE", &trace.display().to_string());
    fs::write(&config, format!("[profile work]\ncredential_process = {command}\n")).expect("a file of our own");
    let local = Local::start(&["Tweets:4"]);
    let mut command = weir();
    let _ = command
        .arg("run")
        .args([example("kinesis-traffic-monitor.toml"), example("tweet-publisher.toml")])
        .args(["--endpoint-url", &local.url, "--region", "us-east-1", "--profile", "work"])
        .env("AWS_CONFIG_FILE", &config);
    let begun = Instant::now();
    let mut child = start(command);
    let stdout = child.stdout.take().expect("it is piped");
    // Ten results are five seconds, behind three of lag.
    let lines = lines_until(stdout, Duration::from_secs(40), |lines| lines.len() >= 10);
    signal(&child, "INT");
    let ended = wait(child, Duration::from_secs(15));
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let asked = fs::read_to_string(&trace).expect("the command has run").lines().count();
    // Their life is cut to whole seconds: never less than two of it, so never renewed sooner than after 1.3 s.
    let most = begun.elapsed().as_millis() / 1_300 + 1;
    assert!(asked >= 3 && asked as u128 <= most, "asked {asked} times, at most {most} expected");
    for text in lines.iter().chain([&ended.stderr]) {
        assert!(!text.contains("hunter2") && !text.contains("xpired"), "{text}");
    }
}

/// Reads the stream `S` until now, as a file with these lines says; the profile `work` has the right keys and what is
/// given here.
fn run_with(profile: &str, file: &str, flags: &[&str]) -> common::Ended {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let (config, job) = (folder.path().join("config"), folder.path().join("job.toml"));
    let keys = "aws_access_key_id = AKID\naws_secret_access_key = hunter2\n";
    fs::write(&config, format!("[profile work]\n{keys}{profile}\n")).expect("a file of our own");
    let source = format!("[source]\ntype = \"kinesis\"\nstream = \"S\"\n{file}\n[sink]\ntype = \"stdout\"\n");
    fs::write(&job, source).expect("a file of our own");
    let mut command = weir();
    let _ = command.arg("run").arg(&job).args(["--until", "now"]).args(flags).env("AWS_CONFIG_FILE", &config);
    run(command)
}

#[test]
fn what_is_typed_stands_above_the_job_file_keys_too() {
    let local = Local::start_with(&["--stream", "S:1", "--secret", "hunter2", "--access-key", "AKID"]);
    let file = "endpoint_url = \"http://127.0.0.1:9\"\nregion = \"nowhere-1\"\nprofile = \"absent\"\n\
                access_key_id = \"FILE\"\nsecret_access_key = \"wrong\"";
    let flags = ["--endpoint-url", &local.url, "--region", "us-east-1", "--profile", "work"];
    let ended = run_with("", file, &flags);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    // Without the profile typed, the file's keys are used.
    let ended = run_with("", file, &flags[..4]);
    assert_eq!(ended.code, Some(4), "{ended:#?}");
}

#[test]
fn profile_alone_says_where_the_service_is() {
    let local = Local::start_with(&["--stream", "S:1", "--secret", "hunter2", "--access-key", "AKID"]);
    let profile = format!("endpoint_url = {}\nregion = us-east-1", local.url);
    let ended = run_with(&profile, "profile = \"work\"", &[]);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
}
