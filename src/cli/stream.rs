//! `weir stream`: the least that is needed to check that a stream works.

use std::{collections::VecDeque, io::BufRead as _, process::ExitCode, time::Duration};

use clap::{Args, Subcommand};
use serde::Serialize;
use weir_kinesis::{
    client::{Client, GetRecordsAnswer, IteratorPosition, PutEntry, ServiceError},
    protocol::ErrorKind,
};
use weir_runtime::facade;

use super::{
    output::{Output, say},
    service::ServiceArgs,
};
use crate::{
    failure::{Exit, Failure},
    job::{self, StartAt},
    text::local_time,
};

/// Source: Kinesis API Reference, UpdateShardCount (read 2026-11-23): a stream scales up to 10 000 shards.
const SHARDS_MAX: u32 = 10_000;
/// Source: Kinesis API Reference, PutRecords (read 2026-11-23): 500 records a call.
const PUT_RECORDS_MAX: usize = 500;
/// Source: Kinesis API Reference, GetRecords (read 2026-11-23): 10 000 records a call, five calls a second a shard.
const GET_RECORDS_MAX: u32 = 10_000;
const READ_PAUSE: Duration = Duration::from_millis(200);
/// How long `create` waits for the stream to become ACTIVE.
const CREATE_PATIENCE: Duration = Duration::from_secs(120);

/// What `weir stream` takes.
#[derive(Debug, Args)]
pub(super) struct StreamArgs {
    #[command(subcommand)]
    command: StreamCommand,
}

#[derive(Debug, Subcommand)]
enum StreamCommand {
    /// Creates a stream and waits until it can be used
    Create(CreateArgs),
    /// Says a stream's state, shards and retention
    Describe(DescribeArgs),
    /// Puts one record, or each line of standard input
    Put(PutArgs),
    /// Prints the records of all shards up to now
    Get(GetArgs),
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// The stream
    #[arg(value_parser = name)]
    name: String,
    /// How many shards
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse_shards)]
    shards: u32,
    #[command(flatten)]
    service: ServiceArgs,
}

#[derive(Debug, Args)]
struct DescribeArgs {
    /// The stream
    #[arg(value_parser = name)]
    name: String,
    /// How to say it
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
    #[command(flatten)]
    service: ServiceArgs,
}

#[derive(Debug, Args)]
struct PutArgs {
    /// The stream
    #[arg(value_parser = name)]
    name: String,
    /// The record; each line of standard input is one unless given
    data: Option<String>,
    /// The partition key, 1 to 256 characters; records without one are spread evenly
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    #[command(flatten)]
    service: ServiceArgs,
}

#[derive(Debug, Args)]
struct GetArgs {
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
    service: ServiceArgs,
}

/// Does it on an executor of this thread.
pub(super) fn main(args: &StreamArgs) -> Result<ExitCode, Failure> {
    let service = match &args.command {
        StreamCommand::Create(args) => &args.service,
        StreamCommand::Describe(args) => &args.service,
        StreamCommand::Put(args) => &args.service,
        StreamCommand::Get(args) => &args.service,
    };
    let settings = service.keys()?.into_settings();
    let done = facade::run_here(async {
        let client = Client::connect(&settings).await.map_err(failure)?;
        match &args.command {
            StreamCommand::Create(args) => create(&client, args).await,
            StreamCommand::Describe(args) => describe(&client, args).await,
            StreamCommand::Put(args) => put(&client, args).await,
            StreamCommand::Get(args) => get(&client, args).await,
        }
    });
    done.map_err(|error| Failure::new(Exit::Environment, error.message).with_remedy(error.remedy))??;
    Ok(ExitCode::SUCCESS)
}

/// A call's error with the exit code of whoever has to act.
fn failure(error: ServiceError) -> Failure {
    let exit = match (error.kind, error.code.as_str()) {
        (ErrorKind::Region, "NoRegion" | "BadEndpoint") => Exit::Usage,
        (ErrorKind::Tls, _) => Exit::Environment,
        _ => Exit::Service,
    };
    Failure::new(exit, error.to_string())
}

async fn create(client: &Client, args: &CreateArgs) -> Result<(), Failure> {
    client.create_stream(&args.name, args.shards).await.map_err(failure)?;
    let patience = facade::now() + CREATE_PATIENCE;
    loop {
        let summary = client.describe(&args.name).await.map_err(failure)?;
        if summary.status == "ACTIVE" {
            say(format_args!("created {} with {} shard(s)", summary.name, summary.open_shards));
            return Ok(());
        }
        if facade::now() > patience {
            let (name, status) = (&args.name, &summary.status);
            let message = format!("stream {name} is still {status} after {} s", CREATE_PATIENCE.as_secs());
            return Err(Failure::new(Exit::Service, message)
                .with_remedy(format!("look again later with weir stream describe {name}")));
        }
        facade::sleep(READ_PAUSE).await;
    }
}

