//! The simulator: reader, workers, owners and the stream model in one thread, one seed a history.
//!
//! `WEIR_HISTORIES=N` plays more of them, `WEIR_SEED=S` begins at a seed; a failure prints the seed that shows it.

mod check;
mod history;
mod reader;
mod stage;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use history::History;
use weir_kinesis::protocol::sabotage as protocol_bugs;
use weir_runtime::sabotage as runtime_bugs;
use weir_window::sabotage as window_bugs;
use world::{Outcome, World};

/// Within how many histories each planted bug has to be found.
const FOUND_WITHIN: u64 = 1_000;

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().map_or(default, |text| text.parse().expect("a number"))
}

/// A broken invariant panics; in a history it is a finding like any other.
fn play(history: History) -> Result<Outcome, String> {
    catch_unwind(AssertUnwindSafe(|| World::play(history)))
        .unwrap_or_else(|panic| Err(format!("panicked: {}", weir_runtime::facade::panic_text(&*panic))))
}

#[test]
fn every_history_counts_each_record_once_in_each_of_its_windows() {
    let (first, count) = (number("WEIR_SEED", 0), number("WEIR_HISTORIES", 400));
    let (mut records, mut rows, mut cuts, mut shared, mut held, mut reshards) = (0, 0, 0, 0, 0, 0);
    for seed in first..first + count {
        let history = History::of(seed);
        match play(history.clone()) {
            Ok(outcome) => {
                records += outcome.records;
                rows += outcome.rows.len();
                cuts += outcome.cuts;
                held += outcome.held_bytes;
                reshards += outcome.reshards;
                shared += outcome.counters.iter().map(|counters| counters.blocks_from_others).sum::<u64>();
            }
            Err(error) => panic!("WEIR_SEED={seed} WEIR_HISTORIES=1: {error}\n{history:#?}"),
        }
    }
    println!(
        "{count} histories: {records} records, {reshards} splits and merges, {rows} rows, {cuts} cuts, {shared} blocks \
         between workers"
    );
    if count >= 100 {
        assert!(records > 0 && cuts > 0 && shared > 0 && held > 0 && reshards > 0, "histories that show nothing");
    }
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

fn is_found(bug: &str, plant: impl Fn(bool)) {
    plant(true);
    let found = (0..FOUND_WITHIN).find_map(|seed| play(History::of(seed)).err().map(|error| (seed, error)));
    plant(false);
    let (seed, error) = found.unwrap_or_else(|| panic!("{bug}: not found within {FOUND_WITHIN} histories"));
    println!("{bug}: found by seed {seed}: {error}");
    assert!(play(History::of(seed)).is_ok(), "without the bug, seed {seed} holds");
}

#[test]
fn dropped_hold_is_found() {
    is_found("dropped hold", |on| window_bugs::plant(on.then_some(window_bugs::Sabotage::DropHold)));
}

#[test]
fn watermark_sent_before_its_delta_is_found() {
    let bug = runtime_bugs::Bug::WatermarkBeforeDelta;
    is_found("watermark before delta", |on| runtime_bugs::plant(on.then_some(bug)));
}

#[test]
fn latest_that_is_not_pinned_is_found() {
    let bug = protocol_bugs::Sabotage::LatestNotPinned;
    is_found("LATEST not pinned", |on| protocol_bugs::plant(on.then_some(bug)));
}

#[test]
fn child_that_is_read_before_its_parents_is_found() {
    let bug = runtime_bugs::Bug::ChildBeforeParents;
    is_found("child before parents", |on| runtime_bugs::plant(on.then_some(bug)));
}

#[test]
fn margin_that_is_forgotten_is_found() {
    let bug = protocol_bugs::Sabotage::MarginForgotten;
    is_found("margin forgotten", |on| protocol_bugs::plant(on.then_some(bug)));
}
