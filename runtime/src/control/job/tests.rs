//! What follows for a job from what its sources and workers say.

use super::*;
use crate::source::StartPosition;

fn listing(name: &str, parents: &[&str]) -> ShardListing {
    ShardListing {
        name: name.into(),
        parents: parents.iter().map(|parent| (*parent).into()).collect(),
        open: true,
        position: StartPosition("trim-horizon".into()),
    }
}

/// A job of one source on so many workers.
fn job(workers: usize, shards: Vec<ShardListing>, endless: bool) -> (Job, Assignments) {
    let listings = vec![Listing { shards, ..Listing::default() }];
    (Job::new(workers, listings, endless), Assignments::new(workers))
}

fn attached(job: &mut Job, assignments: &mut Assignments) -> Vec<(String, i64)> {
    let attached = job.attach(assignments).into_iter();
    let at = |at: AttachAt| match at {
        AttachAt::Time(at) => at.as_millis(),
        AttachAt::Highest => i64::MAX,
    };
    attached.map(|(_, a)| (a.shard.name.to_string(), at(a.at))).collect()
}

fn drained(shard: &str, at: i64, children: Vec<ShardListing>) -> DrainedShard {
    DrainedShard { source: 0, shard: shard.into(), watermark: EventTime::from_millis(at), children }
}

#[test]
fn merged_child_waits_for_both_parents_and_starts_at_the_lesser_end() {
    let (mut job, mut assignments) = job(2, vec![listing("a", &[]), listing("b", &[])], false);
    let min = EventTime::MIN.as_millis();
    assert_eq!(attached(&mut job, &mut assignments), [("a".into(), min), ("b".into(), min)]);
    job.on_drained(drained("a", 70, vec![listing("c", &["a", "b"])]), &mut assignments);
    assert_eq!(attached(&mut job, &mut assignments), []);
    job.on_drained(drained("b", 50, vec![listing("c", &["a", "b"])]), &mut assignments);
    assert_eq!(attached(&mut job, &mut assignments), [("c".into(), 50)]);
}

// Owners remember a parent of a shard that began until the parent's word has come. One that was abandoned says none.
#[test]
fn shard_begins_in_the_name_of_those_parents_alone_that_named_it() {
    let (mut job, mut assignments) =
        job(1, vec![listing("a", &[]), listing("b", &[]), listing("c", &["a", "b", "gone"])], true);
    let _ = job.attach(&mut assignments);
    job.on_drained(drained("a", 7, Vec::new()), &mut assignments);
    job.on_drained(drained("b", 9, vec![listing("c", &["a", "b"])]), &mut assignments);
    let (_, child) = job.attach(&mut assignments).remove(0);
    assert_eq!(child.shard.parents, ["b".into()]);
    assert_eq!(child.at, AttachAt::Time(EventTime::from_millis(7)), "it follows both");
}

#[test]
fn child_listed_beside_its_parent_waits_for_it() {
    let (mut job, mut assignments) = job(1, vec![listing("child", &["parent"]), listing("parent", &["gone"])], false);
    let min = EventTime::MIN.as_millis();
    assert_eq!(attached(&mut job, &mut assignments), [("parent".into(), min)]);
    job.on_drained(drained("parent", 9, vec![]), &mut assignments);
    assert_eq!(attached(&mut job, &mut assignments), [("child".into(), 9)]);
}

// y becomes x, x and p become c; the news that p became c comes before the news of x.
#[test]
fn child_waits_for_a_parent_that_nobody_has_heard_of_yet() {
    let (mut job, mut assignments) = job(1, vec![listing("y", &[]), listing("p", &[])], true);
    let _ = job.attach(&mut assignments);
    job.on_drained(drained("p", 5, vec![listing("c", &["p", "x"])]), &mut assignments);
    assert_eq!(attached(&mut job, &mut assignments), []);
    assert_eq!(job.take_awaited(), [(0, 0, "y".into(), true)], "x may follow it");
    // A listing from before c says nothing of its parents.
    job.on_listing(0, vec![listing("y", &[]), listing("p", &[])], 0);
    assert_eq!(attached(&mut job, &mut assignments), []);
    job.on_drained(drained("y", 4, vec![listing("x", &["y"])]), &mut assignments);
    assert_eq!(attached(&mut job, &mut assignments), [("x".into(), 4)]);
    job.on_drained(drained("x", 7, vec![listing("c", &["p", "x"])]), &mut assignments);
    assert_eq!(attached(&mut job, &mut assignments), [("c".into(), 5)]);
}

