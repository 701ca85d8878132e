//! A job whose endpoint dies under it: it can be stopped all the same, and says what it leaves.

use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_kinesis::local::{LocalEndpoint, LocalSettings};
use weir_runtime::connect::item_stream;
use weir_runtime::control::{JobSettings, Node, NodeSettings};
use weir_runtime::error::Kind;
use weir_runtime::placement::Cores;

#[test]
fn writing_job_is_cancelled_although_nobody_takes_its_records() {
    let endpoint = LocalEndpoint::spawn_thread("127.0.0.1:0", LocalSettings::default()).expect("loopback");
    endpoint.create_stream("Tweets", 1).expect("a good name");
    let node = Node::start(NodeSettings::on(Cores::first(1).expect("allowed"))).expect("a node starts");
    let url = endpoint.url();
    let pipeline = move |p: &weir_runtime::pipeline::Pipeline| {
        let sink = weir_kinesis::sink("Tweets").endpoint(url.as_str()).region("us-east-1").credentials("a", "b");
        p.read_from(item_stream(200))
            .without_timestamps()
            .map(|item| (item.sequence.to_string(), "tweet"))
            .write_to(sink);
    };
    let job = node.submit(JobSettings::named("publisher"), Arc::new(pipeline)).expect("it starts");
    let began = Instant::now();
    while endpoint.record_count("Tweets") == 0 {
        assert!(began.elapsed() < Duration::from_secs(10), "nothing is written");
        assert!(job.join_for(Duration::from_millis(20)).is_none(), "it ended");
    }
    endpoint.stop().expect("it did not panic");
    assert!(job.join_for(Duration::from_millis(500)).is_none(), "an outage does not end a job");
    let began = Instant::now();
    job.cancel();
    let report = job.join_for(Duration::from_secs(4)).expect("it ends in time");
    assert!(began.elapsed() > Duration::from_millis(1_900), "its sink had no time: {:?}", began.elapsed());
    let error = report.error.expect("records are left");
    assert_eq!(error.kind, Kind::Service);
    assert!(error.message.contains("items are not known to be written"), "{error}");
    assert!(!error.message.contains(": 0 items"), "{error}");
}
