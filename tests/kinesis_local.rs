//! An independent judge: both job files against kinesis-local (npm), which others wrote from the service's reference.
//!
//! It is installed at a pinned version under Cargo's folder for tests and kept there. It has a port of its own choice
//! only for its health; both ports are given, and since it listens on every interface a preloaded script holds it to
//! loopback.

mod common;

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use common::{Lines, Published, clean, example, free_port, run, signal, skip, start, wait, weir_at};
use serde_json::{Value, json};

const VERSION: &str = "0.6.2";
/// Forces every listener of the process to loopback.
const LOOPBACK: &str = "\
const { Server } = require('net');
const listen = Server.prototype.listen;
Server.prototype.listen = function (...given) {
  const done = given.find((part) => typeof part === 'function');
  const options = typeof given[0] === 'object' && given[0] !== null ? { ...given[0] } : { port: Number(given[0]) };
  options.host = '127.0.0.1';
  return done ? listen.call(this, options, done) : listen.call(this, options);
};
";

/// A running kinesis-local, ended when dropped.
struct Judge {
    child: Child,
    url: String,
}

impl Drop for Judge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Why there is no judge.
type Missing = String;

fn installed() -> Result<PathBuf, Missing> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("kinesis-local-{VERSION}"));
    let package = folder.join("node_modules/kinesis-local");
    if !package.join("main.js").exists() {
        fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let mut npm = Command::new("npm");
        let _ = npm
            .args(["install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"])
            .arg(&folder)
            .arg(format!("kinesis-local@{VERSION}"))
            .stdin(Stdio::null());
        let done = npm.output().map_err(|error| format!("npm is not there: {error}"))?;
        if !done.status.success() {
            return Err(format!("npm cannot install it: {}", String::from_utf8_lossy(&done.stderr)));
        }
    }
    fs::write(folder.join("loopback.js"), LOOPBACK).map_err(|error| error.to_string())?;
    Ok(package)
}

fn judge() -> Result<Judge, Missing> {
    let package = installed()?;
    let (plain, tls) = (free_port(), free_port());
    let mut node = clean(Command::new("node"));
    let _ = node
        .arg("--require")
        .arg(package.join("../../loopback.js"))
        .arg(package.join("main.js"))
        .env("KINESIS_MOCK_PLAIN_PORT", plain.port().to_string())
        .env("KINESIS_MOCK_TLS_PORT", tls.port().to_string())
        .env("KINESIS_MOCK_CERT_PATH", package.join("server.json"))
        .env("LOG_LEVEL", "ERROR")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let child = node.spawn().map_err(|error| format!("node is not there: {error}"))?;
    let mut judge = Judge { child, url: format!("http://{plain}") };
    until_it_listens(&mut judge.child, plain)?;
    Ok(judge)
}

fn until_it_listens(child: &mut Child, at: SocketAddr) -> Result<(), Missing> {
    let deadline = Instant::now() + Duration::from_secs(60);
    while TcpStream::connect_timeout(&at, Duration::from_secs(1)).is_err() {
        if let Ok(Some(status)) = child.try_wait() {
            return Err(format!("kinesis-local ended at once: {status}"));
        }
        if Instant::now() > deadline {
            return Err("kinesis-local does not listen after a minute".to_owned());
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

#[test]
fn both_job_files_against_kinesis_local_lose_nothing() {
    count_while(|_| thread::sleep(Duration::from_secs(5)));
}

#[test]
fn both_job_files_lose_nothing_while_kinesis_local_splits_and_merges() {
    count_while(|url| {
        let id = |number: u8| format!("shardId-{number:012}");
        thread::sleep(Duration::from_secs(2));
        // Its transitions take half a second each, and the jobs read and write meanwhile.
        let halves = format!("into {} and {}", id(2), id(3));
        assert!(stream(url, &["split", "Tweets", "0"]).trim_end().ends_with(&halves));
        thread::sleep(Duration::from_secs(2));
        let merged = stream(url, &["merge", "Tweets", &id(3), &id(1)]);
        assert!(merged.trim_end().ends_with(&format!("into {}", id(4))), "{merged}");
        // A child of a merge again, before its own parents may have been read to their ends.
        let quarters = stream(url, &["split", "Tweets", &id(4)]);
        assert!(quarters.trim_end().ends_with(&format!("into {} and {}", id(5), id(6))), "{quarters}");
        thread::sleep(Duration::from_secs(3));
    });
}

/// What `weir stream` prints.
fn stream(url: &str, arguments: &[&str]) -> String {
    let mut command = weir_at(url);
    let _ = command.arg("stream").args(arguments);
    let ended = run(command);
    assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:#?}");
    ended.stdout
}

/// Publishes and counts while `meanwhile` does something with the stream at the judge; what is counted must be what the
/// judge holds, and nothing late or lost.
fn count_while(meanwhile: impl FnOnce(&str)) {
    let judge = match judge() {
        Ok(judge) => judge,
        Err(missing) => return skip(&missing),
    };
    assert_eq!(stream(&judge.url, &["create", "Tweets", "--shards", "2"]), "created Tweets with 2 shard(s)\n");

    let mut command = weir_at(&judge.url);
    let _ = command.arg("run").arg(example("kinesis-traffic-monitor.toml")).args(["--output", "json", "--cores", "1"]);
    let mut monitor = start(command);
    let mut lines = Lines::of(monitor.stdout.take().expect("it is piped"));
    // The monitor reads what arrives after it has started; kinesis-local answers slowly.
    thread::sleep(Duration::from_secs(3));
    let mut command = weir_at(&judge.url);
    let _ = command.arg("run").arg(example("tweet-publisher.toml")).args(["--output", "json", "--cores", "1"]);
    let publisher = start(command);
    meanwhile(&judge.url);
    signal(&publisher, "INT");
    let published = Published::of(&wait(publisher, Duration::from_secs(20)));
    assert!(published.written > 0 && published.repeated == 0, "{published:?}");
    if published.unwritten > 0 {
        // What has not been answered may still arrive.
        thread::sleep(Duration::from_secs(3));
    }

    // As the judge holds them, and not as we believe to have written them.
    let held = stream(&judge.url, &["get", "Tweets", "--output", "json", "--limit", "10000"]).lines().count() as u64;
    assert!(published.fits(held), "{held} are there of {published:?}");

    // Each record is in two windows of a second that begin half a second apart.
    let count = |line: &String| {
        let count = line.strip_prefix("At ")?.split_once("Kinesis got ")?.1.strip_suffix(" tweets per second")?;
        count.replace(',', "").parse::<u64>().ok()
    };
    let sum = |lines: &[String]| lines.iter().filter_map(count).sum::<u64>();
    lines.until(Duration::from_secs(30), |lines| sum(lines) >= 2 * held);
    assert_eq!(sum(&lines.seen), 2 * held, "{:#?}", lines.seen);
    signal(&monitor, "INT");
    let ended = wait(monitor, Duration::from_secs(10));
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let lines = lines.rest();
    assert_eq!(sum(&lines), 2 * held, "{lines:#?}");
    let counted = summary(lines.last().map(String::as_str));
    assert_eq!((&counted["records"], &counted["late"]), (&json!(held), &json!(0)), "{counted} {}", ended.stderr);
    assert_eq!(counted["losses"], json!([]), "{counted} {}", ended.stderr);
}

/// The job's part of a summary, which is the last line.
fn summary(line: Option<&str>) -> Value {
    let summary: Value = serde_json::from_str(line.expect("a summary")).expect("JSON");
    summary["jobs"][0].clone()
}
