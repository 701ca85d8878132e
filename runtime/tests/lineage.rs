//! Shards that end and shards that follow them, on real cores: every record is in its window, and nothing waits for ever.

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::{End, Keep, Rows, Script, Scripts, node, submit, total};
use weir_runtime::control::JobReport;
use weir_runtime::ledger::Reason;
use weir_window::{EventTime, WindowSpec, counting, millis};

/// A job that is not over by then hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// A shard listed from the start, with a record every 10 ms of `times`.
fn shard(name: &'static str, parents: &[&'static str], times: std::ops::Range<i64>, end: End) -> Script {
    Script { name, parents: parents.to_vec(), listed: true, times: times.step_by(10).collect(), end }
}

fn found_later(script: Script) -> Script {
    Script { listed: false, ..script }
}

/// Counts all records of `scripts` in windows of a second every half, `lag_ms` behind, and compares with a recount.
fn counted(cores: usize, scripts: &[Script], lag_ms: i64) -> JobReport {
    let node = node(cores);
    let rows: Rows<()> = Rows::default();
    let (kept, source) = (rows.clone(), Scripts { shards: scripts.to_vec(), ..Scripts::default() });
    let job = submit(&node, move |p| {
        p.read_from(source.clone())
            .native_timestamps(millis(lag_ms))
            .window(WindowSpec::sliding(millis(1_000), millis(500)))
            .aggregate(counting())
            .write_to(Keep(kept.clone()));
    })
    .expect("it starts");
    let report = job.join_for(PATIENCE).expect("the job comes to its end");
    assert_eq!(report.error, None);
    let mut windows = BTreeMap::new();
    for row in rows.lock().expect("unpoisoned").iter() {
        assert_eq!(windows.insert(row.end, row.value), None, "emitted twice");
    }
    let mut expected = BTreeMap::new();
    for time in scripts.iter().flat_map(|script| &script.times) {
        for step in 1..=2 {
            *expected.entry(EventTime::from_millis(time.div_euclid(500) * 500 + step * 500)).or_insert(0) += 1;
        }
    }
    assert_eq!(windows, expected);
    assert_eq!((total(&report, |worker| worker.late), total(&report, |worker| worker.open)), (0, 0));
    report
}

// p |=====> then c |=====>, both listed: c is a hold at the beginning of time until p is drained
#[test]
fn listed_child_does_not_keep_its_parent_from_being_read() {
    for cores in [1, 2] {
        let scripts =
            [shard("p", &[], 0..60_000, End::Children(vec!["c"])), shard("c", &["p"], 60_000..61_000, End::Over)];
        counted(cores, &scripts, 100);
    }
}

// cold |=>                                c holds W at the end of `cold`
// warm |=============================>    and yet `warm` has to be read to its end
//                                     c |=>
#[test]
fn merged_child_does_not_keep_its_warmer_parent_from_being_read() {
    for (cores, listed) in [(1, true), (2, true), (1, false), (2, false)] {
        let child = shard("c", &["cold", "warm"], 60_000..61_000, End::Over);
        let scripts = [
            shard("cold", &[], 0..500, End::Children(vec!["c"])),
            shard("warm", &[], 0..60_000, End::Children(vec!["c"])),
            if listed { child } else { found_later(child) },
        ];
        counted(cores, &scripts, 100);
    }
}

#[test]
fn empty_parent_of_a_merge_holds_nobody_up() {
    let scripts = [
        shard("empty", &[], 0..0, End::Children(vec!["c"])),
        shard("warm", &[], 0..30_000, End::Children(vec!["c"])),
        shard("c", &["empty", "warm"], 30_000..31_000, End::Over),
    ];
    counted(2, &scripts, 100);
}

/// A worker that drains its last shard is out of the minimum: what it folded must have left it before.
#[test]
fn worker_without_shards_keeps_nothing_back() {
    let scripts = [
        shard("left", &[], 0..3_000, End::Children(vec!["c"])),
        shard("right", &[], 0..3_000, End::Children(vec!["c"])),
        found_later(shard("c", &["left", "right"], 3_000..9_000, End::Over)),
    ];
    let report = counted(2, &scripts, 2_000);
    assert!(report.workers.iter().all(|worker| worker.records_folded > 0), "both read: {report:?}");
}

