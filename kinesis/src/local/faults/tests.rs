//! What is said of faults, and what they do.

use super::*;

fn faults(texts: &[&str]) -> Faults {
    let mut faults = Faults::new(7);
    texts.iter().for_each(|text| faults.add(text.parse().unwrap()));
    faults
}

fn at(operation: &str, shard: u32) -> Place {
    let goes_on = operation == "GetRecords";
    Place { operation: operation.to_owned(), stream: Some("s".to_owned()), shard: Some(ShardId::new(shard)), goes_on }
}

#[test]
fn fault_is_written_as_it_is_read() {
    for text in [
        "throttle:GetRecords:shard=shardId-000000000001:rate=0.5",
        "delay:*:ms=200",
        "delay:GetRecords:ms=50-500:rate=0.5",
        "delay:*:mean=40",
        "reset:PutRecords:after:count=1",
        "cut:GetRecords:stream=s:count=3",
        "5xx:PutRecords:status=503:after:rate=0.25",
        "expire:GetRecords:count=1",
    ] {
        assert_eq!(text.parse::<Fault>().unwrap().to_string(), text);
    }
    assert_eq!("5xx".parse::<Fault>().unwrap().to_string(), "5xx:*:status=500");
    assert_eq!("cut:rate=1:shard=3".parse::<Fault>().unwrap().to_string(), "cut:*:shard=shardId-000000000003");
}

#[test]
fn text_that_is_no_fault_is_refused_in_one_sentence() {
    for (text, said) in [
        ("", "`` is no kind of fault; write throttle, delay, cut, reset, 5xx or expire"),
        ("throtle:GetRecords", "`throtle` is no kind of fault; write throttle, delay, cut, reset, 5xx or expire"),
        ("cut:GetRecord", "`GetRecord` is no operation of this endpoint; write one such as GetRecords, or * for any"),
        ("cut:*:after", "`after` says nothing of a cut fault; it takes stream=NAME, shard=ID, rate=0.5, count=3"),
        ("throttle:*:rate=2", "`rate=2` is not a rate above 0 and up to 1"),
        ("throttle:*:rate=NaN", "`rate=NaN` is not a rate above 0 and up to 1"),
        ("throttle:*:count=0", "`count=0` is not a count of at least 1"),
        ("throttle:*:shard=x", "`shard=x` is not a shard's id"),
        ("5xx:*:status=404", "`status=404` is not a status of 500 to 599"),
        ("delay:GetRecords", "a delay fault needs its length, such as delay:GetRecords:ms=200"),
        ("delay:*:ms=0", "`ms=0` is not a delay of 1 to 3600000 ms, or from less to more, such as 50-500"),
        ("delay:*:ms=9-9", "`ms=9-9` is not a delay of 1 to 3600000 ms, or from less to more, such as 50-500"),
        ("delay:*:mean=0", "`mean=0` is not a mean delay of 1 to 3600000 ms"),
        (
            "reset:*:ms=3",
            "`ms=3` says nothing of a reset fault; it takes after, stream=NAME, shard=ID, rate=0.5, count=3",
        ),
    ] {
        assert_eq!(text.parse::<Fault>().unwrap_err().to_string(), said, "{text}");
    }
}

#[test]
fn fault_happens_where_it_is_meant_to() {
    let mut faults = faults(&["throttle:GetRecords:shard=1:stream=s"]);
    assert_eq!(faults.verdict(|| at("GetRecords", 1)).refusal, Some(Refused::Throttled));
    for elsewhere in [
        at("GetRecords", 2),
        at("GetShardIterator", 1),
        Place { stream: Some("t".to_owned()), ..at("GetRecords", 1) },
        Place { shard: None, ..at("GetRecords", 1) },
    ] {
        assert_eq!(faults.verdict(|| elsewhere.clone()), Verdict::default(), "{elsewhere:?}");
    }
    assert_eq!(faults.all()[0].happened, 1);
}

#[test]
fn fault_with_a_count_is_over_after_it_and_asks_for_no_place_any_more() {
    let mut faults = faults(&["cut:*:count=2"]);
    let cuts: Vec<_> = (0..2).map(|_| faults.verdict(|| at("ListShards", 0)).cut).collect();
    assert_eq!(cuts, [true, true]);
    assert_eq!(faults.verdict(|| unreachable!("nothing is in force")), Verdict::default());
    faults.clear();
    assert!(faults.all().is_empty());
}

