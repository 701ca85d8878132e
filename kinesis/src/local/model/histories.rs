//! Random histories of a model, for tests of what is kept of it: every kind of change, at rising times.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

/// One call, so many ms after the one before.
#[derive(Clone, Debug)]
pub struct Step {
    pub elapsed_ms: i64,
    pub call: Call,
}

/// What is asked for. Streams are `s0` to `s2`; many calls are refused, which must change nothing.
#[derive(Clone, Debug)]
pub enum Call {
    Create { stream: u8, shards: u8, tagged: bool },
    Delete { stream: u8 },
    Put { stream: u8, keys: Vec<u8>, bytes: usize },
    Split { stream: u8, at: u128 },
    Merge { stream: u8, first: u8 },
    Scale { stream: u8, count: u8 },
    Tag { stream: u8, key: u8, on: bool },
    Consumer { stream: u8, name: u8, on: bool },
    Retention { stream: u8, hours: i64 },
    Setting { stream: u8, which: u8 },
    ReadAll { stream: u8 },
}

pub const T0: i64 = 1_795_395_060_708;

/// So many steps at most.
pub fn histories(steps_max: usize) -> impl Strategy<Value = Vec<Step>> {
    let stream = 0_u8..3;
    let call = prop_oneof![
        2 => (stream.clone(), 1_u8..4, any::<bool>()).prop_map(|(stream, shards, tagged)| Call::Create { stream, shards, tagged }),
        1 => stream.clone().prop_map(|stream| Call::Delete { stream }),
        8 => (stream.clone(), prop::collection::vec(any::<u8>(), 1..6), 0_usize..3_000)
            .prop_map(|(stream, keys, bytes)| Call::Put { stream, keys, bytes }),
        2 => (stream.clone(), any::<u128>()).prop_map(|(stream, at)| Call::Split { stream, at }),
        2 => (stream.clone(), 0_u8..4).prop_map(|(stream, first)| Call::Merge { stream, first }),
        1 => (stream.clone(), 1_u8..6).prop_map(|(stream, count)| Call::Scale { stream, count }),
        1 => (stream.clone(), 0_u8..3, any::<bool>()).prop_map(|(stream, key, on)| Call::Tag { stream, key, on }),
        1 => (stream.clone(), 0_u8..3, any::<bool>()).prop_map(|(stream, name, on)| Call::Consumer { stream, name, on }),
        1 => (stream.clone(), 24_i64..60).prop_map(|(stream, hours)| Call::Retention { stream, hours }),
        1 => (stream.clone(), 0_u8..6).prop_map(|(stream, which)| Call::Setting { stream, which }),
        1 => stream.prop_map(|stream| Call::ReadAll { stream }),
    ];
    // Now and then a day passes, which is a retention.
    let elapsed_ms = prop_oneof![6 => 0_i64..700, 1 => 0_i64..90_000_000];
    let step = (elapsed_ms, call).prop_map(|(elapsed_ms, call)| Step { elapsed_ms, call });
    prop::collection::vec(step, 1..steps_max)
}