#[test]
fn parent_that_a_listing_with_its_child_does_not_name_is_not_waited_for() {
    let (mut job, mut assignments) = job(1, vec![listing("y", &[]), listing("p", &[])], true);
    let _ = job.attach(&mut assignments);
    job.on_drained(drained("p", 5, vec![listing("c", &["p", "aged"])]), &mut assignments);
    assert_eq!(attached(&mut job, &mut assignments), []);
    job.on_listing(0, vec![listing("y", &[]), listing("p", &[]), listing("c", &["p", "aged"])], 0);
    assert_eq!(attached(&mut job, &mut assignments), [("c".into(), 5)]);
}

#[test]
fn parents_of_a_waiting_shard_are_awaited_and_told_once() {
    let (mut job, mut assignments) = job(1, vec![listing("cold", &[]), listing("warm", &[])], true);
    assert!(job.attach(&mut assignments).iter().all(|(_, attachment)| !attachment.awaited));
    assert_eq!(job.take_awaited(), []);
    job.on_drained(drained("cold", 7, vec![listing("c", &["cold", "warm"])]), &mut assignments);
    assert_eq!(job.attach(&mut assignments).len(), 0);
    assert_eq!(job.take_awaited(), [(0, 0, "warm".into(), true)]);
    assert_eq!(job.take_awaited(), []);
}

#[test]
fn shard_found_by_a_listing_waits_for_its_parents_or_is_late() {
    let (mut job, mut assignments) = job(1, vec![listing("a", &[])], true);
    let _ = job.attach(&mut assignments);
    let found = vec![listing("a", &[]), listing("b", &["a"]), listing("lost", &["gone"]), listing("c", &["lost"])];
    job.on_listing(0, found, 5);
    assert_eq!(attached(&mut job, &mut assignments), [("lost".into(), i64::MAX)]);
    let entries: Vec<_> = job.ledger.entries().map(|entry| (&*entry.place, entry.reason, entry.at_ms)).collect();
    assert_eq!(entries, [("lost", Reason::FoundLate, 5)], "c follows a shard that is read");
    assert_eq!(job.take_awaited(), [(0, 0, "a".into(), true)], "and lost was told when it was attached");
    job.on_drained(drained("a", 9, vec![listing("b", &["a"])]), &mut assignments);
    assert_eq!(attached(&mut job, &mut assignments), [("b".into(), 9)]);
    for times in 0..MISSING_LISTINGS {
        assert!(job.sources[0].drained.contains_key("a"), "forgotten after {times} listings without it");
        job.on_listing(0, vec![listing("b", &["a"]), listing("lost", &[])], 6);
    }
    assert!(!job.sources[0].drained.contains_key("a"), "aged out, and nobody waits for it");
    assert_eq!(job.ledger.entries().count(), 1);
}

// p becomes c, c becomes d; a listing from before c arrives last.
#[test]
fn listing_that_is_older_than_what_is_known_brings_no_shard_back() {
    let (mut job, mut assignments) = job(1, vec![listing("p", &[])], true);
    let _ = job.attach(&mut assignments);
    for (parent, child) in [("p", "c"), ("c", "d")] {
        job.on_drained(drained(parent, 5, vec![listing(child, &[parent])]), &mut assignments);
        assert_eq!(attached(&mut job, &mut assignments), [(child.into(), 5)]);
    }
    job.on_listing(0, vec![listing("p", &[])], 0);
    job.on_listing(0, vec![listing("p", &[]), listing("c", &["p"]), listing("d", &["c"])], 0);
    assert_eq!(attached(&mut job, &mut assignments), []);
}

