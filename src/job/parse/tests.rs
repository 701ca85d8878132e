//! Right job files are understood; each kind of mistake is answered with its line and its cure.

use weir_kinesis::source::ShardStart;

use super::parse;
use crate::job::{GroupBy, JobFile, SinkSettings, SourceSettings, StartAt, StartRule, Tweets};

const MONITOR: &str = include_str!("../../../examples/kinesis-traffic-monitor.toml");
const PUBLISHER: &str = include_str!("../../../examples/tweet-publisher.toml");

fn read(text: &str) -> JobFile {
    parse("job.toml", "job", text).expect("a right job file")
}

fn said(text: &str) -> String {
    parse("job.toml", "job", text).expect_err("a wrong job file").to_string()
}

/// A right file with one line changed.
fn monitor_with(line: &str, changed: &str) -> String {
    assert!(MONITOR.contains(line), "the example has no {line}");
    MONITOR.replacen(line, changed, 1)
}

#[test]
fn the_monitor_example_says_what_the_tutorial_says() {
    let job = parse("m.toml", "kinesis-traffic-monitor", MONITOR).expect("a right job file");
    assert_eq!(job.name, "kinesis-traffic-monitor");
    let SourceSettings::Kinesis(source) = job.source else { panic!("not kinesis") };
    assert_eq!(source.stream, "Tweets");
    assert_eq!(source.start, [StartRule { shards: ".*".into(), at: StartAt::Latest }]);
    assert_eq!(source.lag_ms, Some(3_000));
    let window = job.window.expect("a window");
    assert_eq!((window.size_ms, window.slide_ms, window.group_by), (1_000, 500, GroupBy::Nothing));
    assert!(matches!(job.sink, SinkSettings::Logger(_)));
}

#[test]
fn the_publisher_example_says_what_the_tutorial_says() {
    let job = parse("p.toml", "tweet-publisher", PUBLISHER).expect("a right job file");
    assert_eq!(job.name, "tweet-publisher");
    assert_eq!(job.source, SourceSettings::Tweets(Tweets::default()));
    assert_eq!(job.window, None);
    let SinkSettings::Kinesis(sink) = job.sink else { panic!("not kinesis") };
    assert_eq!(sink.stream, "Tweets");
}

#[test]
fn every_key_is_understood() {
    let job = read(
        r#"
        name = "keyed"
        [source]
        type = "kinesis"
        stream = "S.1_a-b"
        start = [
            { shards = "shardId-0+1", at = "trim-horizon" },
            { shards = "shardId-0+2", at = 2026-11-23T16:11:27Z },
            { shards = ".*", at = "2026-11-23T16:11:27.5+01:00" },
        ]
        positions = { shardId-000000000007 = "after 4957", "shardId-000000000001" = "at 12" }
        timestamps = "native"
        lag = "1.5s"
        share = 0.4
        idle_after = "0ms"
        endpoint_url = "http://127.0.0.1:4567"
        region = "eu-west-1"
        access_key_id = "id"
        secret_access_key = "hush"
        session_token = "token"
        [window]
        over = "tumbling 2s"
        group_by = "partition-key"
        aggregate = "count"
        [sink]
        type = "stdout"
        "#,
    );
    assert_eq!(job.name, "keyed");
    let SourceSettings::Kinesis(source) = job.source else { panic!("not kinesis") };
    let at: Vec<_> = source.start.iter().map(|rule| rule.at).collect();
    assert_eq!(at, [StartAt::Oldest, StartAt::Timestamp(1_795_450_287_000), StartAt::Timestamp(1_795_446_687_500)]);
    let positions = [
        ("shardId-000000000007".to_owned(), ShardStart::After("4957".to_owned())),
        ("shardId-000000000001".to_owned(), ShardStart::At("12".to_owned())),
    ];
    assert_eq!(source.positions, positions);
    assert_eq!((source.lag_ms, source.share, source.idle_after_ms), (Some(1_500), Some(0.4), Some(0)));
    assert_eq!(source.service.region.as_deref(), Some("eu-west-1"));
    assert!(!format!("{source:?}").contains("hush"));
    assert!(!format!("{source:?}").contains("\"token\""));
    let window = job.window.expect("a window");
    assert_eq!((window.size_ms, window.slide_ms), (2_000, 2_000));
    assert_eq!(window.group_by, GroupBy::PartitionKey);
    assert_eq!(job.sink, SinkSettings::Stdout);
}

#[test]
fn the_tweets_source_takes_rate_burst_and_keys() {
    let job =
        read("source = { type = \"tweets\", rate = 50, burst = \"2-4\", keys = 3 }\nsink = { type = \"logger\" }");
    let tweets = Tweets { rate: 50, burst_first: 2, burst_last: 4, keys: 3 };
    assert_eq!(job.source, SourceSettings::Tweets(tweets));
}

