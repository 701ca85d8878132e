//! Credentials that expire every few seconds, under the real program: had once for all cores and jobs, and renewed in time.

mod common;

use std::{
    fs,
    time::{Duration, Instant},
};

use common::{Local, example, lines_until, signal, start, wait, weir};

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
