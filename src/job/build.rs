//! A job file becomes a pipeline, by the builders that a program uses.

use std::sync::Arc;

use weir_runtime::{
    connect::{item_stream, lines, logger},
    pipeline::{Pipeline, PipelineFn, Stage, Timed, WindowResult},
};
use weir_window::{TimeSpan, counting};

use super::{
    GroupBy, JobFile, KinesisSink, KinesisSource, SinkSettings, SourceSettings, StartAt, Tweets, WindowSettings,
};
use crate::{
    json::{item_line, json_line},
    kinesis::{self, Record, Start},
    text::{
        grouped,
        template::{Row, Value},
    },
    windows,
};

/// An item on its way without a window: key and data.
type Pair = (String, Vec<u8>);

/// The pipeline that the file says.
pub(crate) fn pipeline(job: JobFile) -> Arc<PipelineFn> {
    Arc::new(move |p: &Pipeline| match (&job.source, &job.window) {
        (SourceSettings::Tweets(tweets), _) => write_items(tweet_stage(p, *tweets), &job),
        (SourceSettings::Kinesis(source), None) => {
            let records = p.read_from(kinesis_source(source)).without_timestamps();
            write_items(records.map(|r: Record| (r.partition_key().to_owned(), r.data().to_owned())), &job);
        }
        (SourceSettings::Kinesis(source), Some(window)) => write_windows(p, source, window, &job),
    })
}

/// The tutorial's test data.
fn tweet_stage(p: &Pipeline, tweets: Tweets) -> Stage<Pair> {
    p.read_from(item_stream(u64::from(tweets.rate))).without_timestamps().flat_map(move |item, out| {
        for i in 0..u64::from(fastrand::u32(tweets.burst_first..=tweets.burst_last)) {
            let (key, text) = tweet(item.sequence * 10 + i, tweets.keys);
            out.push((key, text.into_bytes()));
        }
    })
}

/// Key and text of the tweet with that number.
pub(crate) fn tweet(number: u64, keys: u64) -> (String, String) {
    ((number % keys).to_string(), format!("tweet-{}", grouped(number, 4)))
}

fn kinesis_source(settings: &KinesisSource) -> kinesis::KinesisSource {
    let source = kinesis::source(&settings.stream).service(settings.service.clone().into_settings());
    let source = settings.start.iter().fold(source, |source, rule| source.start_at(&rule.shards, rule.at.into()));
    let source = match settings.share {
        Some(share) => source.share(share),
        None => source,
    };
    let source = match settings.idle_after_ms {
        Some(millis) => source.idle_after(TimeSpan::from_millis(millis)),
        None => source,
    };
    settings.positions.iter().fold(source, |source, (shard, start)| source.start_shard(shard, start.clone()))
}

fn kinesis_sink(settings: &KinesisSink) -> kinesis::KinesisSink {
    let sink = kinesis::sink(&settings.stream).service(settings.service.clone().into_settings());
    let sink = sink.key_order(settings.key_order);
    let sink = settings.linger.into_iter().fold(sink, kinesis::KinesisSink::linger);
    let sink = settings.retry_for.into_iter().fold(sink, kinesis::KinesisSink::retry_for);
    settings.dead_letters.iter().cloned().fold(sink, kinesis::KinesisSink::dead_letters)
}

impl From<StartAt> for Start {
    fn from(at: StartAt) -> Start {
        match at {
            StartAt::Oldest => Start::TrimHorizon,
            StartAt::Latest => Start::Latest,
            StartAt::Timestamp(millis) => Start::AtTimestamp(millis),
        }
    }
}

fn write_items(items: Stage<Pair>, job: &JobFile) {
    match &job.sink {
        SinkSettings::Kinesis(sink) => {
            items.write_to(kinesis_sink(sink));
        }
        SinkSettings::Stdout => {
            items.write_to(lines(|(key, data): &Pair| item_line(key, &String::from_utf8_lossy(data))));
        }
        SinkSettings::Logger(template) => {
            let template = template.clone();
            items.write_to(logger(move |(key, data): &Pair| {
                let value = Value::Text(&String::from_utf8_lossy(data));
                template.show(&Row { start_ms: 0, end_ms: 0, key, value, partial: false, firing: 0 })
            }));
        }
    }
}

fn write_windows(p: &Pipeline, source: &KinesisSource, window: &WindowSettings, job: &JobFile) {
    let lag = TimeSpan::from_millis(source.lag_ms.expect("a file whose window lacks times was refused"));
    let records = p.read_from(kinesis_source(source)).native_timestamps(lag);
    let spec = windows::spec(window.size_ms, window.slide_ms).expect("a file with another window was refused");
    match window.group_by {
        GroupBy::Nothing => write_rows(records.window(spec).aggregate(counting()), job),
        GroupBy::PartitionKey => {
            let grouped = records.group_by(|record: &Record| record.partition_key());
            write_rows(grouped.window(spec).aggregate(counting()), job);
        }
    }
}

/// A window's key as text.
trait KeyText: serde::Serialize + 'static {
    fn text(&self) -> Option<&str>;
}

impl KeyText for () {
    fn text(&self) -> Option<&str> {
        None
    }
}

impl KeyText for String {
    fn text(&self) -> Option<&str> {
        Some(self)
    }
}

fn write_rows<K: KeyText>(rows: Stage<WindowResult<u64, K>, Timed>, job: &JobFile) {
    match &job.sink {
        SinkSettings::Kinesis(sink) => {
            let name = job.name.clone();
            // A record must have a key; all rows of an unkeyed job keep their order under one.
            let records = rows.map(move |row: WindowResult<u64, K>| {
                (row.key.text().unwrap_or(&name).to_owned(), json_line(&row).into_bytes())
            });
            records.write_to(kinesis_sink(sink));
        }
        SinkSettings::Stdout => rows.write_to(lines(json_line::<u64, K>)),
        SinkSettings::Logger(template) => {
            let template = template.clone();
            rows.write_to(logger(move |row: &WindowResult<u64, K>| {
                template.show(&Row {
                    start_ms: row.start.as_millis(),
                    end_ms: row.end.as_millis(),
                    key: row.key.text().unwrap_or_default(),
                    value: Value::Number(row.value),
                    partial: row.partial,
                    firing: row.firing,
                })
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::tweet;

    #[test]
    fn tweets_are_numbered_as_in_the_tutorial() {
        assert_eq!(tweet(42, 10), ("2".into(), "tweet-0042".into()));
        assert_eq!(tweet(1_234, 10), ("4".into(), "tweet-1,234".into()));
        assert_eq!(tweet(7, 3), ("1".into(), "tweet-0007".into()));
    }
}