#[test]
fn an_unknown_key_is_named_with_file_line_and_the_right_name() {
    let line = MONITOR.lines().position(|line| line.starts_with("stream")).expect("a stream") + 1;
    assert_eq!(
        said(&monitor_with("stream = ", "straem = ")),
        format!(
            "job.toml:{line}: unknown key `straem` in [source]: did you mean `stream`? (expected one of type, stream, start, positions, timestamps, lag, share, idle_after, endpoint_url, region, profile, access_key_id, secret_access_key, session_token)"
        )
    );
    assert!(said("sauce = 1").starts_with("job.toml:1: unknown key `sauce` in the job file: did you mean `source`?"));
    assert!(
        said(&monitor_with("over = ", "parallelism = "))
            .contains("unknown key `parallelism` in [window]: expected one of over, group_by, aggregate")
    );
    assert!(
        said(&monitor_with("shards = ", "shard = "))
            .contains("unknown key `shard` in a rule of `start`: did you mean `shards`?")
    );
    assert!(said(&monitor_with("format = ", "fromat = ")).contains("did you mean `format`?"));
}

#[test]
fn a_bad_duration_is_named_with_its_key() {
    let line = MONITOR.lines().position(|line| line.starts_with("lag")).expect("a lag") + 1;
    assert_eq!(
        said(&monitor_with("lag = \"3s\"", "lag = \"3 parsecs\"")),
        format!(
            "job.toml:{line}: key `lag` in [source]: `3 parsecs` has the unknown unit `parsecs`: write a number and a unit, ms, s, m, h or d, such as 500ms or 3s"
        )
    );
    assert!(said(&monitor_with("lag = \"3s\"", "lag = 3")).contains(
        "key `lag` in [source]: expected a duration in quotes, such as \"500ms\" or \"3s\", got a whole number"
    ));
    assert!(
        said(&monitor_with("1s by 500ms", "1s by soon")).contains("key `over` in [window]: `soon` is not a duration")
    );
}

#[test]
fn wrong_windows_are_refused_with_the_reason() {
    assert!(
        said(&monitor_with("sliding 1s by 500ms", "hopping 1s"))
            .contains("\"hopping 1s\" is not a window: expected \"sliding 1s by 500ms\" or \"tumbling 1s\"")
    );
    assert!(said(&monitor_with("1s by 500ms", "0s by 500ms")).contains("key `over` in [window]: "));
    assert!(said(&monitor_with("1s by 500ms", "1h by 7ms")).contains("65535"));
}

#[test]
fn wrong_words_are_answered_with_the_right_ones() {
    assert!(said(&monitor_with("\"kinesis\"", "\"kinessis\"")).contains(
        "key `type` in [source]: got \"kinessis\", did you mean \"kinesis\"? (expected \"kinesis\" or \"tweets\")"
    ));
    assert!(said(&monitor_with("\"count\"", "\"sum\"")).contains("got \"sum\", expected \"count\""));
    assert!(said(&monitor_with("\"latest\"", "\"yesterday\"")).contains(
        "\"yesterday\" is not a position: expected latest, oldest (trim-horizon), or a time with its offset"
    ));
    assert!(said(&monitor_with("\".*\"", "\"(\"")).contains("`(` is not a regular expression: unclosed group"));
    assert!(said(&monitor_with("{value:,}", "{values:,}")).contains("format template, column"));
    assert!(said(&monitor_with("\"Tweets\"", "\"no spaces\"")).contains("`no spaces` is not a name"));
}

#[test]
fn missing_keys_and_tables_are_named_with_an_example() {
    let line = MONITOR.lines().position(|line| line == "[source]").expect("a source") + 1;
    assert_eq!(
        said(&monitor_with("stream = \"Tweets\"", "")),
        format!("job.toml:{line}: [source] lacks the key `stream`: write, for example, stream = \"Tweets\"")
    );
    assert!(said("").contains("job.toml:1: the job file lacks the key `source`"));
    assert!(said(&monitor_with("lag = \"3s\"", "")).contains("needs the allowed lag: add lag = \"3s\""));
    assert!(said(&monitor_with("timestamps = \"native\"", "")).contains("of use only with timestamps"));
    let timeless = monitor_with("timestamps = \"native\"", "").replace("lag = \"3s\"", "");
    assert!(said(&timeless).contains("a [window] of 1s needs times"));
}

