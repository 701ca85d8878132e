//! A row of the table: a job through real control, reader or writer, over a service that refuses, and what is seen of it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use weir_kinesis::{Record, Start, sink, source};
use weir_runtime::connect::item_stream;
use weir_runtime::control::{JobHandle, JobReport, JobSettings, Node, NodeSettings};
use weir_runtime::error::JobError;
use weir_runtime::ledger::Reason;
use weir_runtime::pipeline::Pipeline;
use weir_runtime::placement::Cores;
use weir_runtime::sink::{Sink, SinkContext, SinkWriter};
use weir_runtime::source::LocalFuture;

use crate::heard;
use crate::service::{Called, Fault, Service};

/// A row may take so long on a machine that does much else; the longest wait for 10 s at most.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long nothing more may happen where nothing more should.
const QUIET: Duration = Duration::from_millis(1_200);

/// What is done with the stream.
#[derive(Clone, Copy)]
pub enum Job {
    /// Read from here.
    Read(Start),
    /// Written: two keys in turn, 40 records a second.
    Write,
}

/// What is waited for before a row is judged.
#[derive(Clone, Copy)]
pub enum Until {
    /// These many records have been read, or written.
    Moved(usize),
    /// The job has failed.
    Failed,
    /// Somebody has said this, and then nothing for a while.
    Said(&'static str),
}

/// See the module.
pub struct Row {
    /// Error and call; also the stream's name, so that what is said of one row is told from what is said of others.
    pub name: &'static str,
    pub job: Job,
    pub faults: Vec<Fault>,
    pub until: Until,
    pub judge: fn(&Seen),
}

/// What is seen of a row when it is over.
pub struct Seen {
    pub calls: Vec<Called>,
    /// Sequence numbers read, in order.
    pub read: Vec<String>,
    /// Data in the stream, in order.
    pub taken: Vec<String>,
    /// Lines that were said of it.
    pub lines: Vec<String>,
    /// Why the job was not started, or failed.
    pub error: Option<JobError>,
    pub report: Option<JobReport>,
}

impl Seen {
    pub fn of(&self, operation: &str) -> Vec<&Called> {
        self.calls.iter().filter(|called| called.operation == operation).collect()
    }

    /// The waits that were announced, in ms.
    pub fn announced_ms(&self) -> Vec<u64> {
        let announced = |line: &String| line.split_once("again in ")?.1.split_once(" ms")?.0.parse().ok();
        self.lines.iter().filter_map(announced).collect()
    }

    /// The waits between calls of an operation, in ms.
    pub fn waited_ms(&self, operation: &str) -> Vec<u64> {
        let calls = self.of(operation);
        calls.windows(2).map(|pair| u64::try_from((pair[1].at - pair[0].at).as_millis()).expect("short")).collect()
    }

    /// Kinds of the iterators asked for, with the place where one is given.
    pub fn iterators(&self) -> Vec<String> {
        let said = |called: &&Called| {
            let kind = called.body["ShardIteratorType"].as_str().unwrap_or_default();
            let place = called.body["StartingSequenceNumber"].as_str().unwrap_or_default();
            format!("{kind} {place}").trim_end().to_owned()
        };
        self.of("GetShardIterator").iter().map(said).collect()
    }

    /// The iterators that records were asked for by.
    pub fn used(&self) -> Vec<&str> {
        self.of("GetRecords").iter().filter_map(|called| called.body["ShardIterator"].as_str()).collect()
    }

    pub fn losses(&self) -> Vec<(Reason, Option<u64>, Option<String>)> {
        let report = self.report.as_ref().expect("it was started");
        report.ledger.entries().map(|entry| (entry.reason, entry.records, entry.range.clone())).collect()
    }
}

/// Reads or writes all rows at once on one node, and judges each by itself.
pub fn judge(rows: Vec<Row>) {
    heard::listen();
    let node = Node::start(NodeSettings::on(Cores::first(1).expect("allowed"))).expect("a node starts");
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let judged: Vec<_> = rows.iter().map(|row| scope.spawn(|| play(&node, row))).collect();
        judged.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
    });
    node.stop();
    let failed: Vec<_> =
        rows.iter().zip(&outcomes).filter(|(_, outcome)| outcome.is_err()).map(|(row, _)| row.name).collect();
    assert!(failed.is_empty(), "these rows do not hold, see above: {failed:#?}");
}

