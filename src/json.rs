//! Results as JSON, an object a line.

use serde::Serialize;
use weir_runtime::{
    connect::{LineSink, lines},
    pipeline::WindowResult,
};

/// A sink that prints each window's result on standard output: a JSON object a line with `start` and `end` in ms since
/// the epoch, `key` (null without one), `value`, `partial` and `firing`.
#[must_use]
pub fn stdout<V: Serialize + 'static, K: Serialize + 'static>() -> LineSink<impl Fn(&WindowResult<V, K>) -> String> {
    lines(|row: &WindowResult<V, K>| json_line(row))
}

/// A window's result as one line of JSON.
pub(crate) fn json_line<V: Serialize, K: Serialize>(row: &WindowResult<V, K>) -> String {
    #[derive(Serialize)]
    struct Shown<'a, V, K> {
        start: i64,
        end: i64,
        key: &'a K,
        value: &'a V,
        partial: bool,
        firing: u32,
    }
    show(&Shown {
        start: row.start.as_millis(),
        end: row.end.as_millis(),
        key: &row.key,
        value: &row.value,
        partial: row.partial,
        firing: row.firing,
    })
}

/// An item of a job without a window as one line of JSON.
pub(crate) fn item_line(key: &str, value: &str) -> String {
    #[derive(Serialize)]
    struct Shown<'a> {
        key: &'a str,
        value: &'a str,
    }
    show(&Shown { key, value })
}

fn show(value: &impl Serialize) -> String {
    // Fails only on maps whose keys are no texts.
    serde_json::to_string(value).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
}

#[cfg(test)]
mod tests {
    use weir_runtime::pipeline::WindowResult;
    use weir_window::EventTime;

    use super::{item_line, json_line};

    #[test]
    fn rows_are_objects_with_the_documented_names() {
        let (start, end) = (EventTime::from_millis(500), EventTime::from_millis(1_500));
        let unkeyed = WindowResult { start, end, key: (), value: 13_u64, partial: false, firing: 0 };
        let line = json_line(&unkeyed);
        assert_eq!(line, r#"{"start":500,"end":1500,"key":null,"value":13,"partial":false,"firing":0}"#);
        let keyed = WindowResult { start, end, key: "é\"".to_owned(), value: 1_u64, partial: true, firing: 2 };
        let line = json_line(&keyed);
        assert_eq!(line, r#"{"start":500,"end":1500,"key":"é\"","value":1,"partial":true,"firing":2}"#);
        assert_eq!(item_line("k", "v\n"), r#"{"key":"k","value":"v\n"}"#);
    }
}
