//! A job file's text becomes a [`JobFile`], or one sentence that says what to mend.

use std::{path::Path, time::Duration};

use toml::de::DeTable;
use weir_kinesis::{
    protocol::{id::SequenceNumber, pacing::Share},
    sink::{DeadLetters, KeyOrder},
    source::ShardStart,
};

use super::{
    GroupBy, JobFile, KinesisSink, KinesisSource, Secret, ServiceKeys, SinkSettings, SourceSettings, StartAt,
    StartRule, Tweets, WindowSettings,
    table::{Document, Item, Table},
};
use crate::{
    failure::Failure,
    text::{
        duration,
        template::{RowKind, Template},
    },
};

const SERVICE_KEYS: [&str; 6] =
    ["endpoint_url", "region", "profile", "access_key_id", "secret_access_key", "session_token"];
/// Longest linger of a writer: more is a mistaken unit.
const LINGER_MS_MAX: u64 = 60_000;
const START_EXAMPLE: &str = "[{ shards = \".*\", at = \"latest\" }]";

/// Reads and checks the job file at `path`.
///
/// # Errors
/// One sentence that names file, line and key: exit code 2.
pub(crate) fn read_file(path: &Path) -> Result<JobFile, Failure> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::usage(format!("cannot read the job file {file}: {error}"))
            .with_remedy("give the path of a TOML file such as examples/kinesis-traffic-monitor.toml")
    })?;
    let stem = path.file_stem().map_or("job".into(), |stem| stem.to_string_lossy());
    parse(&file, &stem, &text)
}

/// Parses `text`; `stem` is the job's name unless the text gives one.
fn parse(file: &str, stem: &str, text: &str) -> Result<JobFile, Failure> {
    let doc = Document { file, text };
    let document = DeTable::parse(text).map_err(|error| {
        // Only the message: its full form quotes the line, and the line may hold a secret.
        let offset = error.span().map_or(0, |span| span.start);
        doc.fail(offset, format!("not TOML: {}", error.message().replace('\n', ", ")))
    })?;
    let root = Table::root(&doc, document.get_ref());
    root.only(&["name", "source", "window", "sink"])?;
    let name = match root.get("name") {
        Some(item) => name(&item)?,
        None => stem.to_owned(),
    };
    let source_table = root.need("source", "[source] with type = \"kinesis\"")?.table("[source]")?;
    let source = source(&source_table)?;
    let window = match root.get("window") {
        Some(item) => Some(window(&item.table("[window]")?)?),
        None => None,
    };
    if let Some(window) = &window {
        check_times(&source, window, &source_table)?;
    }
    let kind = if window.is_some() { RowKind::Window } else { RowKind::Item };
    let sink = sink(&root.need("sink", "[sink] with type = \"logger\"")?.table("[sink]")?, kind)?;
    Ok(JobFile { name, source, window, sink })
}

/// A window needs items with times.
fn check_times(source: &SourceSettings, window: &WindowSettings, table: &Table<'_>) -> Result<(), Failure> {
    match source {
        SourceSettings::Tweets(_) => Err(table.fail(
            "a [window] needs times, and the tweets source has none: send the tweets to a stream and count them from there",
        )),
        SourceSettings::Kinesis(source) if source.lag_ms.is_none() => {
            let size = duration::show_millis(window.size_ms);
            Err(table.fail(format!(
                "a [window] of {size} needs times: add timestamps = \"native\" and lag = \"3s\""
            )))
        }
        SourceSettings::Kinesis(_) => Ok(()),
    }
}

fn name(item: &Item<'_>) -> Result<String, Failure> {
    let name = item.text()?;
    check_name(name).map_err(|problem| item.fail(problem))?;
    Ok(name.to_owned())
}

