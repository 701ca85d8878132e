//! Calls that change a stream's shards. Each leaves the stream `UPDATING` for a while.

use aws_sdk_kinesis::types::ScalingType;
use futures_util::FutureExt;

use super::timing::TimingSlot;
use super::{Call, Client, Named, ServiceError};

impl Client {
    /// `SplitShard`: two children, the upper one of which begins at this hash key.
    pub fn split_shard(&self, stream: &str, shard: &str, at: u128) -> Call<()> {
        let (this, named, shard) = (self.clone(), Named::of(stream.to_owned()), shard.to_owned());
        async move {
            let request = this.0.control.split_shard().set_stream_name(named.name).set_stream_arn(named.arn);
            let request = request.shard_to_split(shard).new_starting_hash_key(at.to_string());
            send!(this, "SplitShard", request).map(drop)
        }
        .boxed_local()
    }

    /// `MergeShards`: one child of two neighbours.
    pub fn merge_shards(&self, stream: &str, shard: &str, adjacent: &str) -> Call<()> {
        let (this, named) = (self.clone(), Named::of(stream.to_owned()));
        let (shard, adjacent) = (shard.to_owned(), adjacent.to_owned());
        async move {
            let request = this.0.control.merge_shards().set_stream_name(named.name).set_stream_arn(named.arn);
            send!(this, "MergeShards", request.shard_to_merge(shard).adjacent_shard_to_merge(adjacent)).map(drop)
        }
        .boxed_local()
    }

    /// `UpdateShardCount`, uniform: so many shards of equal ranges, by splits and merges.
    pub fn update_shard_count(&self, stream: &str, shards: u32) -> Call<()> {
        let (this, named) = (self.clone(), Named::of(stream.to_owned()));
        async move {
            let shards = i32::try_from(shards).unwrap_or(i32::MAX);
            let request = this.0.control.update_shard_count().set_stream_name(named.name).set_stream_arn(named.arn);
            let request = request.target_shard_count(shards).scaling_type(ScalingType::UniformScaling);
            send!(this, "UpdateShardCount", request).map(drop)
        }
        .boxed_local()
    }
}
