//! The minimum, its holds, and every order in which messages of different workers may arrive.

use super::*;
use crate::time::{EventTime, millis};

fn at(ms: i64) -> EventTime {
    EventTime::from_millis(ms)
}

fn mark(ms: i64) -> WorkerMark {
    WorkerMark::At(at(ms))
}

fn name(shard: &str) -> ShardName {
    shard.into()
}

#[test]
fn shard_moves_by_records_and_by_evidence_and_never_falls() {
    let mut shard = ShardWatermark::new(millis(10), at(0));
    shard.on_folded(at(5));
    assert_eq!(shard.current(), at(0));
    shard.on_folded(at(50));
    shard.on_folded(at(30));
    assert_eq!(shard.current(), at(40));
    shard.on_evidence(at(45));
    assert_eq!(shard.current(), at(40));
    shard.on_evidence(at(100));
    assert_eq!(shard.current(), at(90));
    shard.end();
    assert_eq!(shard.current(), EventTime::MAX);
}

#[test]
fn worker_is_at_its_slowest_shard_or_absent() {
    let mut worker = WorkerWatermark::new();
    assert_eq!((worker.mark(), worker.holder()), (WorkerMark::Absent, None));
    worker.attach(name("a"), ShardWatermark::new(millis(0), at(5)));
    worker.attach(name("b"), ShardWatermark::new(millis(0), at(9)));
    assert_eq!((worker.mark(), worker.holder()), (mark(5), Some(&name("a"))));
    worker.shard_mut("a").expect("attached").on_folded(at(20));
    assert_eq!((worker.mark(), worker.holder()), (mark(9), Some(&name("b"))));
    assert_eq!(worker.detach("b").map(|last| last.current()), Some(at(9)));
    assert_eq!((worker.mark(), worker.shard_mut("b")), (mark(20), None));
}

#[test]
fn owner_waits_for_every_shard_listed_at_the_start() {
    let mut owner = OwnerWatermark::new(2, [(name("a"), EventTime::MIN), (name("b"), EventTime::MIN)]);
    owner.on_begun(0, &name("a"), &[], mark(100));
    assert_eq!(owner.current(), EventTime::MIN);
    assert_eq!(owner.holder(), Some(Holder::Unread { shard: name("b"), parent: None }));
    owner.on_begun(1, &name("b"), &[], mark(70));
    assert_eq!((owner.current(), owner.holder()), (at(70), Some(Holder::Worker(1))));
}

#[test]
fn owner_stays_where_it_was_when_nothing_is_left_and_ends_when_told() {
    let mut owner = OwnerWatermark::new(2, []);
    assert_eq!((owner.current(), owner.holder()), (EventTime::MIN, None));
    owner.on_watermark(0, mark(5));
    owner.on_watermark(0, WorkerMark::Absent);
    assert_eq!((owner.current(), owner.holder()), (at(5), None));
    owner.on_watermark(1, WorkerMark::At(EventTime::MAX));
    assert_eq!(owner.current(), EventTime::MAX);
}

#[test]
fn watermark_does_not_fall_when_a_lagging_shard_begins() {
    let mut owner = OwnerWatermark::new(1, []);
    owner.on_watermark(0, mark(50));
    owner.on_begun(0, &name("found-late"), &[], mark(20));
    assert_eq!((owner.current(), owner.holder()), (at(50), Some(Holder::Worker(0))));
    owner.on_watermark(0, mark(60));
    assert_eq!(owner.current(), at(60));
}

#[test]
#[should_panic(expected = "the mark of worker 0 falls from 5 ms to 4 ms")]
fn mark_that_falls_without_a_shard_beginning_panics() {
    let mut owner = OwnerWatermark::new(1, []);
    owner.on_watermark(0, mark(5));
    owner.on_watermark(0, mark(4));
}