/// What names of streams and jobs look like.
///
/// Source: Kinesis API Reference, CreateStream, `StreamName` (read 2026-11-23): 1 to 128 of `[a-zA-Z0-9_.-]`.
///
/// # Errors
/// Says so.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let right = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if (1..=128).contains(&name.len()) && name.chars().all(right) {
        return Ok(());
    }
    let shown: String = name.chars().take(40).flat_map(char::escape_debug).collect();
    Err(format!("`{shown}` is not a name: up to 128 letters, digits, `-`, `_` and `.`"))
}

fn source(table: &Table<'_>) -> Result<SourceSettings, Failure> {
    let kind = table.need("type", "type = \"kinesis\"")?.choice(&[("kinesis", true), ("tweets", false)])?;
    if kind { kinesis_source(table).map(|source| SourceSettings::Kinesis(Box::new(source))) } else { tweets(table) }
}

fn kinesis_source(table: &Table<'_>) -> Result<KinesisSource, Failure> {
    let own = ["type", "stream", "start", "positions", "timestamps", "lag", "share", "idle_after"];
    table.only(&[own.as_slice(), &SERVICE_KEYS].concat())?;
    let stream = name(&table.need("stream", "stream = \"Tweets\"")?)?;
    let start = match table.get("start") {
        Some(item) => {
            item.tables("a rule of `start`", START_EXAMPLE)?.iter().map(start_rule).collect::<Result<_, _>>()?
        }
        None => Vec::new(),
    };
    let positions = match table.get("positions") {
        Some(item) => item.table("positions")?.entries().iter().map(position).collect::<Result<_, _>>()?,
        None => Vec::new(),
    };
    let native = match table.get("timestamps") {
        Some(item) => item.choice(&[("native", true), ("none", false)])?,
        None => false,
    };
    let lag_ms = match (native, table.get("lag")) {
        (true, Some(lag)) => Some(lag.millis()?),
        (true, None) => {
            return Err(table.fail("timestamps = \"native\" needs the allowed lag: add lag = \"3s\""));
        }
        (false, Some(lag)) => {
            return Err(lag.fail("is of use only with timestamps = \"native\": add that key"));
        }
        (false, None) => None,
    };
    let share = table.get("share").map(|item| item.part(Share::MIN)).transpose()?;
    let idle_after_ms = table.get("idle_after").map(|item| item.millis()).transpose()?;
    Ok(KinesisSource { stream, start, positions, lag_ms, share, idle_after_ms, service: service(table)? })
}

/// `"shardId-000000000000" = "after 4957…"`.
fn position(item: &Item<'_>) -> Result<(String, ShardStart), Failure> {
    let text = item.text()?;
    let start = match text.split_once(' ') {
        Some(("at", number)) if SequenceNumber::parse(number).is_ok() => ShardStart::At(number.to_owned()),
        Some(("after", number)) if SequenceNumber::parse(number).is_ok() => ShardStart::After(number.to_owned()),
        _ => {
            let shown: String = text.chars().take(160).flat_map(char::escape_debug).collect();
            return Err(item.fail(format!(
                "\"{shown}\" is no position in a shard: expected \"at NUMBER\" or \"after NUMBER\" with the sequence number of a record"
            )));
        }
    };
    Ok((item.key().to_owned(), start))
}

fn start_rule(table: &Table<'_>) -> Result<StartRule, Failure> {
    table.only(&["shards", "at"])?;
    let shards = table.need("shards", "shards = \".*\"")?;
    let pattern = shards.text()?;
    if let Err(error) = regex::Regex::new(pattern) {
        let problem = error.to_string();
        let last = problem.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        let pattern = pattern.escape_debug();
        return Err(shards.fail(format!("`{pattern}` is not a regular expression: {last}")));
    }
    let at = table.need("at", "at = \"latest\"")?;
    let at = parse_start(&at.text_or_date()?).map_err(|problem| at.fail(problem))?;
    Ok(StartRule { shards: pattern.to_owned(), at })
}

