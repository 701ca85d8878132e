//! `weir stream split`, `merge` and `scale`: a stream's shards, changed.

use clap::Args;
use weir_kinesis::client::{Client, ShardDescription};

use super::{failure, name, parse_shards, until_active};
use crate::{
    cli::{output::say, service::ServiceArgs},
    failure::{Exit, Failure},
};

#[derive(Debug, Args)]
pub(super) struct SplitArgs {
    /// The stream
    #[arg(value_parser = name)]
    name: String,
    /// The shard, such as shardId-000000000000 or 0
    #[arg(value_parser = shard)]
    shard: String,
    /// First hash key of the upper half; the middle unless given
    #[arg(long, value_name = "HASH_KEY", value_parser = hash_key)]
    at: Option<u128>,
    /// Do not wait until the stream is ACTIVE again
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    pub(super) service: ServiceArgs,
}

#[derive(Debug, Args)]
pub(super) struct MergeArgs {
    /// The stream
    #[arg(value_parser = name)]
    name: String,
    /// The shard, such as shardId-000000000000 or 0
    #[arg(value_parser = shard)]
    shard: String,
    /// The shard next to it, above or below
    #[arg(value_parser = shard)]
    adjacent: String,
    /// Do not wait until the stream is ACTIVE again
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    pub(super) service: ServiceArgs,
}

#[derive(Debug, Args)]
pub(super) struct ScaleArgs {
    /// The stream
    #[arg(value_parser = name)]
    name: String,
    /// How many shards of equal ranges, at most double and at least half of the present ones
    #[arg(value_parser = parse_shards)]
    count: u32,
    /// Do not wait until the stream is ACTIVE again
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    pub(super) service: ServiceArgs,
}

pub(super) async fn split(client: &Client, args: &SplitArgs) -> Result<(), Failure> {
    let at = match args.at {
        Some(at) => at,
        None => middle(client, args).await?,
    };
    client.split_shard(&args.name, &args.shard, at).await.map_err(failure)?;
    if args.no_wait {
        say(format_args!("{} is being split at {at}", args.shard));
        return Ok(());
    }
    let _ = until_active(client, &args.name).await?;
    say(format_args!("split {} at {at} into {}", args.shard, children(client, &args.name, &args.shard).await?));
    Ok(())
}

pub(super) async fn merge(client: &Client, args: &MergeArgs) -> Result<(), Failure> {
    client.merge_shards(&args.name, &args.shard, &args.adjacent).await.map_err(failure)?;
    let both = format!("{} and {}", args.shard, args.adjacent);
    if args.no_wait {
        say(format_args!("{both} are being merged"));
        return Ok(());
    }
    let _ = until_active(client, &args.name).await?;
    say(format_args!("merged {both} into {}", children(client, &args.name, &args.shard).await?));
    Ok(())
}

pub(super) async fn scale(client: &Client, args: &ScaleArgs) -> Result<(), Failure> {
    client.update_shard_count(&args.name, args.count).await.map_err(failure)?;
    if args.no_wait {
        say(format_args!("{} is being scaled to {} shard(s)", args.name, args.count));
        return Ok(());
    }
    let summary = until_active(client, &args.name).await?;
    say(format_args!("scaled {} to {} shard(s)", args.name, summary.open_shards));
    Ok(())
}

/// Where the upper half of a shard begins.
async fn middle(client: &Client, args: &SplitArgs) -> Result<u128, Failure> {
    let (name, shard) = (&args.name, &args.shard);
    let shards = client.list_shards(name).await.map_err(failure)?;
    let Some(found) = shards.iter().find(|listed| listed.id == *shard) else {
        let message = format!("stream {name} has no shard {shard}");
        return Err(
            Failure::new(Exit::Service, message).with_remedy(format!("weir stream describe {name} says which it has"))
        );
    };
    Ok(found.first_hash + (found.last_hash - found.first_hash) / 2 + 1)
}

/// The shards that took over from one.
async fn children(client: &Client, stream: &str, shard: &str) -> Result<String, Failure> {
    let of_it = |listed: &ShardDescription| {
        [&listed.parent, &listed.adjacent_parent].into_iter().any(|parent| parent.as_deref() == Some(shard))
    };
    let shards = client.list_shards(stream).await.map_err(failure)?;
    let ids: Vec<_> = shards.into_iter().filter(of_it).map(|listed| listed.id).collect();
    Ok(ids.join(" and "))
}

/// Reads a shard's id, which may be its number alone.
fn shard(text: &str) -> Result<String, String> {
    let number = text.strip_prefix("shardId-").unwrap_or(text);
    match number.parse::<u32>() {
        Ok(number) if text.bytes().all(|byte| byte != b'+') => Ok(format!("shardId-{number:012}")),
        _ => Err(format!("`{}` is not a shard, such as shardId-000000000000 or 0", text.escape_debug())),
    }
}

pub(super) fn hash_key(text: &str) -> Result<u128, String> {
    text.parse().map_err(|_| format!("`{}` is not a hash key, 0 to {}", text.escape_debug(), u128::MAX))
}

#[cfg(test)]
mod tests {
    use super::{hash_key, shard};

    #[test]
    fn shard_is_an_id_or_its_number() {
        assert_eq!(shard("7"), Ok("shardId-000000000007".to_owned()));
        assert_eq!(shard("shardId-000000000012"), Ok("shardId-000000000012".to_owned()));
        for odd in ["", "first", "-1", "+1", "shardId-"] {
            let said = shard(odd).expect_err("no shard");
            assert_eq!(said, format!("`{odd}` is not a shard, such as shardId-000000000000 or 0"));
        }
    }

    #[test]
    fn hash_key_has_128_bits() {
        assert_eq!(hash_key("340282366920938463463374607431768211455"), Ok(u128::MAX));
        for odd in ["340282366920938463463374607431768211456", "middle"] {
            assert!(
                hash_key(odd)
                    .expect_err("no key")
                    .ends_with("is not a hash key, 0 to 340282366920938463463374607431768211455")
            );
        }
    }
}
