//! Workloads and checks that the benchmarks share: seeded, so that every run does the same work.
//!
//! Each benchmark stands beside a bare loop that does the least the task could cost, and both must have the same
//! checksum, which is printed: a benchmark that computes something else says so at once.

use std::collections::BTreeMap;

/// The seed of every workload.
pub const SEED: u64 = 0x5745_4952;

/// A record as small as it can be: 16 bytes.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// Event time in ms, from 0; ascending.
    pub time: i64,
    /// Uniform in `0..keys`.
    pub key: u64,
}

/// `count` events over `panes` panes of `pane_ms`, evenly spread, with `keys` different keys.
pub fn events(count: usize, panes: usize, pane_ms: i64, keys: u64) -> Vec<Event> {
    let mut random = fastrand::Rng::with_seed(SEED);
    let span = i128::from(pane_ms) * i128::try_from(panes).expect("few panes");
    let count_wide = i128::try_from(count).expect("counts are small");
    (0..count_wide)
        .map(|i| Event {
            time: i64::try_from(i * span / count_wide).expect("less than the span"),
            key: random.u64(0..keys),
        })
        .collect()
}

/// Counts by (end of pane or window, key): what a benchmark computed, in a form that can be compared.
pub type Counts = BTreeMap<(i64, u64), u64>;

/// A number that two results share only if they are the same.
pub fn checksum(counts: &Counts) -> u64 {
    counts.iter().fold(SEED, |sum, ((end, key), count)| {
        [end.cast_unsigned(), *key, *count]
            .iter()
            .fold(sum, |sum, word| (sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23))
    })
}

/// Compares a result with the reference's and prints their checksum.
///
/// # Panics
/// If they differ.
pub fn agree(name: &str, result: &Counts, reference: &Counts) {
    assert_eq!(checksum(result), checksum(reference), "{name}: the result differs from the reference's");
    println!("{name}: {} results, checksum {:016x}", result.len(), checksum(result));
}

/// Whether to do as little as possible: not asked to measure (`cargo test`), or asked only to try (`--test`).
pub fn is_smoke() -> bool {
    let mut asked = false;
    for argument in std::env::args() {
        match argument.as_str() {
            "--bench" => asked = true,
            "--test" => return true,
            _ => (),
        }
    }
    !asked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_ascending_spread_evenly_and_the_same_in_every_run() {
        let events = events(1_000, 10, 50, 7);
        assert!(events.is_sorted_by_key(|event| event.time));
        assert_eq!(events.iter().filter(|event| event.time / 50 == 9).count(), 100);
        assert!(events.iter().all(|event| event.key < 7 && event.time < 500));
        assert_eq!(events[3].key, super::events(1_000, 10, 50, 7)[3].key);
    }

    #[test]
    #[should_panic(expected = "differs from the reference's")]
    fn different_results_do_not_agree() {
        agree("test", &Counts::from([((1, 2), 3)]), &Counts::from([((1, 2), 4)]));
    }
}