fn play(node: &Node, row: &Row) {
    let service = Service::start(row.name, row.faults.clone());
    let kept = Kept::default();
    let submitted = submit(node, row, &service.url, &kept);
    let mut error = submitted.as_ref().err().cloned();
    let mut report = None;
    if let Ok(job) = &submitted {
        report = until(row, job, &service, &kept);
        if report.is_none() {
            // A writer's report counts what it was given only if it has time to write it.
            if matches!((row.job, row.until), (Job::Write, Until::Moved(_))) {
                job.drain()
            } else {
                job.cancel()
            }
            report = job.join_for(PATIENCE);
        }
        let report = report.as_ref().unwrap_or_else(|| panic!("{}: it does not end", row.name));
        // A job that is cut off says that its sink could not flush; that is not what the row is about.
        let cut_off = |error: &JobError| error.message.contains("are not known to be written");
        error = report.error.clone().filter(|error| matches!(row.until, Until::Moved(_)) || !cut_off(error));
    }
    let seen = Seen {
        calls: service.calls(),
        read: kept.0.lock().expect("no panic").clone(),
        taken: service.taken(),
        lines: heard::lines(row.name),
        error,
        report,
    };
    (row.judge)(&seen);
}

/// Waits for what the row is to come to; gives the report if the job has ended.
fn until(row: &Row, job: &JobHandle, service: &Service, kept: &Kept) -> Option<JobReport> {
    let began = Instant::now();
    loop {
        if let Some(report) = job.join_for(Duration::from_millis(20)) {
            return Some(report);
        }
        let moved = match row.job {
            Job::Read(_) => kept.0.lock().expect("no panic").len(),
            Job::Write => service.taken().len(),
        };
        match row.until {
            Until::Moved(enough) if moved >= enough => return None,
            Until::Said(words) if heard::lines(row.name).iter().any(|line| line.contains(words)) => {
                return job.join_for(QUIET);
            }
            _ => {}
        }
        let lines = heard::lines(row.name);
        assert!(began.elapsed() < PATIENCE, "{}: it comes to nothing: {moved} moved, {lines:#?}", row.name);
    }
}

fn submit(node: &Node, row: &Row, url: &str, kept: &Kept) -> Result<JobHandle, JobError> {
    let (name, url, kept, job) = (row.name, url.to_owned(), kept.clone(), row.job);
    let pipeline = move |p: &Pipeline| match job {
        Job::Read(start) => {
            let stream =
                source(name).start_all_at(start).endpoint(&url).region("us-east-1").credentials("id", "secret");
            p.read_from(stream)
                .without_timestamps()
                .map(|record: Record| record.sequence().to_owned())
                .write_to(kept.clone());
        }
        Job::Write => {
            let stream = sink(name).endpoint(&url).region("us-east-1").credentials("id", "secret");
            let linger = Duration::from_millis(40);
            p.read_from(item_stream(40))
                .without_timestamps()
                .map(|item| ((item.sequence % 2).to_string(), item.sequence.to_string()))
                .write_to(stream.linger(linger));
        }
    };
    node.submit(JobSettings::named(row.name), Arc::new(pipeline))
}

/// A sink whose items the test sees.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<String>>>);

/// Its writer on one worker.
struct Keeping(Kept, SinkContext);

impl Sink<String> for Kept {
    fn describe(&self) -> String {
        "kept by a test".to_owned()
    }

    fn open(&self, cx: &SinkContext) -> Box<dyn SinkWriter<String>> {
        Box::new(Keeping(self.clone(), cx.clone()))
    }
}

impl SinkWriter<String> for Keeping {
    fn ready(&self) -> bool {
        true
    }

    fn write(&mut self, items: &mut Vec<String>) {
        let written = &self.1.counters.written;
        written.set(written.get() + items.len() as u64);
        self.0.0.lock().expect("no panic").append(items);
    }

    fn flush(&mut self) -> LocalFuture<'static, Result<(), JobError>> {
        Box::pin(async { Ok(()) })
    }
}