/// What an owner may receive from one worker, in order.
#[derive(Clone)]
enum Message {
    Records(i64),
    Mark(WorkerMark),
    Done(&'static str, &'static [(&'static str, i64)]),
    Begun(&'static str, &'static [&'static str], i64),
}

/// Delivers the workers' messages in every order that keeps each worker's own, and says in how many a record was met
/// behind the watermark, or something was left over at the end.
fn failing_orders(holds: &[(&str, i64)], queues: &[Vec<Message>], end: i64) -> (usize, usize) {
    fn walk(owner: &OwnerWatermark, queues: &[&[Message]], end: i64, orders: &mut (usize, usize)) {
        let mut at_end = true;
        for worker in 0..queues.len() {
            let Some((message, rest)) = queues[worker].split_first() else {
                continue;
            };
            at_end = false;
            let (mut owner, before) = (owner.clone(), owner.current());
            match message {
                Message::Records(first) if owner.current() > at(*first) => {
                    orders.0 += 1;
                    continue;
                }
                Message::Records(_) => (),
                Message::Mark(mark) => owner.on_watermark(worker, *mark),
                Message::Done(shard, children) => {
                    let children: Vec<_> = children.iter().map(|(c, ms)| (name(c), at(*ms))).collect();
                    owner.on_done(worker, &name(shard), &children);
                }
                Message::Begun(shard, parents, ms) => {
                    let parents: Vec<_> = parents.iter().map(|p| name(p)).collect();
                    owner.on_begun(worker, &name(shard), &parents, mark(*ms));
                }
            }
            assert!(owner.current() >= before, "the watermark fell");
            let mut queues = queues.to_vec();
            queues[worker] = rest;
            walk(&owner, &queues, end, orders);
        }
        if at_end {
            orders.1 += 1;
            if owner.current() != at(end) || owner.remembered() != 0 {
                orders.0 += 1;
            }
        }
    }
    let holds: Vec<_> = holds.iter().map(|(shard, ms)| (name(shard), at(*ms))).collect();
    let queues: Vec<_> = queues.iter().map(Vec::as_slice).collect();
    let mut orders = (0, 0);
    walk(&OwnerWatermark::new(queues.len(), holds), &queues, end, &mut orders);
    orders
}

/// Two parents, drained by different workers, become one child at a third.
fn merge() -> (Vec<(&'static str, i64)>, Vec<Vec<Message>>) {
    use Message::{Begun, Done, Mark, Records};
    let first = vec![Begun("a", &[], 50), Records(60), Done("a", &[("c", 70)]), Mark(WorkerMark::Absent)];
    let second =
        vec![Begun("b", &[], 40), Records(45), Mark(mark(90)), Done("b", &[("c", 90)]), Mark(WorkerMark::Absent)];
    let third = vec![Begun("c", &["a", "b"], 70), Records(70), Mark(mark(100))];
    (vec![("a", 30), ("b", 30)], vec![first, second, third])
}

/// A parent becomes two children, one at the worker that drained it.
fn split() -> (Vec<(&'static str, i64)>, Vec<Vec<Message>>) {
    use Message::{Begun, Done, Mark, Records};
    let first = vec![
        Begun("p", &[], 20),
        Records(30),
        Done("p", &[("l", 70), ("r", 70)]),
        Begun("l", &["p"], 70),
        Records(75),
        Mark(mark(120)),
    ];
    let second =
        vec![Begun("q", &[], 20), Records(25), Mark(mark(80)), Begun("r", &["p"], 70), Records(70), Mark(mark(110))];
    (vec![("p", 10), ("q", 10)], vec![first, second])
}

#[test]
fn no_record_is_met_behind_the_watermark_in_any_order_of_messages() {
    let (holds, queues) = merge();
    assert_eq!(failing_orders(&holds, &queues, 100), (0, 27_720));
    let (holds, queues) = split();
    assert_eq!(failing_orders(&holds, &queues, 110), (0, 924));
}

/// The walk above can fail: without holds at the start it does.
#[test]
fn without_holds_records_are_met_behind_the_watermark() {
    let (_, queues) = merge();
    assert!(failing_orders(&[], &queues, 100).0 > 0);
}

#[cfg(feature = "sabotage")]
#[test]
fn planted_loss_of_holds_is_found() {
    use crate::sabotage::{Sabotage, plant};
    let (holds, queues) = split();
    plant(Some(Sabotage::DropHold));
    let found = failing_orders(&holds, &queues, 110).0;
    plant(None);
    assert!(found > 0);
    assert_eq!(failing_orders(&holds, &queues, 110).0, 0);
}
