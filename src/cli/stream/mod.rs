//! `weir stream`: streams made, looked at, written, read and resharded without a job.

mod manage;
mod put;
mod records;
mod reshard;

use std::{process::ExitCode, time::Duration};

use clap::{Args, Subcommand};
use weir_kinesis::{
    client::{Client, ServiceError, StreamSummary},
    protocol::ErrorKind,
};
use weir_runtime::facade;

use super::service::ServiceArgs;
use crate::{
    failure::{Exit, Failure},
    job,
};

/// Source: Kinesis API Reference, UpdateShardCount (read 2026-11-23): a stream scales up to 10 000 shards.
const SHARDS_MAX: u32 = 10_000;
/// How long a command waits for a stream to become what it should.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks at a stream; DescribeStreamSummary may be called 20 times a second.
const PAUSE: Duration = Duration::from_millis(200);

/// What `weir stream` takes.
#[derive(Debug, Args)]
pub(super) struct StreamArgs {
    #[command(subcommand)]
    command: StreamCommand,
}

#[derive(Debug, Subcommand)]
enum StreamCommand {
    /// Creates a stream and waits until it can be used
    Create(manage::CreateArgs),
    /// Says the names of all streams
    List(manage::ListArgs),
    /// Says a stream's state, shards and retention
    Describe(manage::DescribeArgs),
    /// Deletes a stream with its records and consumers
    Delete(manage::DeleteArgs),
    /// Splits a shard in two
    Split(reshard::SplitArgs),
    /// Merges two shards that are next to each other
    Merge(reshard::MergeArgs),
    /// Splits and merges until there are so many equal shards
    Scale(reshard::ScaleArgs),
    /// Puts one record, or each line of standard input
    Put(put::PutArgs),
    /// Prints the records of all shards up to now
    Get(records::GetArgs),
}

impl StreamCommand {
    fn service(&self) -> &ServiceArgs {
        match self {
            StreamCommand::Create(args) => &args.service,
            StreamCommand::List(args) => &args.service,
            StreamCommand::Describe(args) => &args.service,
            StreamCommand::Delete(args) => &args.service,
            StreamCommand::Split(args) => &args.service,
            StreamCommand::Merge(args) => &args.service,
            StreamCommand::Scale(args) => &args.service,
            StreamCommand::Put(args) => &args.service,
            StreamCommand::Get(args) => &args.service,
        }
    }
}

/// Does it on an executor of this thread.
pub(super) fn main(args: &StreamArgs) -> Result<ExitCode, Failure> {
    let settings = args.command.service().keys()?.into_settings();
    let done = facade::run_here(async {
        let client = Client::connect(&settings).await.map_err(failure)?;
        match &args.command {
            StreamCommand::Create(args) => manage::create(&client, args).await,
            StreamCommand::List(_) => manage::list(&client).await,
            StreamCommand::Describe(args) => manage::describe(&client, args).await,
            StreamCommand::Delete(args) => manage::delete(&client, args).await,
            StreamCommand::Split(args) => reshard::split(&client, args).await,
            StreamCommand::Merge(args) => reshard::merge(&client, args).await,
            StreamCommand::Scale(args) => reshard::scale(&client, args).await,
            StreamCommand::Put(args) => put::put(&client, &settings, args).await,
            StreamCommand::Get(args) => records::get(&client, args).await,
        }
    });
    done.map_err(|error| Failure::new(Exit::Environment, error.message).with_remedy(error.remedy))??;
    Ok(ExitCode::SUCCESS)
}

/// A call's error with the exit code of whoever has to act.
fn failure(error: ServiceError) -> Failure {
    let exit = match (error.kind, error.code.as_str()) {
        (ErrorKind::Region, "NoRegion" | "BadEndpoint" | "Proxy") => Exit::Usage,
        (ErrorKind::Tls, _) => Exit::Environment,
        _ => Exit::Service,
    };
    Failure::new(exit, error.to_string())
}

/// Waits until a stream is ACTIVE.
async fn until_active(client: &Client, stream: &str) -> Result<StreamSummary, Failure> {
    let patience = facade::now() + PATIENCE;
    loop {
        let summary = client.describe(stream).await.map_err(failure)?;
        if summary.status == "ACTIVE" {
            return Ok(summary);
        }
        if facade::now() > patience {
            let status = &summary.status;
            let message = format!("stream {stream} is still {status} after {} s", PATIENCE.as_secs());
            return Err(Failure::new(Exit::Service, message)
                .with_remedy(format!("look again later with weir stream describe {stream}")));
        }
        facade::sleep(PAUSE).await;
    }
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