#[test]
fn child_of_a_parent_that_ended_without_a_word_begins_where_it_ended() {
    let scripts = [shard("p", &[], 0..3_000, End::Over), shard("c", &["p"], 3_000..6_000, End::Over)];
    counted(2, &scripts, 100);
}

// gone |==>                           c follows both, and `gone` never named it
// warm |=====================> c |==>
#[test]
fn abandoned_shard_holds_neither_event_time_nor_who_follows_it() {
    for cores in [1, 2] {
        let scripts = [
            shard("gone", &[], 0..3_000, End::Abandoned),
            shard("warm", &[], 0..30_000, End::Children(vec!["c"])),
            shard("c", &["gone", "warm"], 30_000..31_000, End::Over),
        ];
        counted(cores, &scripts, 100);
    }
}

// The first listing names c and not its parent p; while c is read, p is found, and names c when it ends.
#[test]
fn parent_that_is_listed_after_its_child_began_does_not_hold_it_for_ever() {
    for cores in [1, 2] {
        let node = node(cores);
        let rows: Rows<()> = Rows::default();
        let kept = rows.clone();
        let shards = vec![
            found_later(shard("p", &[], 0..0, End::Children(vec!["c"]))),
            shard("c", &["p"], 0..2_000_000, End::Over),
        ];
        let scripts = Scripts { shards, discover_every: Some(Duration::from_millis(1)), ..Scripts::default() };
        let job = submit(&node, move |p| {
            p.read_from(scripts.clone())
                .native_timestamps(millis(0))
                .window(WindowSpec::tumbling(millis(1_000)))
                .aggregate(counting())
                .write_to(Keep(kept.clone()));
        })
        .expect("it starts");
        let give_up = std::time::Instant::now() + PATIENCE;
        while rows.lock().expect("unpoisoned").len() < 2_000 {
            let shown = rows.lock().expect("unpoisoned").len();
            assert!(std::time::Instant::now() < give_up, "{shown} windows of 2 000");
            std::thread::sleep(Duration::from_millis(5));
        }
        job.cancel();
        let report = job.join_for(PATIENCE).expect("cancelled");
        let lost = report.ledger.entries().map(|entry| (&*entry.place, entry.reason));
        // The test's sink counts nothing as written.
        let lost: Vec<_> = lost.filter(|(_, reason)| *reason != Reason::Unwritten).collect();
        assert_eq!(lost, [("p", Reason::FoundLate)]);
    }
}

#[test]
fn chain_of_splits_and_merges_counts_every_record_once() {
    for cores in [1, 2] {
        let scripts = [
            shard("a", &[], 0..5_000, End::Children(vec!["b", "c"])),
            found_later(shard("b", &["a"], 5_000..9_000, End::Children(vec!["d"]))),
            shard("c", &["a"], 5_000..30_000, End::Children(vec!["d"])),
            found_later(shard("d", &["b", "c"], 30_000..33_000, End::Children(vec!["e", "f"]))),
            found_later(shard("e", &["d"], 33_000..40_000, End::Over)),
            found_later(shard("f", &["d"], 33_000..34_000, End::Over)),
        ];
        counted(cores, &scripts, 700);
    }
}

// Two branches of one job: `far` is read from long ago, `near` from now; each has its own window.
#[test]
fn branch_that_is_far_behind_does_not_hold_up_another() {
    let node = node(1);
    let (near_rows, far_rows): (Rows<()>, Rows<()>) = Default::default();
    let (near_kept, far_kept) = (near_rows.clone(), far_rows.clone());
    let job = submit(&node, move |p| {
        for (script, kept) in [
            (shard("far", &[], 0..1_000, End::Never), far_kept.clone()),
            (shard("near", &[], 1_000_000..1_060_000, End::Over), near_kept.clone()),
        ] {
            p.read_from(Scripts { shards: vec![script], ..Scripts::default() })
                .native_timestamps(millis(0))
                .window(WindowSpec::tumbling(millis(1_000)))
                .aggregate(counting())
                .write_to(Keep(kept));
        }
    })
    .expect("it starts");
    let give_up = std::time::Instant::now() + PATIENCE;
    while near_rows.lock().expect("unpoisoned").len() < 60 {
        assert!(std::time::Instant::now() < give_up, "{} windows of 60", near_rows.lock().expect("unpoisoned").len());
        std::thread::sleep(Duration::from_millis(5));
    }
    job.cancel();
    assert_eq!(job.join_for(PATIENCE).expect("cancelled").error, None);
}
