//! The tutorial's two pipelines: one puts tweets into a stream, the other counts them as they come.
//!
//! Beside a `weir local --stream Tweets:2`, in two terminals:
//! `cargo run --example tutorial -- run tweet-publisher` and
//! `cargo run --example tutorial -- run kinesis-traffic-monitor`.

use weir::prelude::*;

fn tweet_publisher(p: &Pipeline) {
    p.read_from(item_stream(3)) // items per second
        .without_timestamps()
        .flat_map(|item, out| {
            for i in 0..fastrand::u64(1..10) {
                let n = item.sequence * 10 + i;
                out.push(((n % 10).to_string(), format!("tweet-{}", grouped(n, 4))));
            }
        })
        .write_to(kinesis::sink("Tweets"));
}

fn kinesis_traffic_monitor(p: &Pipeline) {
    p.read_from(kinesis::source("Tweets").start_at(".*", Start::Latest))
        .native_timestamps(secs(3))
        .window(sliding(secs(1), millis(500)))
        .aggregate(counting())
        .write_to(logger(|w: &WindowResult<u64>| {
            format!("At {} Kinesis got {} tweets per second", w.end.local("%H:%M:%S:%3f"), grouped(w.value, 0))
        }));
}

fn main() -> ExitCode {
    weir::node()
        .pipeline("tweet-publisher", tweet_publisher)
        .pipeline("kinesis-traffic-monitor", kinesis_traffic_monitor)
        .main()
}
