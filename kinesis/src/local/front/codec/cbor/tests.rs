//! Bodies by hand, byte for byte, so that no encoder's habits are taken for the format.

use proptest::prelude::*;
use serde::Deserialize;

use super::super::super::request::{Data, Text, Time, plain};
use super::super::super::value::{Map, Value};
use super::super::BadBody;
use super::{push_map, read};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    limit: Option<i64>,
    at: Option<Time>,
    #[serde(borrow)]
    data: Option<Data<'a>>,
    list: Option<Vec<i64>>,
    inner: Option<Inner>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "PascalCase")]
struct Inner {
    flag: Option<bool>,
}

/// A map of one member: its name's text and its value's bytes.
fn member(name: &str, value: &[u8]) -> Vec<u8> {
    let mut body = vec![0xa1, 0x60 | u8::try_from(name.len()).unwrap()];
    body.extend_from_slice(name.as_bytes());
    body.extend_from_slice(value);
    body
}

fn taken(name: &str, value: &[u8]) -> Option<i64> {
    let body = member(name, value);
    let request: Request<'_> = read(&body).unwrap();
    request.limit.or(request.at.map(Time::as_millis))
}

fn refused(body: &[u8]) -> Option<String> {
    let BadBody { message } = read::<Request<'_>>(body).unwrap_err();
    message
}

#[test]
fn integers_of_every_width_are_read() {
    for (bytes, number) in [
        (&[0x05][..], 5),
        (&[0x18, 200], 200),
        (&[0x19, 0x27, 0x10], 10_000),
        (&[0x1a, 0, 1, 0, 0], 65_536),
        (&[0x1b, 0x7f, 255, 255, 255, 255, 255, 255, 255], i64::MAX),
        (&[0x20], -1),
        (&[0x3b, 0x7f, 255, 255, 255, 255, 255, 255, 255], i64::MIN),
    ] {
        assert_eq!(taken("Limit", bytes), Some(number), "{bytes:x?}");
    }
    for bytes in [&[0x1b, 0x80, 0, 0, 0, 0, 0, 0, 0][..], &[0x3b, 0x80, 0, 0, 0, 0, 0, 0, 0], &[0xf9, 0x45, 0]] {
        assert!(refused(&member("Limit", bytes)).is_some(), "{bytes:x?}");
    }
    assert_eq!(taken("Limit", &[0xf6]), None);
}

#[test]
fn time_is_milliseconds_or_seconds_by_its_size_tagged_or_not() {
    let millis = 1_795_395_060_708_i64;
    let integer = [&[0x1b][..], &millis.to_be_bytes()].concat();
    let float = [&[0xfb][..], &1_795_395_060.708_f64.to_be_bytes()].concat();
    let float_millis = [&[0xfb][..], &1_795_395_060_708.0_f64.to_be_bytes()].concat();
    let seconds = [&[0x1a][..], &1_795_395_060_u32.to_be_bytes()].concat();
    for (bytes, expected) in [(integer, millis), (float, millis), (float_millis, millis), (seconds, 1_795_395_060_000)]
    {
        assert_eq!(taken("At", &bytes), Some(expected), "{bytes:x?}");
        assert_eq!(taken("At", &[&[0xc1][..], &bytes].concat()), Some(expected), "{bytes:x?}");
    }
    let nan = refused(&member("At", &[0xf9, 0x7e, 0])).unwrap();
    assert!(nan.contains("expected a time"), "{nan}");
}

#[test]
fn strings_in_pieces_are_put_together() {
    let text = [&[0x7f, 0x62][..], b"sh", &[0x60, 0x61], b"o", &[0xff]].concat();
    let body = member("Name", &text);
    let request: Request<'_> = read(&body).unwrap();
    assert_eq!(plain(&request.name), Some("sho"));
    let data = [0x5f, 0x42, 1, 2, 0x41, 3, 0xff];
    let body = member("Data", &data);
    let request: Request<'_> = read(&body).unwrap();
    assert_eq!(request.data, Some(Data::Bytes(vec![1, 2, 3].into())));
    for mixed in [&[0x7f, 0x41, 1, 0xff][..], &[0x7f, 0x7f, 0xff, 0xff], &[0x7f, 0x61, b'a'], &[0x7f, 0xf6, 0xff]] {
        assert_eq!(refused(&member("Name", mixed)), None, "{mixed:x?}");
    }
}

