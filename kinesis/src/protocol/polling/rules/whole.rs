//! All rules at once, against a shard that fails at random.

use std::time::Duration;

use proptest::prelude::*;

use super::super::fake_shard::{FakeShard, Faults, Put};
use super::*;
use crate::protocol::pacing::{CALL_INTERVAL, READ_BYTES_PER_S};

prop_compose! {
    fn puts()(gaps in prop::collection::vec((0u64..900, 0u64..30, prop_oneof![9 => 0usize..2_000, 1 => 0usize..400_000]), 0..150)) -> Vec<Put> {
        let mut at_ms = 0;
        gaps.into_iter().map(|(gap, skew_ms, bytes)| {
            at_ms += gap;
            Put { at_ms, skew_ms: skew_ms.min(at_ms), bytes }
        }).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn closed_shard_is_read_whole_once_and_in_order_whatever_fails(
        puts in puts(), failing_percent in 0u8..60, hollow_percent in 0u8..50, end_on_last_page: bool, seed: u64,
    ) {
        let last_ms = puts.last().map_or(0, |put| put.at_ms);
        let mut shard = FakeShard::new(puts, Faults { failing_percent, hollow_percent, end_on_last_page }, seed);
        shard.closed_at_ms = Some(last_ms + 500);
        let settings = PollingSettings { seed, margin_ms: 0, ..PollingSettings::default() };
        let (trace, _) = shard.read(settings, ReadFrom::TrimHorizon, 10_000_000);
        prop_assert_eq!(&trace.sequences, &(0..shard.puts.len()).collect::<Vec<_>>());
        prop_assert_eq!(trace.drained.map(|children| children.len()), Some(2));
        prop_assert_eq!((trace.failed, trace.gaps), (None, vec![]));
    }

    // What is stamped is readable at once here, up to 30 ms of skew: so that is the margin.
    #[test]
    fn evidence_never_exceeds_the_services_clock_nor_a_record_to_come(
        puts in puts(), failing_percent in 0u8..40, hollow_percent in 0u8..50, seed: u64,
    ) {
        let mut shard = FakeShard::new(puts, Faults { failing_percent, hollow_percent, end_on_last_page: false }, seed);
        let settings = PollingSettings { seed, margin_ms: 30, ..PollingSettings::default() };
        let (trace, _) = shard.read(settings, ReadFrom::TrimHorizon, 200_000);
        prop_assert_eq!(trace.sequences.len(), shard.puts.len());
        prop_assert!(!trace.evidence.is_empty());
        for (time_ms, sent_truth_ms, passed_on) in &trace.evidence {
            prop_assert!(*time_ms <= sent_truth_ms - 30, "{time_ms} > {sent_truth_ms} - 30");
            for index in *passed_on..shard.puts.len() {
                prop_assert!(shard.stamp_ms(index) >= *time_ms, "record {index} at {} came behind evidence {time_ms}", shard.stamp_ms(index));
            }
        }
        prop_assert!(trace.evidence.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn pace_never_exceeds_five_calls_nor_two_mebibytes_a_second(
        sizes in prop::collection::vec(0usize..900_000, 1..120), failing_percent in 0u8..50, seed: u64,
    ) {
        let puts = sizes.into_iter().map(|bytes| Put { at_ms: 0, skew_ms: 0, bytes }).collect();
        let mut shard = FakeShard::new(puts, Faults { failing_percent, ..Faults::default() }, seed);
        shard.page_records = 11;
        let settings = PollingSettings { seed, ..PollingSettings::default() };
        let (trace, _) = shard.read(settings, ReadFrom::TrimHorizon, 120_000);
        for pair in trace.sent.windows(2) {
            prop_assert!(pair[1].since(pair[0]) >= CALL_INTERVAL, "{pair:?}");
        }
        for (sent, bytes) in &trace.calls {
            let cost = Duration::from_secs_f64(*bytes as f64 / READ_BYTES_PER_S as f64);
            if let Some(next) = trace.sent.iter().find(|next| *next > sent) {
                prop_assert!(next.since(*sent) + Duration::from_micros(1) >= cost, "{bytes} bytes, then {:?}", next.since(*sent));
            }
        }
    }

    #[test]
    fn reader_resumed_at_any_page_loses_and_repeats_nothing(count in 1usize..3_000, cut in 0usize..6, seed: u64) {
        let puts = (0..count).map(|_| Put { at_ms: 0, skew_ms: 0, bytes: 300 }).collect();
        let mut shard = FakeShard::new(puts, Faults { failing_percent: 10, ..Faults::default() }, seed);
        shard.page_records = 700;
        let settings = PollingSettings { seed, ..PollingSettings::default() };
        let (first, machine) = shard.read(settings, ReadFrom::TrimHorizon, 300 * cut as u64 + 1);
        let (rest, _) = shard.read(settings, machine.position().to_string().parse().unwrap(), 100_000);
        let all: Vec<usize> = first.sequences.into_iter().chain(rest.sequences).collect();
        prop_assert_eq!(all, (0..count).collect::<Vec<_>>());
    }

    #[test]
    fn reader_resumed_behind_what_was_trimmed_reads_the_rest_and_says_so(
        count in 5usize..400, at in 0usize..400, trimmed in 1usize..500, seed: u64,
    ) {
        let (at, trimmed) = (at % count, trimmed.min(count));
        let puts = (0..count).map(|_| Put { at_ms: 0, skew_ms: 0, bytes: 30 }).collect();
        let faults = Faults { failing_percent: 20, hollow_percent: 30, ..Faults::default() };
        let mut shard = FakeShard::new(puts, faults, seed);
        shard.trimmed = trimmed;
        let settings = PollingSettings { seed, ..PollingSettings::default() };
        let (trace, _) = shard.read(settings, after(at as u64), 100_000);
        prop_assert_eq!(trace.sequences, ((at + 1).max(trimmed)..count).collect::<Vec<_>>());
        let held = at >= trimmed;
        prop_assert_eq!(trace.gaps.len(), usize::from(!held), "{:?}", trace.gaps);
    }
}