/// Reads a start: `latest`, `oldest`, or a moment with its offset.
///
/// # Errors
/// Says what a start looks like.
pub(crate) fn parse_start(text: &str) -> Result<StartAt, String> {
    match text {
        "latest" => Ok(StartAt::Latest),
        "oldest" | "trim-horizon" => Ok(StartAt::Oldest),
        _ => match text.parse::<jiff::Timestamp>() {
            Ok(moment) => Ok(StartAt::Timestamp(moment.as_millisecond())),
            Err(_) => Err(format!(
                "\"{}\" is not a position: expected latest, oldest (trim-horizon), or a time with its offset such as 2026-11-23T16:11:27Z",
                text.escape_debug()
            )),
        },
    }
}

fn tweets(table: &Table<'_>) -> Result<SourceSettings, Failure> {
    table.only(&["type", "rate", "burst", "keys"])?;
    let mut tweets = Tweets::default();
    let narrow = |value: u64| u32::try_from(value).expect("the range ends far below 2^32");
    if let Some(item) = table.get("rate") {
        tweets.rate = narrow(item.integer(1..=1_000_000)?);
    }
    if let Some(item) = table.get("burst") {
        (tweets.burst_first, tweets.burst_last) = burst(&item)?;
    }
    if let Some(item) = table.get("keys") {
        tweets.keys = item.integer(1..=1_000_000_000)?;
    }
    Ok(SourceSettings::Tweets(tweets))
}

/// `"1-9"`: from 1 to 9 tweets an item.
fn burst(item: &Item<'_>) -> Result<(u32, u32), Failure> {
    let text = item.text()?;
    let ends = text
        .split_once('-')
        .and_then(|(first, last)| Some((first.trim().parse::<u32>().ok()?, last.trim().parse::<u32>().ok()?)));
    match ends {
        Some((first, last)) if 1 <= first && first <= last && last <= 1_000 => Ok((first, last)),
        _ => {
            let shown = text.escape_debug();
            Err(item.fail(format!(
                "\"{shown}\" is not a burst: write fewest and most tweets an item, 1 to 1000, such as \"1-9\""
            )))
        }
    }
}

fn window(table: &Table<'_>) -> Result<WindowSettings, Failure> {
    table.only(&["over", "group_by", "aggregate"])?;
    let over = table.need("over", "over = \"sliding 1s by 500ms\"")?;
    let (size_ms, slide_ms) = span(over.text()?).map_err(|problem| over.fail(problem))?;
    if let Err(refusal) = crate::windows::spec(size_ms, slide_ms) {
        return Err(over.fail(refusal));
    }
    let group_by = match table.get("group_by") {
        Some(item) => item.choice(&[("partition-key", GroupBy::PartitionKey)])?,
        None => GroupBy::Nothing,
    };
    table.need("aggregate", "aggregate = \"count\"")?.choice(&[("count", ())])?;
    Ok(WindowSettings { size_ms, slide_ms, group_by })
}

/// Reads `sliding SIZE by SLIDE` or `tumbling SIZE`, in ms.
fn span(text: &str) -> Result<(i64, i64), String> {
    let words: Vec<_> = text.split_whitespace().collect();
    let read = |word: &str| duration::parse_millis(word).map_err(|bad| bad.to_string());
    match words.as_slice() {
        ["sliding", size, "by", slide] => Ok((read(size)?, read(slide)?)),
        ["tumbling", size] => read(size).map(|size| (size, size)),
        _ => Err(format!(
            "\"{}\" is not a window: expected \"sliding 1s by 500ms\" or \"tumbling 1s\"",
            text.escape_debug()
        )),
    }
}

