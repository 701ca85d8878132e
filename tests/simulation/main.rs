//! The simulator: reader, workers, owners and the stream model in one thread, one seed a history.
//!
//! `WEIR_HISTORIES=N` plays more of them, `WEIR_SEED=S` begins at a seed, `WEIR_BUG=NAME` plants a bug; a failure prints
//! the seed that shows it. What is simulated and what is not: `docs/simulator.md`.

mod bugs;
mod check;
mod faults;
mod history;
mod reader;
mod stage;
mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bugs::Planted;
use history::History;
use world::{Outcome, World};

/// Within how many histories each planted bug has to be found.
const FOUND_WITHIN: u64 = 1_000;

/// How many histories may fail before the rest is not played any more.
const FAILURES_MAX: usize = 10;

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().map_or(default, |text| text.parse().expect("a number"))
}

/// A broken invariant panics; in a history it is a finding like any other.
fn play(history: History) -> Result<Outcome, String> {
    catch_unwind(AssertUnwindSafe(|| World::play(history)))
        .unwrap_or_else(|panic| Err(format!("panicked: {}", weir_runtime::facade::panic_text(&*panic))))
}

/// What a run of the histories has to have shown somewhere.
const FEATURES: &[&str] = &[
    "records in windows",
    "blocks between workers",
    "cuts of checkpoints",
    "splits",
    "merges",
    "sinks that refused",
    "requests lost",
    "answers lost",
    "answers cut half-way",
    "calls throttled at random",
    "calls answered with a 5xx",
    "iterators expired at random",
    "iterators expired by the clock",
    "listings that were behind",
    "listings of control that failed",
    "calls in a storm of refusals",
    "calls in a storm of resets",
    "calls in a storm of cuts",
    "calls in a storm of slow answers",
    "calls in a storm of 5xx",
    "calls in a storm of throttles",
    "reads of another consumer",
    "reads throttled by the limits",
    "iterators throttled by the limits",
    "puts throttled by the limits",
    "answers of more than a second's bytes",
    "service's clock stepped forward",
    "service's clock stepped back within the margin",
    "service's clock stepped back beyond the margin",
    "answers of a front end whose clock is off",
    "records late, all of them counted",
    "records behind evidence, all of them counted",
    "readers begun again at their last position",
    "readers that died",
    "readers refused for good",
    "jobs that settled",
    "jobs that were cancelled",
    "jobs that failed",
    "drains that were cut off",
    "records open at the end, all of them counted",
];

#[test]
fn every_history_counts_each_record_once_in_each_of_its_windows() {
    let (first, count) = (number("WEIR_SEED", 0), number("WEIR_HISTORIES", 400));
    bugs::plant(std::env::var("WEIR_BUG").ok().map(|name| bugs::named(&name)));
    let mut failed = Vec::new();
    let mut seen: BTreeMap<&str, (u64, u64)> = FEATURES.iter().map(|feature| (*feature, (0, 0))).collect();
    for seed in first..first + count {
        let history = History::of(seed);
        match play(history.clone()) {
            Ok(outcome) => {
                for (what, times) in outcome.seen {
                    let (histories, all) = seen.get_mut(what).unwrap_or_else(|| panic!("{what} is not in FEATURES"));
                    (*histories, *all) = (*histories + 1, *all + times);
                }
            }
            Err(error) => {
                println!("WEIR_SEED={seed} WEIR_HISTORIES=1: {error}");
                failed.push((seed, history));
            }
        }
        if failed.len() == FAILURES_MAX {
            break;
        }
    }
    if let Some((seed, history)) = failed.first() {
        panic!("{} histories failed, the first by WEIR_SEED={seed}: {history:#?}", failed.len());
    }
    println!("seeds {first} to {}: {count} histories, of which so many saw so many", first + count - 1);
    FEATURES.iter().for_each(|what| println!("{:>8} {:>10} {what}", seen[what].0, seen[what].1));
    // Some are rare; what every run of some size must show comes first.
    let needed = if count >= 1_000 {
        FEATURES
    } else if count >= 100 {
        &FEATURES[..5]
    } else {
        &[]
    };
    let missing: Vec<&&str> = needed.iter().filter(|what| seen[**what].0 == 0).collect();
    assert!(missing.is_empty(), "histories that never show {missing:?}");
}

#[test]
fn same_seed_gives_the_same_history() {
    for seed in [3, 17, 99] {
        let outcome = || play(History::of(seed)).expect("it holds");
        assert_eq!(outcome(), outcome(), "seed {seed}");
    }
}

/// A week in an optimised build, some hours in a debug one.
#[test]
fn idle_stream_costs_no_more_after_a_week_than_after_an_hour() {
    let hours: u32 = if cfg!(debug_assertions) { 6 } else { 7 * 24 };
    let outcome = play(History::idle(hours)).expect("it holds");
    assert!(outcome.records > 0 && !outcome.rows.is_empty(), "{outcome:?}");
    assert!(outcome.waiting_max < 50, "{} events waited at once", outcome.waiting_max);
    assert!(outcome.held_bytes < 1 << 20, "{} bytes are held", outcome.held_bytes);
    // A poll a second and shard: asked, served, answered, passed on by its worker, shown by the owner and returned.
    let seconds = u64::from(hours) * 3_600;
    assert!(outcome.events < 24 * seconds, "{} events in {seconds} s", outcome.events);
}

/// Plays the seed with the bug, and those before it too where that is cheap.
fn first_found(planted: &Planted) -> Option<(u64, String)> {
    let from = if cfg!(debug_assertions) { planted.seed } else { 0 };
    bugs::plant(Some(planted.bug));
    let found = (from..FOUND_WITHIN).find_map(|seed| play(History::of(seed)).err().map(|error| (seed, error)));
    bugs::plant(None);
    found
}

#[test]
fn planted_bugs_are_found_by_the_seeds_that_are_said_to_find_them() {
    let mut moved = Vec::new();
    for planted in bugs::PLANTED {
        let Planted { name, seed, .. } = planted;
        let found = first_found(planted);
        let (found, error) = found.unwrap_or_else(|| panic!("{name}: not found within {FOUND_WITHIN} histories"));
        println!("{name}: first found by seed {found}: {}", error.chars().take(200).collect::<String>());
        if found != *seed {
            moved.push(format!("{name}: {found}, not {seed}"));
        }
        assert!(play(History::of(found)).is_ok(), "without the bug, seed {found} holds");
    }
    assert!(moved.is_empty(), "the table in bugs.rs and docs/simulator.md is to be renewed: {moved:?}");
}

#[test]
fn seeds_that_find_planted_bugs_are_those_of_the_docs() {
    let docs = include_str!("../../docs/simulator.md");
    for Planted { name, seed, .. } in bugs::PLANTED {
        let row = format!("| `{name}` | {seed} |");
        assert!(docs.contains(&row), "docs/simulator.md has no row {row}");
    }
}
