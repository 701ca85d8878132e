//! `weir stream put` and `get`: records, in and out.

use std::{collections::VecDeque, io::BufRead as _, time::Duration};

use clap::Args;
use serde::Serialize;
use weir_kinesis::{
    client::{Client, GetRecordsAnswer, IteratorPosition, PutEntry},
    protocol::ErrorKind,
};
use weir_runtime::facade;

use super::{failure, name};
use crate::{
    cli::{
        output::{Output, say},
        service::ServiceArgs,
    },
    failure::Failure,
    job::{self, StartAt},
    text::local_time,
};

/// Source: Kinesis API Reference, PutRecords (read 2026-11-23): 500 records and 10 MiB a call, keys included.
const PUT_RECORDS_MAX: usize = 500;
const PUT_BYTES_MAX: usize = 10 << 20;
/// Source: Kinesis API Reference, GetRecords (read 2026-11-23): 10 000 records a call, five calls a second a shard.
const GET_RECORDS_MAX: u32 = 10_000;
const READ_PAUSE: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
pub(super) struct PutArgs {
    /// The stream
    #[arg(value_parser = name)]
    name: String,
    /// The record; each line of standard input is one unless given
    data: Option<String>,
    /// The partition key, 1 to 256 characters; records without one are spread evenly
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    #[command(flatten)]
    pub(super) service: ServiceArgs,
}

#[derive(Debug, Args)]
pub(super) struct GetArgs {
    /// The stream
    #[arg(value_parser = name)]
    name: String,
    /// Where to begin: `oldest`, or a time such as 2026-11-23T16:11:27Z
    #[arg(long, value_name = "POSITION", default_value = "oldest", value_parser = job::parse_start)]
    from: StartAt,
    /// Most records printed of each shard
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    limit: u64,
    /// How to print a record: text, or a JSON object a line
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
    #[command(flatten)]
    pub(super) service: ServiceArgs,
}

pub(super) async fn put(client: &Client, args: &PutArgs) -> Result<(), Failure> {
    if let Some(data) = &args.data {
        let placed = put_all(client, &args.name, vec![entry(args, data.clone())], &mut 0).await?;
        say(format_args!("{placed}"));
        return Ok(());
    }
    let mut entries = Vec::new();
    let mut bytes = 0;
    let mut count = 0_u64;
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| Failure::usage(format!("cannot read standard input: {error}")))?;
        let entry = entry(args, line);
        let entry_bytes = entry.key.len() + entry.data.len();
        if entries.len() == PUT_RECORDS_MAX || bytes + entry_bytes > PUT_BYTES_MAX {
            let _ = put_all(client, &args.name, std::mem::take(&mut entries), &mut count).await?;
            bytes = 0;
        }
        entries.push(entry);
        bytes += entry_bytes;
    }
    if !entries.is_empty() {
        let _ = put_all(client, &args.name, entries, &mut count).await?;
    }
    say(format_args!("put {count} record(s)"));
    Ok(())
}

fn entry(args: &PutArgs, data: String) -> PutEntry {
    let key = args.key.clone().unwrap_or_else(|| fastrand::u64(..).to_string());
    PutEntry { key, explicit_hash: None, data: data.into() }
}

/// Puts until each is taken, and adds to `count` what is; where the last one is. What is put again is said.
async fn put_all(
    client: &Client,
    stream: &str,
    mut entries: Vec<PutEntry>,
    count: &mut u64,
) -> Result<String, Failure> {
    let mut place = String::new();
    while !entries.is_empty() {
        let mut reason = None;
        let answer = match client.put_records(stream, entries.clone()).await {
            Ok(answer) => answer.entries,
            Err(error) if error.kind == ErrorKind::Throttled => {
                reason = Some(error.to_string());
                Vec::new()
            }
            Err(error) => {
                let written = format!("{count} record(s) before that are in the stream; put only the rest again");
                return Err(if *count > 0 { failure(error).with_remedy(written) } else { failure(error) });
            }
        };
        let mut refused = Vec::new();
        let mut answers = VecDeque::from(answer);
        for entry in entries {
            match answers.pop_front() {
                Some(Ok(placed)) => {
                    place = format!("{} {}", placed.shard, placed.sequence);
                    *count += 1;
                }
                // Throttled, or a passing failure inside the service: each may be tried again.
                Some(Err(why)) => {
                    let _ = reason.get_or_insert(why.code);
                    refused.push(entry);
                }
                None => refused.push(entry),
            }
        }
        entries = refused;
        if !entries.is_empty() {
            let reason = reason.unwrap_or_default();
            tracing::warn!("stream {stream}: {} record(s) put again: {reason}", entries.len());
            facade::sleep(READ_PAUSE).await;
        }
    }
    Ok(place)
}