fn sink(table: &Table<'_>, kind: RowKind) -> Result<SinkSettings, Failure> {
    #[derive(Clone, Copy)]
    enum Kind {
        Logger,
        Stdout,
        Kinesis,
    }
    let choices = [("logger", Kind::Logger), ("stdout", Kind::Stdout), ("kinesis", Kind::Kinesis)];
    match table.need("type", "type = \"logger\"")?.choice(&choices)? {
        Kind::Logger => {
            table.only(&["type", "format"])?;
            let template = match table.get("format") {
                Some(item) => Template::parse(item.text()?, kind).map_err(|bad| item.fail(bad))?,
                None => Template::plain(kind),
            };
            Ok(SinkSettings::Logger(template))
        }
        Kind::Stdout => {
            table.only(&["type"])?;
            Ok(SinkSettings::Stdout)
        }
        Kind::Kinesis => {
            let own = ["type", "stream", "key_order", "linger", "retry_for", "dead_letters"];
            table.only(&[own.as_slice(), &SERVICE_KEYS].concat())?;
            let stream = name(&table.need("stream", "stream = \"Tweets\"")?)?;
            let orders = [("kept", KeyOrder::Kept), ("while-nothing-fails", KeyOrder::WhileNothingFails)];
            let key_order = table.get("key_order").map(|item| item.choice(&orders)).transpose()?.unwrap_or_default();
            let linger = table.get("linger").map(|item| linger(&item)).transpose()?;
            let retry_for = table.get("retry_for").map(|item| retry_for(&item)).transpose()?;
            let dead_letters = table.get("dead_letters").map(|item| dead_letters(&item)).transpose()?;
            let service = service(table)?;
            let sink = KinesisSink { stream, key_order, linger, retry_for, dead_letters, service };
            Ok(SinkSettings::Kinesis(Box::new(sink)))
        }
    }
}

/// `{ file = "dead.jsonl" }` or `{ stream = "Dead" }`.
fn dead_letters(item: &Item<'_>) -> Result<DeadLetters, Failure> {
    let table = item.table("dead_letters")?;
    table.only(&["file", "stream"])?;
    match (table.get("file"), table.get("stream")) {
        (Some(file), None) => Ok(DeadLetters::File(file.text()?.into())),
        (None, Some(stream)) => name(&stream).map(DeadLetters::Stream),
        _ => Err(item.fail("write { file = \"dead.jsonl\" } or { stream = \"DeadTweets\" }")),
    }
}

fn retry_for(item: &Item<'_>) -> Result<Duration, Failure> {
    let millis = item.millis()?;
    Ok(Duration::from_millis(u64::try_from(millis).expect("durations are not negative")))
}

fn linger(item: &Item<'_>) -> Result<Duration, Failure> {
    match u64::try_from(item.millis()?) {
        Ok(millis) if millis <= LINGER_MS_MAX => Ok(Duration::from_millis(millis)),
        _ => Err(item.fail("records may wait 0ms to 1m for others")),
    }
}

fn service(table: &Table<'_>) -> Result<ServiceKeys, Failure> {
    let text = |key| table.get(key).map(|item| item.text().map(str::to_owned)).transpose();
    let secret = |key| text(key).map(|found| found.map(Secret));
    let keys = ServiceKeys {
        endpoint_url: text("endpoint_url")?,
        region: text("region")?,
        profile: text("profile")?,
        access_key_id: text("access_key_id")?,
        secret_access_key: secret("secret_access_key")?,
        session_token: secret("session_token")?,
    };
    if keys.access_key_id.is_some() != keys.secret_access_key.is_some() {
        return Err(table.fail("access_key_id and secret_access_key go together: give both or neither"));
    }
    if keys.session_token.is_some() && keys.access_key_id.is_none() {
        return Err(table.fail("session_token needs access_key_id and secret_access_key beside it"));
    }
    if let (Some(url), Some(item)) = (&keys.endpoint_url, table.get("endpoint_url")) {
        check_endpoint(url).map_err(|problem| item.fail(problem))?;
    }
    Ok(keys)
}

/// Refuses what is not the address of an endpoint.
///
/// # Errors
/// Says what one looks like.
pub(crate) fn check_endpoint(url: &str) -> Result<(), String> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    match rest {
        Some(rest) if !rest.is_empty() && !rest.contains(char::is_whitespace) => Ok(()),
        _ => Err(format!(
            "\"{}\" is not an endpoint: expected http:// or https:// and a host, such as http://127.0.0.1:4567",
            url.escape_debug()
        )),
    }
}

#[cfg(test)]
mod tests;