#[test]
fn rate_is_the_part_of_calls_it_happens_to_and_the_seed_decides_which() {
    let run = || {
        let mut faults = faults(&["5xx:*:rate=0.25"]);
        (0..4_000).map(|_| faults.verdict(|| at("GetRecords", 0)).refusal.is_some()).collect::<Vec<_>>()
    };
    let happened = run().iter().filter(|happened| **happened).count();
    assert!((900..1_100).contains(&happened), "{happened} of 4000");
    assert_eq!(run(), run());
}

#[test]
fn faults_add_up_but_a_call_is_refused_once() {
    let mut faults =
        faults(&["delay:*:ms=20", "delay:GetRecords:ms=5", "5xx:*:status=503", "expire", "5xx:*:after", "cut"]);
    let verdict = faults.verdict(|| at("GetRecords", 0));
    let expected = Verdict {
        delay_ms: 25,
        cut: true,
        refusal: Some(Refused::Failed(503)),
        lost: Some(500),
        reset: false,
        puts: None,
    };
    assert_eq!(verdict, expected);
    let happened: Vec<_> = faults.all().iter().map(|armed| armed.happened).collect();
    assert_eq!(happened, [1, 1, 1, 0, 1, 1]);
}

#[test]
fn iterators_and_tokens_expire_of_calls_that_give_one() {
    let mut faults = faults(&["expire"]);
    assert_eq!(faults.verdict(|| at("GetRecords", 0)).refusal, Some(Refused::Expired));
    assert_eq!(faults.verdict(|| at("GetShardIterator", 0)).refusal, None);
    let listing = |goes_on| Place { goes_on, ..at("ListShards", 0) };
    assert_eq!(faults.verdict(|| listing(false)).refusal, None);
    assert_eq!(faults.verdict(|| listing(true)).refusal, Some(Refused::Expired));
}

#[test]
fn nothing_is_answered_before_or_after_the_effect() {
    let mut faults = faults(&["reset:PutRecord", "reset:PutRecords:after"]);
    assert_eq!(faults.verdict(|| at("PutRecord", 0)).refusal, Some(Refused::Reset));
    assert_eq!(faults.verdict(|| at("PutRecords", 0)), Verdict { reset: true, ..Verdict::default() });
    assert_eq!(faults.all().iter().map(|armed| armed.happened).collect::<Vec<_>>(), [1, 1]);
}

#[test]
fn delays_are_spread_as_they_are_said_to_be() {
    let drawn = |text: &str| {
        let mut faults = faults(&[text]);
        let mut drawn: Vec<u64> = (0..4_000).map(|_| faults.verdict(|| at("GetRecords", 0)).delay_ms).collect();
        drawn.sort_unstable();
        drawn
    };
    let between = drawn("delay:*:ms=50-500");
    assert_eq!((between[0], between[3_999]), (50, 500));
    assert!((250..300).contains(&between[2_000]), "{}", between[2_000]);
    let mean = drawn("delay:*:mean=1000");
    assert!((930..1_070).contains(&(mean.iter().sum::<u64>() / 4_000)), "{}", mean.iter().sum::<u64>() / 4_000);
    assert!((640..750).contains(&mean[2_000]), "half are shorter than ln 2 of the mean: {}", mean[2_000]);
    assert!(mean[3_960] > 4_000, "one of a hundred is 4.6 times the mean: {}", mean[3_960]);
}

#[test]
fn throttled_puts_are_left_to_each_record_and_counted_by_records() {
    let mut faults = faults(&["throttle:PutRecords:shard=1:rate=0.5:count=5"]);
    let nowhere = || Place { shard: None, ..at("PutRecords", 0) };
    let throttle = faults.verdict(nowhere).puts.unwrap();
    assert_eq!((throttle.shard, throttle.left), (Some(ShardId::new(1)), 5));
    faults.on_throttled_puts(3);
    assert_eq!(faults.verdict(nowhere).puts.unwrap().left, 2);
    faults.on_throttled_puts(2);
    assert_eq!(faults.verdict(nowhere).puts, None);
}