/// Makes the call. Whether it is refused does not matter.
pub fn take(model: &mut Model, now_ms: i64, call: &Call) {
    let name = |stream: &u8| format!("s{stream}");
    let open = |model: &Model, stream: &str| -> Vec<(String, HashKeyRange)> {
        let stream = model.streams.get(stream);
        stream.map_or_else(Vec::new, |stream| {
            stream.shards.open().map(|shard| (shard.id.to_string(), shard.range)).collect()
        })
    };
    match call {
        Call::Create { stream, shards, tagged } => {
            let name = name(stream);
            let tags = tagged.then(|| Tags::from([("k".to_owned(), "v".to_owned())]));
            let request = CreateStreamRequest { tags, ..CreateStreamRequest::provisioned(&name, u32::from(*shards)) };
            let _ = model.create_stream(now_ms, request);
        }
        Call::Delete { stream } => drop(model.delete_stream(now_ms, &name(stream), true)),
        Call::Put { stream, keys, bytes } => {
            let texts: Vec<_> = keys.iter().map(|key| format!("ключ-{key}")).collect();
            // Some by their own hash key, at either end of the range.
            let explicit = |key: u8| {
                (key.is_multiple_of(5)).then_some(if key > 127 {
                    "340282366920938463463374607431768211455"
                } else {
                    "0"
                })
            };
            let entries = texts.iter().zip(keys).map(|(text, key)| PutEntry {
                partition_key: text,
                explicit_hash_key: explicit(*key),
                data: Bytes::from(vec![*key; *bytes]),
            });
            let _ = model.put_records(now_ms, &name(stream), entries.collect());
        }
        Call::Split { stream, at } => {
            let found = open(model, &name(stream)).into_iter().find(|(_, range)| range.contains(*at));
            found
                .into_iter()
                .for_each(|(shard, _)| drop(model.split_shard(now_ms, &name(stream), &shard, &at.to_string())));
        }
        Call::Merge { stream, first } => {
            let open = open(model, &name(stream));
            let pair = open.get(usize::from(*first)..usize::from(*first) + 2);
            pair.into_iter().for_each(|pair| drop(model.merge_shards(now_ms, &name(stream), &pair[0].0, &pair[1].0)));
        }
        Call::Scale { stream, count } => drop(model.update_shard_count(now_ms, &name(stream), i64::from(*count))),
        Call::Tag { stream, key, on: true } => {
            drop(model.add_tags(now_ms, &name(stream), Tags::from([(key.to_string(), now_ms.to_string())])));
        }
        Call::Tag { stream, key, on: false } => drop(model.remove_tags(now_ms, &name(stream), &[key.to_string()])),
        Call::Consumer { stream, name: consumer, on } => {
            let (arn, consumer) = (model.stream_arn(&name(stream)), format!("c{consumer}"));
            match on {
                true => drop(model.register_consumer(now_ms, &arn, &consumer, None)),
                false => {
                    drop(model.deregister_consumer(now_ms, ConsumerName::Of { stream_arn: &arn, name: &consumer }));
                }
            }
        }
        Call::Retention { stream, hours } => {
            let _ = model.increase_retention(now_ms, &name(stream), *hours);
            let _ = model.decrease_retention(now_ms, &name(stream), *hours);
        }
        Call::Setting { stream, which } => {
            let name = name(stream);
            match which {
                0 => drop(model.update_stream_mode(now_ms, &name, StreamMode::OnDemand)),
                1 => drop(model.update_stream_mode(now_ms, &name, StreamMode::Provisioned)),
                2 => drop(model.update_max_record_size(now_ms, &name, 2_048)),
                3 => drop(model.start_encryption(now_ms, &name, "alias/key")),
                4 => drop(model.stop_encryption(now_ms, &name, "alias/key")),
                _ => drop(model.change_monitoring(now_ms, &name, true, ["IncomingBytes"].into_iter())),
            }
        }
        Call::ReadAll { stream } => {
            for (shard, _) in open(model, &name(stream)) {
                let iterator = model.get_shard_iterator(now_ms, &name(stream), &shard, IteratorPosition::TrimHorizon);
                iterator.into_iter().for_each(|iterator| drop(model.get_records(now_ms, &iterator, None)));
            }
        }
    }
}

/// All that a model is, at a time, but for what a shard has had of its limits.
pub fn state(model: &mut Model, now_ms: i64) -> Vec<String> {
    let _ = model.advance(now_ms);
    let now_ms = model.now_ms;
    // What has aged out is forgotten when somebody looks.
    model.streams.values_mut().for_each(|stream| stream.shards.trim(stream.horizon_ms(now_ms)));
    let mut state: Vec<_> =
        model.beginning().iter().map(|entry| String::from_utf8(entry[1..].to_vec()).expect("JSON")).collect();
    for stream in model.streams.keys() {
        let records = model.all_records(stream).map(|(shard, record)| format!("{stream} {shard} {record:?}"));
        state.extend(records);
    }
    state.push(format!("{} bytes", model.held_bytes()));
    state
}

/// Settings under which much happens within a history.
pub fn settings() -> ModelSettings {
    ModelSettings {
        seed: Some(7),
        create_delay_ms: 300,
        delete_delay_ms: 300,
        update_delay_ms: 300,
        memory_bytes_max: Some(60_000),
        stamps_may_fall: true,
        throughput_limits: true,
        ..ModelSettings::default()
    }
}
