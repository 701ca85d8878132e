//! `weir stream get`: what a stream holds up to now.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use weir_kinesis::{
    client::{Client, GetRecordsAnswer, IteratorPosition},
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

/// Source: Kinesis API Reference, GetRecords (read 2026-11-23): 10 000 records a call, five calls a second a shard.
const GET_RECORDS_MAX: u32 = 10_000;
const READ_PAUSE: Duration = Duration::from_millis(200);

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
