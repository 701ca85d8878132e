//! Shards that end, and shards that are gone.

use super::*;

/// Lists until the machine does something else.
fn list(reader: &mut Reader, shards: &[crate::protocol::ShardInfo]) -> usize {
    let mut listings = 0;
    while reader.action == Action::ListShards {
        listings += 1;
        reader.tell(Input::Shards(shards.to_vec()));
        if matches!(reader.action, Action::Sleep { .. }) {
            reader.sleep_ms();
        }
    }
    listings
}

#[test]
fn aged_out_shard_ends_with_a_gap_and_missing_stream_fails() {
    let children = [child_of_range("shardId-000000000001", 0, 9), child_of_range("shardId-000000000002", 10, 19)];
    let mut reader = Reader::reading();
    reader.answer(batch(&[(41, 5)]), Some("i1"), Some(0));
    reader.sleep_ms();
    reader.fail(ErrorKind::NotFound);
    assert_eq!(list(&mut reader, &children), 3, "one listing may be behind");
    let [Notice::Gap { range: Some(range), .. }, Notice::Drained { children: seen }] = &reader.notices[..] else {
        panic!("{:?}", reader.notices)
    };
    assert_eq!((range.as_str(), seen.len()), ("after 41", 2));
    assert_eq!(reader.action, Action::Finished);

    let mut reader = Reader::reading();
    reader.fail(ErrorKind::NotFound);
    reader.fail(ErrorKind::NotFound);
    assert!(matches!(reader.action, Action::Failed { kind: ErrorKind::NotFound, .. }));
}

#[test]
fn aged_out_shard_whose_children_nobody_knows_is_abandoned_and_not_at_the_end_of_time() {
    let mut reader = Reader::reading();
    reader.fail(ErrorKind::NotFound);
    let grandchild = crate::protocol::ShardInfo { parents: vec![], ..child("shardId-000000000007") };
    list(&mut reader, &[grandchild]);
    assert!(matches!(reader.notices[..], [Notice::Gap { range: None, .. }, Notice::Abandoned]), "{:?}", reader.notices);
}

#[test]
fn closed_shard_hands_on_its_last_records_before_its_children() {
    let mut reader = Reader::reading();
    let children = vec![child("shardId-000000000001"), child("shardId-000000000002")];
    reader.answer_with(batch(&[(1, 5)]), None, Some(0), Some(SERVICE_MS), children.clone());
    let [Notice::Records(_), Notice::Drained { children: seen }] = &reader.notices[..] else {
        panic!("{:?}", reader.notices)
    };
    assert_eq!((*seen).clone(), children);
    assert_eq!(reader.action, Action::Finished);
}

#[test]
fn children_that_the_answer_does_not_name_all_are_looked_up_until_all_are_known() {
    let stranger =
        crate::protocol::ShardInfo { id: Arc::from("shardId-9"), parents: vec![Arc::from("shardId-8")], range: None };
    let own = crate::protocol::ShardInfo { parents: vec![], ..child(SHARD) };
    let (low, high) = (child_of_range("shardId-000000000001", 0, 9), child_of_range("shardId-000000000002", 10, 19));
    for children in [vec![], vec![stranger.clone()], vec![low.clone()]] {
        let mut reader = Reader::reading();
        reader.answer_with(batch(&[]), None, Some(0), None, children);
        assert_eq!(reader.action, Action::ListShards);
        let mut said = 0;
        for _ in 0..20 {
            reader.tell(Input::Shards(vec![own.clone(), stranger.clone(), low.clone()]));
            said += usize::from(reader.troubled());
            assert!(!reader.notices.iter().any(|notice| matches!(notice, Notice::Drained { .. })), "half of a split");
            reader.sleep_ms();
            assert_eq!(reader.action, Action::ListShards, "the listing may be behind");
        }
        assert_eq!(said, 16, "from the fifth on it is said");
        reader.tell(Input::Shards(vec![stranger.clone(), high.clone(), low.clone()]));
        assert!(matches!(&reader.notices[..], [Notice::Drained { children }] if children.len() == 2));
    }
}

#[test]
fn closed_shard_that_aged_out_before_its_children_were_named_waits_for_none_that_is_gone() {
    let own = crate::protocol::ShardInfo { parents: vec![], ..child(SHARD) };
    let grandchild = crate::protocol::ShardInfo {
        parents: vec![Arc::from("shardId-000000000002")],
        ..child("shardId-000000000007")
    };
    let low = child_of_range("shardId-000000000001", 0, 9);
    for named in [vec![], vec![low]] {
        let mut reader = Reader::reading();
        reader.answer_with(batch(&[(41, 5)]), None, Some(0), None, vec![]);
        let listing: Vec<_> = named.iter().chain([&grandchild]).cloned().collect();
        // Two without it, one with it, and then it is gone: a single listing may be behind.
        for shards in [&listing, &listing, &vec![own.clone()], &listing, &listing] {
            assert_eq!(reader.action, Action::ListShards);
            reader.tell(Input::Shards(shards.clone()));
            assert!(reader.notices.iter().all(|notice| matches!(notice, Notice::Trouble(_))), "{:?}", reader.notices);
            reader.sleep_ms();
        }
        reader.tell(Input::Shards(listing));
        let [Notice::Gap { range: Some(range), what }, end] = &reader.notices[..] else {
            panic!("{:?}", reader.notices)
        };
        assert!(range.contains("41"), "{range}");
        assert_eq!(
            *what,
            format!(
                "{SHARD}: the shard was read to its end, but aged out of the listings before they named all of its children: \
                 what those held that are not named ({} are) is missing",
                named.len()
            )
        );
        let expected = if named.is_empty() { Notice::Abandoned } else { Notice::Drained { children: named } };
        assert_eq!(format!("{end:?}"), format!("{expected:?}"));
        assert_eq!(reader.action, Action::Finished);
    }
}
