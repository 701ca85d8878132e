//! Boundaries, offsets, the ends of time, and the words of each error.

use super::*;
use crate::time::{millis, secs};
use proptest::prelude::*;

fn at(ms: i64) -> EventTime {
    EventTime::from_millis(ms)
}

fn spec(size: i64, slide: i64) -> WindowSpec {
    WindowSpec::sliding(millis(size), millis(slide)).expect("a valid window")
}

#[test]
fn pane_end_is_the_first_boundary_strictly_after() {
    let s = spec(20, 10);
    for (t, end) in [(0, 10), (9, 10), (10, 20), (-1, 0), (-10, 0), (-11, -10)] {
        assert_eq!(s.pane_end(at(t)), at(end), "t = {t}");
    }
}

#[test]
fn offset_moves_every_boundary() {
    let s = spec(20, 10).with_offset(3);
    for (t, end) in [(2, 3), (3, 13), (12, 13), (-8, -7), (-7, 3)] {
        assert_eq!(s.pane_end(at(t)), at(end), "t = {t}");
        assert_eq!(s.window_end_after(at(t)), at(end), "t = {t}");
    }
    assert_eq!(spec(20, 10).with_offset(-7), s);
    assert_eq!(spec(20, 10).with_offset(i64::MIN).offset(), millis(2));
}

#[test]
fn size_that_is_no_multiple_of_the_slide_has_panes_of_the_gcd() {
    let s = spec(90, 60);
    assert_eq!((s.pane(), s.panes_per_window(), s.panes_per_slide()), (millis(30), 3, 2));
    // [30, 120) is the only window of the pane [30, 60) but for [-30, 60).
    assert_eq!((s.first_window_end(at(60)), s.last_window_end(at(60))), (at(60), at(120)));
    assert_eq!((s.first_window_end(at(90)), s.last_window_end(at(90))), (at(120), at(120)));
    assert_eq!(s.window_start(at(120)), at(30));
}

#[test]
fn ends_of_time_saturate() {
    let s = spec(20, 10).with_offset(3);
    assert_eq!(s.pane_end(EventTime::MAX), EventTime::MAX);
    assert_eq!(s.window_end_after(EventTime::MAX), EventTime::MAX);
    assert_eq!(s.last_window_end(EventTime::MAX), EventTime::MAX);
    assert!(s.pane_end(EventTime::MIN) > EventTime::MIN);
    assert_eq!(s.pane_first(s.pane_end(EventTime::MIN)), EventTime::MIN);
    assert_eq!(s.window_start(s.pane_end(EventTime::MIN)), EventTime::MIN);
    let endless = spec(i64::MAX, i64::MAX);
    assert_eq!(endless.pane_end(at(5)), EventTime::MAX);
    assert_eq!(endless.last_window_end(EventTime::MAX), EventTime::MAX);
}

#[test]
fn errors_name_numbers_and_remedy() {
    let text =
        |size: i64, slide: i64| WindowSpec::sliding(millis(size), millis(slide)).expect_err("invalid").to_string();
    assert_eq!(text(0, 5), "a window of 0 ms by 5 ms is not possible: size and slide must be at least 1 ms");
    assert!(text(5, 6).starts_with("a slide of 6 ms is longer than the window of 5 ms"));
    assert_eq!(
        text(3_600_000, 7),
        "a window of 3600000 ms by 7 ms needs 3600000 panes, at most 65535: panes are as long as the greatest common \
         divisor of size and slide, here 1 ms; choose a size that is a multiple of the slide"
    );
    assert!(WindowSpec::sliding(millis(65_535), millis(1)).is_ok());
    assert!(WindowSpec::sliding(millis(65_536), millis(1)).is_err());
    assert_eq!(WindowSpec::tumbling(secs(1)).expect("valid").panes_per_window(), 1);
}

proptest! {
    /// The definitions, tried one by one around the answer.
    #[test]
    fn window_ends_are_least_and_greatest(
        t in -1_000_000_i64..1_000_000, slide in 1_i64..60, extra in 0_i64..200, offset in -100_i64..100,
    ) {
        let size = slide + extra;
        let s = spec(size, slide).with_offset(offset);
        let (pane, end) = (s.pane().as_millis(), s.pane_end(at(t)).as_millis());
        prop_assert!(end > t && end - pane <= t && (end - offset).rem_euclid(pane) == 0);
        prop_assert_eq!(s.pane_first(at(end)), at(end - pane));
        let holding: Vec<i64> = (end - slide..=end + size)
            .filter(|e| (e - offset).rem_euclid(slide) == 0 && *e >= end && e - size < end)
            .collect();
        prop_assert_eq!(s.first_window_end(at(end)).as_millis(), holding[0]);
        prop_assert_eq!(s.last_window_end(at(end)).as_millis(), holding[holding.len() - 1]);
        // Every window that holds the pane holds the record, and no other one does.
        prop_assert!(holding.iter().all(|e| e - size <= t && t < *e));
        let next = s.window_end_after(at(t)).as_millis();
        prop_assert!(next > t && next - slide <= t && (next - offset).rem_euclid(slide) == 0);
    }
}
