//! `weir stream create`, `list`, `describe` and `delete`: streams as wholes.

use clap::Args;
use serde::Serialize;
use weir_kinesis::{client::Client, protocol::ErrorKind};
use weir_runtime::facade;

use super::{PATIENCE, PAUSE, failure, name, parse_shards, until_active};
use crate::{
    cli::{
        output::{Output, say},
        service::ServiceArgs,
    },
    failure::{Exit, Failure},
    text::local_time,
};

#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    /// The stream
    #[arg(value_parser = name)]
    name: String,
    /// How many shards
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse_shards)]
    shards: u32,
    #[command(flatten)]
    pub(super) service: ServiceArgs,
}

#[derive(Debug, Args)]
pub(super) struct DescribeArgs {
    /// The stream
    #[arg(value_parser = name)]
    name: String,
    /// How to say it
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
    #[command(flatten)]
    pub(super) service: ServiceArgs,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    pub(super) service: ServiceArgs,
}

#[derive(Debug, Args)]
pub(super) struct DeleteArgs {
    /// The stream; its records and consumers go with it
    #[arg(value_parser = name)]
    name: String,
    /// Do not wait until it is gone
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    pub(super) service: ServiceArgs,
}

pub(super) async fn create(client: &Client, args: &CreateArgs) -> Result<(), Failure> {
    client.create_stream(&args.name, args.shards).await.map_err(failure)?;
    let summary = until_active(client, &args.name).await?;
    say(format_args!("created {} with {} shard(s)", summary.name, summary.open_shards));
    Ok(())
}

pub(super) async fn list(client: &Client) -> Result<(), Failure> {
    client.list_streams().await.map_err(failure)?.into_iter().for_each(say);
    Ok(())
}

pub(super) async fn delete(client: &Client, args: &DeleteArgs) -> Result<(), Failure> {
    let name = &args.name;
    client.delete_stream(name).await.map_err(failure)?;
    if args.no_wait {
        say(format_args!("{name} is being deleted"));
        return Ok(());
    }
    let patience = facade::now() + PATIENCE;
    loop {
        match client.describe(name).await {
            Err(error) if error.kind == ErrorKind::NotFound => break,
            Err(error) => return Err(failure(error)),
            Ok(_) if facade::now() > patience => {
                let message = format!("stream {name} is still there after {} s", PATIENCE.as_secs());
                return Err(Failure::new(Exit::Service, message)
                    .with_remedy(format!("look again later with weir stream describe {name}")));
            }
            Ok(_) => facade::sleep(PAUSE).await,
        }
    }
    say(format_args!("deleted {name}"));
    Ok(())
}

pub(super) async fn describe(client: &Client, args: &DescribeArgs) -> Result<(), Failure> {
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