pub(super) async fn get(client: &Client, args: &GetArgs) -> Result<(), Failure> {
    for shard in client.list_shards(&args.name).await.map_err(failure)? {
        let position = match args.from {
            StartAt::Oldest => IteratorPosition::TrimHorizon,
            StartAt::Latest => IteratorPosition::Latest,
            StartAt::Timestamp(millis) => IteratorPosition::AtTimestamp(millis),
        };
        let mut iterator = Some(client.shard_iterator(&args.name, &shard.id, position).await.map_err(failure)?);
        let mut left = args.limit;
        while let Some(at) = iterator.take().filter(|_| left > 0) {
            let limit = u32::try_from(left).unwrap_or(u32::MAX).min(GET_RECORDS_MAX);
            match client.get_records(at.clone(), limit).await {
                Ok(answer) => {
                    let printed = print(&shard.id, &answer, args.output);
                    left -= printed;
                    // Not when nothing comes any more: somebody may be writing all the time. A full page says nothing,
                    // since some endpoints always say that they are not behind.
                    let at_tip = printed < u64::from(limit) && answer.behind_ms.unwrap_or(0) == 0;
                    iterator = answer.next_iterator.filter(|_| !at_tip);
                }
                Err(error) if error.kind == ErrorKind::Throttled => iterator = Some(at),
                Err(error) => return Err(failure(error)),
            }
            facade::sleep(READ_PAUSE).await;
        }
    }
    Ok(())
}

/// Prints the answer's records; how many there were.
fn print(shard: &str, answer: &GetRecordsAnswer, output: Output) -> u64 {
    #[derive(Serialize)]
    struct Shown<'a> {
        shard: &'a str,
        sequence: &'a str,
        arrival: i64,
        key: &'a str,
        data: &'a str,
    }
    let batch = &answer.batch;
    for index in 0..batch.len() {
        let arrival = batch.arrival_ms(index);
        let (key, data) = (batch.partition_key(index), String::from_utf8_lossy(batch.data(index)));
        match output {
            Output::Json => {
                let shown = Shown { shard, sequence: batch.sequence(index), arrival, key, data: &data };
                say(serde_json::to_string(&shown).expect("texts and numbers are JSON"));
            }
            Output::Text => say(format_args!("{} {shard} {key} {data}", local_time::show_local(arrival))),
        }
    }
    u64::try_from(batch.len()).expect("a page is small")
}

#[cfg(test)]
mod tests {
    use weir_kinesis::{
        client::ServiceSettings,
        local::{LocalEndpoint, LocalSettings},
    };

    use super::*;

    #[test]
    fn error_of_a_later_call_says_how_many_records_are_in_the_stream() {
        let endpoint = LocalEndpoint::spawn_thread("127.0.0.1:0", LocalSettings::default()).unwrap();
        endpoint.create_stream("S", 1).unwrap();
        let settings = ServiceSettings {
            endpoint_url: Some(endpoint.url()),
            region: Some("us-east-1".to_owned()),
            access_key_id: Some("id".to_owned()),
            secret_access_key: Some("secret".to_owned()),
            ..ServiceSettings::default()
        };
        let entry = |key: &str| PutEntry { key: key.to_owned(), explicit_hash: None, data: "x".into() };
        facade::run_here(async {
            let client = Client::connect(&settings).await.unwrap();
            let mut count = 0;
            let _ = put_all(&client, "S", vec![entry("1"), entry("2")], &mut count).await.unwrap();
            assert_eq!(count, 2);
            let failed = put_all(&client, "S", vec![entry(&"k".repeat(257))], &mut count).await.unwrap_err();
            let said = failed.to_string();
            assert!(said.contains("2 record(s) before that are in the stream"), "{said}");
            assert_eq!(endpoint.record_count("S"), 2);
        })
        .unwrap();
    }
}
