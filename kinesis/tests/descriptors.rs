//! Nodes come and go in one process, and leave nothing open.

use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_kinesis::local::{LocalEndpoint, LocalSettings};
use weir_runtime::connect::item_stream;
use weir_runtime::control::{JobSettings, Node, NodeSettings};
use weir_runtime::pipeline::Pipeline;
use weir_runtime::placement::Cores;

/// All but the one descriptor that glommio itself never closes, an executor's eventfd.
fn open_descriptors() -> usize {
    let open = std::fs::read_dir("/proc/self/fd").expect("Linux").flatten();
    let targets = open.filter_map(|descriptor| std::fs::read_link(descriptor.path()).ok());
    targets.filter(|target| target.to_string_lossy() != "anon_inode:[eventfd]").count()
}

#[test]
fn fifty_nodes_that_wrote_to_a_stream_leave_no_descriptor_open() {
    let endpoint = LocalEndpoint::spawn_thread("127.0.0.1:0", LocalSettings::default()).expect("loopback");
    endpoint.create_stream("Tweets", 1).expect("a good name");
    let url: Arc<str> = endpoint.url().into();
    let mut least = usize::MAX;
    for round in 0..50 {
        let before = endpoint.record_count("Tweets");
        let node = Node::start(NodeSettings::on(Cores::first(1).expect("allowed"))).expect("a node starts");
        let url = url.clone();
        let pipeline = move |p: &Pipeline| {
            let sink = weir_kinesis::sink("Tweets").endpoint(&*url).region("us-east-1").credentials("a", "b");
            let sink = sink.linger(Duration::ZERO);
            p.read_from(item_stream(1_000))
                .without_timestamps()
                .map(|item| (item.sequence.to_string(), "tweet"))
                .write_to(sink);
        };
        let job = node.submit(JobSettings::named("publisher"), Arc::new(pipeline)).expect("it starts");
        let began = Instant::now();
        while endpoint.record_count("Tweets") == before {
            assert!(began.elapsed() < Duration::from_secs(10), "nothing is written");
            assert!(job.join_for(Duration::from_millis(2)).is_none(), "it ended");
        }
        node.stop();
        // The endpoint learns of a closed connection a moment later.
        if round < 5 {
            std::thread::sleep(Duration::from_millis(20));
            least = least.min(open_descriptors());
        }
    }
    std::thread::sleep(Duration::from_millis(100));
    let left = open_descriptors();
    assert!(left <= least, "{least} descriptors were open after the first nodes, {left} after fifty");
}