#[test]
fn lists_and_maps_of_either_length_are_read_and_unknown_members_passed() {
    // {_ "List": [_ 1, 2], "Novelty": {_ 1: [_ "a", {}], h'': 1.5}, "Inner": {_ "Flag": true}}
    let body = [
        &[0xbf, 0x64][..],
        b"List",
        &[0x9f, 1, 2, 0xff, 0x67],
        b"Novelty",
        &[0xbf, 1, 0x9f, 0x61, b'a', 0xa0, 0xff, 0x40, 0xf9, 0x3e, 0, 0xff, 0x65],
        b"Inner",
        &[0xbf, 0x64],
        b"Flag",
        &[0xf5, 0xff, 0xff],
    ]
    .concat();
    let request: Request<'_> = read(&body).unwrap();
    assert_eq!(request.list, Some(vec![1, 2]));
    assert_eq!(request.inner, Some(Inner { flag: Some(true) }));
    // Cut anywhere, it is refused, and nothing panics.
    for end in 0..body.len() {
        assert_eq!(refused(&body[..end]), None, "{end}");
    }
    let more = [&body[..], &[0xa0]].concat();
    assert_eq!(refused(&more), None);
}

#[test]
fn value_of_another_kind_is_named() {
    for (name, value, expected) in [
        ("Name", &[0x41, b'a'][..], "invalid type: byte string, expected a string"),
        ("Data", &[0x61, b'a'], "invalid type: text, expected a byte string"),
        ("Limit", &[0x61, b'5'], "invalid type: string \"5\", expected i64"),
        ("Inner", &[0x81, 0xf5], "invalid type: sequence, expected struct Inner"),
    ] {
        assert_eq!(refused(&member(name, value)).as_deref(), Some(expected));
    }
    assert_eq!(refused(&[0x81, 0x61, b'a']).as_deref(), Some("invalid type: sequence, expected struct Request"));
    assert_eq!(refused(&[0xa1, 0x00, 0x05]).as_deref(), Some("invalid type: integer `0`, expected field identifier"));
    let twice = [&[0xa2, 0x65][..], b"Limit", &[1, 0x65], b"Limit", &[2]].concat();
    assert_eq!(refused(&twice).as_deref(), Some("duplicate field `Limit`"));
}

#[test]
fn hostile_lengths_and_depths_are_refused_at_their_own_cost() {
    let huge = [0xff_u8; 8];
    for major in [0x5b, 0x7b, 0x9b, 0xbb] {
        for name in ["Name", "Data", "List", "Inner", "Novelty"] {
            let value = [&[major][..], &huge].concat();
            assert!(read::<Request<'_>>(&member(name, &value)).is_err(), "{major:x} {name}");
        }
    }
    for opening in [&[0x81][..], &[0x9f], &[0xa1, 0x60], &[0xbf, 0x60], &[0xc1]] {
        let deep = opening.repeat(1 << 20);
        assert_eq!(refused(&member("Novelty", &deep)), None, "{opening:x?}");
    }
    let within = [&[0x81; 100][..], &[0xa0]].concat();
    assert!(read::<Request<'_>>(&member("Novelty", &within)).is_ok());
}

#[test]
fn tree_is_written_with_definite_lengths() {
    let tree = Map::new()
        .with("A", "text")
        .with("B", vec![-1_i64, 1_000])
        .with("T", Value::Time(1_500))
        .with("N", Value::Null)
        .with("F", false);
    let mut body = Vec::new();
    push_map(&mut body, &tree);
    let expected = [
        &[0xa5, 0x61, b'A', 0x64][..],
        b"text",
        &[0x61, b'B', 0x82, 0x20, 0x19, 0x03, 0xe8],
        &[0x61, b'T', 0xc1, 0x19, 0x05, 0xdc],
        &[0x61, b'N', 0xf6, 0x61, b'F', 0xf4],
    ];
    assert_eq!(body, expected.concat());
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read::<Request<'_>>(&body);
        let _ = read::<Request<'_>>(&member("Novelty", &body));
        let _ = read::<Request<'_>>(&member("Inner", &body));
    }
}
