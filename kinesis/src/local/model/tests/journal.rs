//! What is noted of a model's changes makes an equal one again.

use super::histories::{histories, settings, state, take};
use super::*;

/// What became of a history.
fn live(steps: &[histories::Step], mut each: impl FnMut(&mut Model, i64)) {
    let mut model = Model::new(settings());
    model.keep_journal();
    let mut now = T0;
    for step in steps {
        now += step.elapsed_ms;
        take(&mut model, now, &step.call);
        each(&mut model, now);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn entries_applied_as_they_come_make_an_equal_model_at_every_step(steps in histories(40)) {
        let mut copy = Model::new(settings());
        live(&steps, |model, now| {
            for entry in model.take_entries() {
                copy.apply(&entry).unwrap();
            }
            assert_eq!(state(model, now), state(&mut copy, now));
        });
    }

    #[test]
    fn log_that_begins_anywhere_makes_an_equal_model_but_for_the_records_before_it(
        steps in histories(40), begin in any::<prop::sample::Index>(),
    ) {
        let begin = begin.index(steps.len());
        let (mut log, mut step, mut before) = (Vec::new(), 0, None);
        live(&steps, |model, now| {
            let entries = model.take_entries();
            if step == begin {
                log = model.beginning();
                let taken: u64 = model.streams.values().map(|stream| stream.records_taken).sum();
                before = Some((state(model, now), taken));
                let mut copy = Model::new(settings());
                log.iter().for_each(|entry| copy.apply(entry).unwrap());
                assert_eq!(copy.streams.values().map(|stream| stream.records_taken).sum::<u64>(), taken);
            } else if step > begin {
                log.extend(entries);
            }
            step += 1;
            if step == steps.len() {
                let mut copy = Model::new(settings());
                log.iter().for_each(|entry| copy.apply(entry).unwrap());
                let of = |state: Vec<String>| state.into_iter().filter(|line| line.starts_with('{')).collect::<Vec<_>>();
                assert_eq!(of(state(model, now)), of(state(&mut copy, now)));
            }
        });
    }
}

#[test]
fn iterator_is_good_for_the_model_that_is_made_again_and_for_no_other() {
    let mut model = with_stream(1);
    model.keep_journal();
    model.token_seed = 99;
    let mut log = model.beginning();
    put(&mut model, T0, "a");
    log.extend(model.take_entries());
    let iterator = iterator(&mut model, T0, IteratorPosition::TrimHorizon);

    let mut again = Model::new(ModelSettings { seed: Some(3), ..ModelSettings::default() });
    log.iter().for_each(|entry| again.apply(entry).unwrap());
    assert_eq!(texts(&again.get_records(T0 + 1, &iterator, None).unwrap()), ["a"]);
    let late = again.get_records(T0 + 5 * MINUTE + 1, &iterator, None);
    refused(late, ErrorCode::ExpiredIterator, "the tolerated delay");
    refused(with_stream(1).get_records(T0, &iterator, None), ErrorCode::InvalidArgument, "Invalid ShardIterator.");
}

#[test]
fn reader_and_refused_call_leave_no_entry() {
    let mut model = with_stream(2);
    model.keep_journal();
    let first = iterator(&mut model, T0, IteratorPosition::TrimHorizon);
    model.get_records(T0 + 1, &first, None).unwrap();
    model.list_shards(T0 + 2, ListShardsRequest::of("s")).unwrap();
    model.describe_stream(T0 + 3, "s", None, None).unwrap();
    model.put_records(T0 + 4, "s", vec![entry("", "")]).unwrap_err();
    assert_eq!(model.take_entries(), Vec::<Vec<u8>>::new());
}

#[test]
fn entry_that_does_not_follow_is_refused_in_words() {
    let mut model = with_stream(1);
    model.keep_journal();
    let beginning = model.beginning();
    put(&mut model, T0, "a");
    let put = model.take_entries().pop().unwrap();
    let again = |entries: &[&[u8]], settings| {
        let mut again = Model::new(settings);
        entries.iter().try_for_each(|entry| again.apply(entry)).unwrap_err()
    };
    let ours = ModelSettings::default;
    assert!(again(&[&put], ours()).ends_with("that is not there"));
    let all: Vec<&[u8]> = [&beginning[0][..], &beginning[1], &put, &put].to_vec();
    assert!(again(&all, ours()).contains("behind one of"));
    assert!(again(&[&beginning[0], &beginning[1], &put[..put.len() - 1]], ours()).contains("shorter than it says"));
    assert_eq!(again(&[&[9]], ours()), "kind 9 of entry is unknown to this version");
    assert_eq!(again(&[&[]], ours()), "an empty entry");
    let elsewhere = ModelSettings { region: "eu-west-1".to_owned(), ..ours() };
    let said = again(&[&beginning[0]], elsewhere);
    assert_eq!(said, "it is of account 000000000000 in us-east-1, not of 000000000000 in eu-west-1");
    let torn_range = String::from_utf8(beginning[1].clone()).unwrap().replace("\"last\":3402", "\"last\":3401");
    assert!(again(&[torn_range.as_bytes()], ours()).contains("do not cover every hash key once"));
}