async fn describe(client: &Client, args: &DescribeArgs) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Shown<'a> {
        name: &'a str,
        arn: &'a str,
        status: &'a str,
        open_shards: u32,
        retention_hours: u32,
        created_ms: i64,
        shards: Vec<&'a str>,
    }
    let summary = client.describe(&args.name).await.map_err(failure)?;
    let shards = client.list_shards(&args.name).await.map_err(failure)?;
    if args.output == Output::Json {
        let shown = Shown {
            name: &summary.name,
            arn: &summary.arn,
            status: &summary.status,
            open_shards: summary.open_shards,
            retention_hours: summary.retention_hours,
            created_ms: summary.created_ms,
            shards: shards.iter().map(|shard| shard.id.as_str()).collect(),
        };
        say(serde_json::to_string(&shown).expect("texts and numbers are JSON"));
        return Ok(());
    }
    say(format_args!("{} is {}, {}", summary.name, summary.status, summary.arn));
    say(format_args!("created {}", local_time::show_local(summary.created_ms)));
    say(format_args!("keeps records for {} h, {} open shard(s):", summary.retention_hours, summary.open_shards));
    for shard in shards {
        let state = if shard.last_sequence.is_some() { "closed" } else { "open" };
        let parents: Vec<_> = shard.parent.iter().chain(&shard.adjacent_parent).map(String::as_str).collect();
        let from = if parents.is_empty() { String::new() } else { format!(", from {}", parents.join(" and ")) };
        say(format_args!("  {} {state}, hash keys {} to {}{from}", shard.id, shard.first_hash, shard.last_hash));
    }
    Ok(())
}

async fn put(client: &Client, args: &PutArgs) -> Result<(), Failure> {
    if let Some(data) = &args.data {
        let placed = put_all(client, &args.name, vec![entry(args, data.clone())]).await?;
        say(format_args!("{placed}"));
        return Ok(());
    }
    let mut entries = Vec::new();
    let mut count = 0_u64;
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| Failure::usage(format!("cannot read standard input: {error}")))?;
        entries.push(entry(args, line));
        count += 1;
        if entries.len() == PUT_RECORDS_MAX {
            let _ = put_all(client, &args.name, std::mem::take(&mut entries)).await?;
        }
    }
    if !entries.is_empty() {
        let _ = put_all(client, &args.name, entries).await?;
    }
    say(format_args!("put {count} record(s)"));
    Ok(())
}

fn entry(args: &PutArgs, data: String) -> PutEntry {
    let key = args.key.clone().unwrap_or_else(|| fastrand::u64(..).to_string());
    PutEntry { key, explicit_hash: None, data: data.into() }
}

/// Puts until each is taken; where the last one is.
async fn put_all(client: &Client, stream: &str, mut entries: Vec<PutEntry>) -> Result<String, Failure> {
    let mut place = String::new();
    while !entries.is_empty() {
        let answer = match client.put_records(stream, entries.clone()).await {
            Ok(answer) => answer.entries,
            Err(error) if error.kind == ErrorKind::Throttled => Vec::new(),
            Err(error) => return Err(failure(error)),
        };
        let mut refused = Vec::new();
        let mut answers = VecDeque::from(answer);
        for entry in entries {
            match answers.pop_front() {
                Some(Ok(placed)) => place = format!("{} {}", placed.shard, placed.sequence),
                // Throttled, or a passing failure inside the service: each may be tried again.
                Some(Err(_)) | None => refused.push(entry),
            }
        }
        entries = refused;
        if !entries.is_empty() {
            facade::sleep(READ_PAUSE).await;
        }
    }
    Ok(place)
}

async fn get(client: &Client, args: &GetArgs) -> Result<(), Failure> {
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
                    left -= print(&shard.id, &answer, args.output);
                    let at_tip = answer.batch.is_empty() && answer.behind_ms.unwrap_or(0) == 0;
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

fn name(text: &str) -> Result<String, String> {
    check_name(text).map(|()| text.to_owned())
}

/// Refuses what is no stream's name.
///
/// # Errors
/// Says what one looks like.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    job::check_name(name).map_err(|problem| format!("{problem}, such as Tweets"))
}

/// Reads a number of shards.
pub(super) fn parse_shards(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(shards @ 1..=SHARDS_MAX) => Ok(shards),
        _ => Err(format!("`{}` is not a number of shards, 1 to {SHARDS_MAX}", text.escape_debug())),
    }
}