// c is listed without its parents; then p is found after all, and names c.
#[test]
fn parent_that_is_found_after_its_child_began_holds_nobody() {
    let (mut job, mut assignments) =
        job(2, vec![listing("a", &[]), listing("c", &["p"]), listing("m", &["a", "p"])], true);
    assert_eq!(attached(&mut job, &mut assignments).len(), 2);
    let found = vec![listing("a", &[]), listing("c", &["p"]), listing("m", &["a", "p"]), listing("p", &[])];
    job.on_listing(0, found, 5);
    assert_eq!(attached(&mut job, &mut assignments), [("p".into(), i64::MAX)]);
    job.on_drained(drained("a", 3, vec![listing("m", &["a", "p"])]), &mut assignments);
    assert_eq!(attached(&mut job, &mut assignments), [], "m had not begun, and waits for p");
    let worker = job.reading().iter().find(|(shard, _)| &**shard == "p").expect("it is read").1;
    job.on_drained(drained("p", 9, vec![listing("c", &["p"]), listing("m", &["a", "p"])]), &mut assignments);
    let begun = (worker, BegunBefore { source: 0, shard: "c".into(), parent: "p".into() });
    assert_eq!((job.take_begun(), job.take_begun()), (vec![begun], Vec::new()));
    assert_eq!(attached(&mut job, &mut assignments), [("m".into(), 3)]);
}

#[test]
fn job_that_looks_for_shards_is_not_over_until_it_is_stopped() {
    let (mut job, mut assignments) = job(1, vec![listing("a", &[])], true);
    let _ = job.attach(&mut assignments);
    job.on_settled(0, 1);
    assert!(!job.begin_finish());
    job.on_stop();
    job.on_settled(0, 1);
    assert!(job.begin_finish());
}

// p is read; c and d follow it, x leads to y, and nobody leads to x.
#[test]
fn listing_after_a_stop_brings_only_what_no_shard_that_is_read_leads_to() {
    let (mut job, mut assignments) = job(1, vec![listing("p", &[])], true);
    let _ = job.attach(&mut assignments);
    job.on_stop();
    job.on_settled(0, 1);
    let found =
        vec![listing("d", &["c"]), listing("p", &[]), listing("c", &["p"]), listing("x", &[]), listing("y", &["x"])];
    job.on_listing(0, found.clone(), 5);
    assert_eq!(attached(&mut job, &mut assignments), [("x".into(), i64::MAX)]);
    job.on_settled(0, 2);
    assert!(job.sources[0].waiting.keys().all(|shard| &**shard == "y"), "d and c keep nobody up");
    job.on_drained(drained("p", 9, vec![listing("c", &["p"])]), &mut assignments);
    assert_eq!(attached(&mut job, &mut assignments), [("c".into(), 9)], "its parent's word counts all the same");
}

#[test]
fn parent_that_aged_out_is_known_to_be_gone_after_a_stop_too() {
    let (mut job, mut assignments) = job(1, vec![listing("p", &[]), listing("open", &[])], true);
    let _ = job.attach(&mut assignments);
    job.on_stop();
    job.on_drained(drained("p", 5, vec![listing("c", &["p", "x"])]), &mut assignments);
    assert_eq!(attached(&mut job, &mut assignments), []);
    job.on_listing(0, vec![listing("open", &[]), listing("c", &["p", "x"])], 5);
    assert_eq!(attached(&mut job, &mut assignments), [("c".into(), 5)]);
}

#[test]
fn finishing_job_begins_no_shard_and_loses_none() {
    let (mut job, mut assignments) = job(1, vec![listing("p", &[])], true);
    let _ = job.attach(&mut assignments);
    assert!(job.force_finish());
    job.on_listing(0, vec![listing("p", &[]), listing("lost", &["gone"])], 5);
    job.on_drained(drained("p", 9, vec![listing("c", &["p"])]), &mut assignments);
    assert_eq!(attached(&mut job, &mut assignments), []);
    assert!(job.ledger.is_empty(), "nobody reads any more, so nobody misses a shard");
}

#[test]
fn settled_before_an_attachment_arrived_does_not_count() {
    let (mut job, mut assignments) = job(1, vec![listing("a", &[])], false);
    let _ = job.attach(&mut assignments);
    job.on_settled(0, 0);
    assert!(!job.begin_finish());
    job.on_settled(0, 1);
    assert!(job.begin_finish());
    assert!(!job.begin_finish(), "only once");
}