#[test]
fn types_are_checked_and_secrets_never_shown() {
    assert!(
        said("source = 1").contains("key `source` in the job file: expected the table [source], got a whole number")
    );
    assert!(said(&monitor_with("stream = \"Tweets\"", "stream = \"\"")).contains("key `stream` in [source]: is empty"));
    let keys = "stream = \"Tweets\"\naccess_key_id = \"id\"\nsecret_access_key = ";
    let unquoted = said(&monitor_with("stream = \"Tweets\"", &format!("{keys}hushhush")));
    assert!(unquoted.contains("not TOML") && !unquoted.contains("hushhush"), "{unquoted}");
    let number = said(&monitor_with("stream = \"Tweets\"", &format!("{keys}12345")));
    assert!(number.contains("got a whole number") && !number.contains("12345"), "{number}");
    let half = said(&monitor_with("stream = \"Tweets\"", "stream = \"Tweets\"\naccess_key_id = \"id\""));
    assert!(half.contains("access_key_id and secret_access_key go together"), "{half}");
    let tweets = said("source = { type = \"tweets\", rate = 0 }\nsink = { type = \"logger\" }");
    assert!(tweets.contains("key `rate` in [source]: 0 is out of range, expected 1 to 1000000"), "{tweets}");
    let burst = said("source = { type = \"tweets\", burst = \"9-1\" }\nsink = { type = \"logger\" }");
    assert!(burst.contains("\"9-1\" is not a burst"), "{burst}");
    for share in ["0", "1.01", "nan", "-0.5"] {
        let wrong = said(&monitor_with("stream = \"Tweets\"", &format!("stream = \"Tweets\"\nshare = {share}")));
        assert!(wrong.contains("key `share` in [source]: is out of range, expected a part, 0.01 to 1"), "{wrong}");
    }
    let url = said(&monitor_with("stream = \"Tweets\"", "stream = \"Tweets\"\nendpoint_url = \"localhost:4567\""));
    assert!(url.contains("\"localhost:4567\" is not an endpoint"), "{url}");
}

#[test]
fn windows_over_the_tweets_source_are_refused() {
    let text = "source = { type = \"tweets\" }\nsink = { type = \"logger\" }\nwindow = { over = \"tumbling 1s\", aggregate = \"count\" }";
    assert!(said(text).contains("the tweets source has none"));
}

#[test]
fn writers_settings_are_understood_and_mistakes_in_them_named() {
    use std::time::Duration;
    use weir_kinesis::sink::{DeadLetters, KeyOrder};

    let file =
        |lines: &str| format!("[source]\ntype = \"tweets\"\n[sink]\ntype = \"kinesis\"\nstream = \"S\"\n{lines}");
    let kinesis = |lines: &str| match read(&file(lines)).sink {
        SinkSettings::Kinesis(sink) => sink,
        other => panic!("{other:?}"),
    };
    let sink = |lines: &str| (kinesis(lines).key_order, kinesis(lines).linger);
    assert_eq!(sink(""), (KeyOrder::Kept, None));
    let said_all = sink("key_order = \"while-nothing-fails\"\nlinger = \"5ms\"");
    assert_eq!(said_all, (KeyOrder::WhileNothingFails, Some(Duration::from_millis(5))));
    assert_eq!(
        said(&file("key_order = \"keep\"")),
        "job.toml:6: key `key_order` in [sink]: got \"keep\", expected \"kept\" or \"while-nothing-fails\""
    );
    assert_eq!(
        said(&file("linger = \"2h\"")),
        "job.toml:6: key `linger` in [sink]: records may wait 0ms to 1m for others"
    );
    assert_eq!(kinesis("retry_for = \"30s\"").retry_for, Some(Duration::from_secs(30)));
    assert!(said(&file("retry_for = 30")).contains("key `retry_for` in [sink]: expected a duration in quotes"));
    let letters = |place: &str| kinesis(&format!("dead_letters = {{ {place} }}")).dead_letters;
    assert_eq!(letters("file = \"/var/dead.jsonl\""), Some(DeadLetters::File("/var/dead.jsonl".into())));
    assert_eq!(letters("stream = \"Dead\""), Some(DeadLetters::Stream("Dead".into())));
    let both =
        "job.toml:6: key `dead_letters` in [sink]: write { file = \"dead.jsonl\" } or { stream = \"DeadTweets\" }";
    assert_eq!(said(&file("dead_letters = { file = \"a\", stream = \"b\" }")), both);
    assert_eq!(said(&file("dead_letters = {}")), both);
    assert!(said(&file("dead_letters = \"dead.jsonl\"")).contains("expected the table dead_letters, got a text"));
    assert!(said(&file("dead_letters = { fiel = \"a\" }")).contains("in dead_letters: did you mean `file`?"));
}

#[test]
fn position_that_is_none_is_named_with_its_shard() {
    for wrong in ["latest", "after", "after 007", "behind 7", "at 7 "] {
        let line = MONITOR.lines().position(|line| line.starts_with("stream")).expect("a stream") + 2;
        let positions = format!("stream = \"Tweets\"\npositions = {{ shardId-0 = \"{wrong}\" }}");
        assert_eq!(
            said(&monitor_with("stream = \"Tweets\"", &positions)),
            format!(
                "job.toml:{line}: key `shardId-0` in positions: \"{wrong}\" is no position in a shard: expected \"at NUMBER\" or \"after NUMBER\" with the sequence number of a record"
            )
        );
    }
}
