//! Records that will not be written, in a file and in a stream.

use std::fs;
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;
use weir_runtime::error::Kind;
use weir_runtime::facade;
use weir_runtime::sink::{Sink, SinkWriter};

use super::tests::{Made, open, pairs};
use super::{DeadLetters, letters, sink};
use crate::client::ErrorKind;

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn records_that_can_never_be_written_are_lines_of_the_file_and_the_others_in_the_stream() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dead.jsonl");
    fs::write(&path, "{\"older\":1}\n").unwrap();
    facade::run_here(async {
        let made = Rc::new(Made::default());
        made.guilty.borrow_mut().push("bad");
        let settings =
            sink("Tweets").dead_letters(DeadLetters::File(path.clone())).hash_key(|key, _| (key == "2").then_some(5));
        let (mut writer, cx, failures) = open(&settings, &made);
        writer.write(&mut pairs(&[("1", "a"), ("", "nobody's"), ("2", "bad"), ("3", "c"), ("2", "d")]));
        SinkWriter::<(&str, &str)>::flush(&mut writer).await.unwrap();
        made.taken.borrow_mut().sort_unstable();
        assert_eq!(*made.taken.borrow(), ["a", "c", "d"]);
        assert!(failures.borrow().is_empty());
        let counters = (cx.counters.written.get(), cx.counters.unwritable.get(), cx.counters.diverted.get());
        assert_eq!(counters, (3, 0, 2));
    })
    .unwrap();
    let letters = lines(&fs::read_to_string(&path).unwrap());
    assert_eq!(letters.len(), 3);
    let (empty, bad) = (&letters[1], &letters[2]);
    let text = |letter: &Value, name: &str| letter[name].as_str().unwrap_or("none").to_owned();
    assert_eq!(text(empty, "stream"), "Tweets");
    assert_eq!(text(empty, "data"), "bm9ib2R5J3M=");
    assert_eq!(text(empty, "explicit_hash_key"), "none");
    assert_eq!(text(empty, "reason"), "record of 8 bytes has an empty partition key");
    assert_eq!((&empty["attempts"], &empty["bytes"]), (&Value::from(0), &Value::from(8)));
    assert_eq!((text(bad, "partition_key"), text(bad, "explicit_hash_key")), ("2".to_owned(), "5".to_owned()));
    assert_eq!((text(bad, "reason"), &bad["bytes"]), ("PutRecords: not of our taste".to_owned(), &Value::from(4)));
    assert!(bad["attempts"].as_u64() >= Some(2), "{bad}");
    assert!(bad["first_ms"].as_i64() <= bad["last_ms"].as_i64() && bad["first_ms"].as_i64() > Some(1_700_000_000_000));
}

#[test]
fn dead_letters_may_go_to_another_stream() {
    facade::run_here(async {
        let made = Rc::new(Made::default());
        made.failures.borrow_mut().push(ErrorKind::Timeout);
        let settings = sink("Tweets").record_bytes_max(9).dead_letters(DeadLetters::Stream("Dead".to_owned()));
        let (mut writer, cx, failures) = open(&settings, &made);
        while !SinkWriter::<(&str, &str)>::ready(&writer) {
            facade::yield_now().await;
        }
        writer.write(&mut pairs(&[("1", "a"), ("", "b"), ("2", "a large record")]));
        SinkWriter::<(&str, &str)>::flush(&mut writer).await.unwrap();
        assert!(failures.borrow().is_empty());
        let counters = (cx.counters.written.get(), cx.counters.unwritable.get(), cx.counters.diverted.get());
        assert_eq!(counters, (1, 0, 2));
        let streams = made.streams.borrow();
        let dead: Vec<Value> =
            streams.iter().filter(|(stream, _)| stream == "Dead").flat_map(|(_, text)| lines(text)).collect();
        let mut keys: Vec<_> = dead.iter().map(|letter| letter["partition_key"].as_str().unwrap()).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["", "2"]);
        assert_eq!(streams.iter().filter(|(stream, _)| stream == "Tweets").count(), 1);
    })
    .unwrap();
}

#[test]
fn records_tried_for_too_long_are_counted_or_kept_and_the_job_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let place = DeadLetters::File(folder.path().join("dead.jsonl"));
    facade::run_here(async {
        let limited = sink("s").retry_for(Duration::ZERO);
        for (settings, counted) in [(limited.clone(), (1, 2, 0)), (limited.dead_letters(place), (1, 0, 2))] {
            let made = Rc::new(Made::default());
            made.failures.borrow_mut().push(ErrorKind::Timeout);
            let (mut writer, cx, failures) = open(&settings, &made);
            writer.write(&mut pairs(&[("1", "a"), ("2", "b")]));
            SinkWriter::<(&str, &str)>::flush(&mut writer).await.unwrap();
            writer.write(&mut pairs(&[("1", "c")]));
            SinkWriter::<(&str, &str)>::flush(&mut writer).await.unwrap();
            assert!(failures.borrow().is_empty());
            let counters = &cx.counters;
            assert_eq!((counters.written.get(), counters.given_up.get(), counters.diverted.get()), counted);
        }
    })
    .unwrap();
    let letters = lines(&fs::read_to_string(folder.path().join("dead.jsonl")).unwrap());
    assert!(letters[1]["reason"].as_str().unwrap().ends_with(" ms: PutRecords: planted"), "{letters:?}");
}

#[test]
fn dead_letters_that_cannot_be_kept_fail_the_job_in_words() {
    facade::run_here(async {
        let made = Rc::new(Made::default());
        // Where it can be opened, and not be written.
        let settings = sink("Tweets").dead_letters(DeadLetters::File("/dev/full".into()));
        let (mut writer, cx, failures) = open(&settings, &made);
        writer.write(&mut pairs(&[("1", "a"), ("", "b")]));
        let error = SinkWriter::<(&str, &str)>::flush(&mut writer).await.unwrap_err();
        assert_eq!(error.kind, Kind::Environment);
        let said = "stream Tweets: dead letters cannot be written to /dev/full: No space left on device";
        assert!(error.message.starts_with(said), "{error}");
        assert_eq!(failures.borrow().len(), 1);
        assert_eq!((*made.taken.borrow()).clone(), ["a"]);
        assert_eq!(
            (cx.counters.diverted.get(), cx.counters.unwritable.get()),
            (0, 0),
            "it is neither kept nor known lost"
        );
    })
    .unwrap();
}

#[test]
fn places_where_dead_letters_cannot_be_kept_fail_the_start() {
    facade::run_here(async {
        let error = letters::check_file("/nonexistent/dead.jsonl".as_ref()).await.unwrap_err();
        assert!(error.message.contains("/nonexistent/dead.jsonl: No such file"), "{error}");
        let circle = sink("Tweets").dead_letters(DeadLetters::Stream("Tweets".to_owned()));
        let error = Sink::<(String, String)>::prepare(&circle).await.unwrap_err();
        assert_eq!(
            (error.kind, error.message.as_str()),
            (Kind::Settings, "stream Tweets: its dead letters cannot go into itself")
        );
    })
    .unwrap();
}
