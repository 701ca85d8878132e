//! `weir demo`: a local endpoint, the tutorial's two jobs on one node, and an account of every record.

mod reshard;
mod summary;

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    time::Duration,
};

use clap::Args;
use weir_kinesis::local::{LocalSettings, LocalThread};
use weir_runtime::{
    connect::lines,
    control::{JobHandle, JobReport, JobSettings, Node, NodeSettings},
    facade,
    pipeline::{Pipeline, PipelineFn, WindowResult},
};
use weir_window::{TimeSpan, counting, millis, secs};

use self::{reshard::Resharding, summary::Summary};
use super::{
    cores::CoresArgs,
    jobs::{self, Event},
    output::{Output, say},
    signals, stream,
};
use crate::{
    endpoint,
    failure::{Exit, Failure},
    job::{self, JobFile, KinesisSink, SinkSettings, SourceSettings, Tweets},
    kinesis::{self, Start},
    text::{LocalTime as _, duration, grouped},
    windows::sliding,
};

const STREAM: &str = "Tweets";
const SIZE: TimeSpan = secs(1);
const SLIDE: TimeSpan = millis(500);
const LAG: TimeSpan = secs(3);
/// Windows that a record is in.
const PER_RECORD: u64 = 2;
const MONITOR: usize = 0;
const PUBLISHER: usize = 1;
const NAMES: [&str; 2] = ["kinesis-traffic-monitor", "tweet-publisher"];

/// What `weir demo` takes.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// How long to publish, such as 10s; until Ctrl-C unless given
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    duration: Option<Duration>,
    /// Items a second, each a burst of 1 to 9 tweets
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: u32,
    /// Shards of the stream
    #[arg(long, value_name = "N", default_value = "2", value_parser = stream::parse_shards)]
    shards: u32,
    /// Split or merge shards about this often while it runs, such as 3s
    #[arg(long, value_name = "DURATION", value_parser = parse_period)]
    reshard_every: Option<Duration>,
    #[command(flatten)]
    cores: CoresArgs,
    /// How to say the summary
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

fn parse_period(text: &str) -> Result<Duration, String> {
    let period = parse_duration(text)?;
    if period.is_zero() { Err("it must be longer than nothing".to_owned()) } else { Ok(period) }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let millis = duration::parse_millis(text).map_err(|bad| bad.to_string())?;
    Ok(Duration::from_millis(u64::try_from(millis).expect("a duration is not negative")))
}

/// What the monitor's rows add up to.
#[derive(Debug, Default)]
struct Counted {
    sum: AtomicU64,
    windows: AtomicU64,
}

/// Publishes and counts until told to stop, drains, and says what became of every record.
pub(super) fn main(args: &DemoArgs) -> Result<ExitCode, Failure> {
    let cores = args.cores.resolve()?;
    let (sender, events) = mpsc::channel();
    signals::on_interrupt(sender.clone(), Event::Interrupt)?;
    let endpoint =
        Arc::new(endpoint::start("127.0.0.1:0", LocalSettings::default(), &[(STREAM.to_owned(), args.shards)])?);
    kinesis::set_overrides(kinesis::Overrides { service: endpoint::service_keys(&endpoint), from: None });
    let node = Node::start(NodeSettings::on(cores)).map_err(|error| jobs::failure("", &error))?;
    let counted = Arc::new(Counted::default());
    let started = facade::now();
    let submit = |index: usize, pipeline: Arc<PipelineFn>| {
        let name = NAMES[index].to_owned();
        let handle = node.submit(JobSettings::named(name), pipeline);
        let handle = handle.map_err(|error| jobs::failure(NAMES[index], &error))?;
        jobs::watch(index, handle.clone(), sender.clone())?;
        Ok(handle)
    };
    let monitor = submit(MONITOR, monitor(counted.clone()))?;
    introduce(args, &endpoint, &node, &monitor);
    let publisher = submit(PUBLISHER, job::pipeline(publisher(args.rate)))?;
    let resharding = args
        .reshard_every
        .map(|period| Resharding::start(endpoint.clone(), STREAM, period, args.output == Output::Text));
    let resharding = resharding.transpose()?;
    wait(&events, args.duration)?;
    let reshards = resharding.map_or(0, Resharding::stop);
    if args.output == Output::Text {
        say(format_args!("Draining: the last windows come {} after their end", duration::show_millis(LAG.as_millis())));
    }
    publisher.drain();
    let written = ended(&events, PUBLISHER)?;
    monitor.drain();
    let report = ended(&events, MONITOR)?;
    let elapsed_ms = u64::try_from((facade::now() - started).as_millis()).unwrap_or(u64::MAX);
    let summary = Summary::new(&endpoint, &node, &counted, (&report, &written), (elapsed_ms, reshards));
    node.stop();
    if let Some(endpoint) = Arc::into_inner(endpoint) {
        endpoint.stop().map_err(|panic| Failure::new(Exit::Job, panic.to_string()))?;
    }
    summary.say(args.output);
    summary.judge()
}

/// The tutorial's traffic monitor, which keeps its own account beside the lines it prints.
fn monitor(counted: Arc<Counted>) -> Arc<PipelineFn> {
    Arc::new(move |p: &Pipeline| {
        let counted = counted.clone();
        let source = kinesis::source(STREAM).start_at(".*", Start::Latest);
        p.read_from(source).native_timestamps(LAG).window(sliding(SIZE, SLIDE)).aggregate(counting()).write_to(lines(
            move |w: &WindowResult<u64>| {
                let _ = counted.sum.fetch_add(w.value, Ordering::Relaxed);
                let _ = counted.windows.fetch_add(1, Ordering::Relaxed);
                let (end, tweets) = (w.end.local("%H:%M:%S:%3f"), grouped(w.value, 0));
                format!("At {end} Kinesis got {tweets} tweets per second")
            },
        ));
    })
}

/// The tutorial's publisher.
fn publisher(rate: u32) -> JobFile {
    JobFile {
        name: NAMES[PUBLISHER].to_owned(),
        source: SourceSettings::Tweets(Tweets { rate, ..Tweets::default() }),
        window: None,
        sink: SinkSettings::Kinesis(Box::new(KinesisSink::to(STREAM.to_owned()))),
    }
}

/// What was started, where, and what to try next.
fn introduce(args: &DemoArgs, endpoint: &LocalThread, node: &Node, monitor: &JobHandle) {
    let start = monitor.start();
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let (shards, workers, owners) = (start.shards.len(), node.cores().count(), start.owners.len());
    say(format_args!(
        "A local Kinesis at {}, with the stream {STREAM} of {shards} shard{}",
        endpoint.url(),
        plural(shards)
    ));
    say(format_args!(
        "A node of {workers} worker{}, pinned to core{} {}, with two jobs on it:",
        plural(workers),
        plural(workers),
        node.cores()
    ));
    say(format_args!("  {}: {} items per second, each 1 to 9 tweets", NAMES[PUBLISHER], args.rate));
    say(format_args!(
        "  {}: windows of {} every {}, {owners} owner{}, results {} after a window's end",
        NAMES[MONITOR],
        duration::show_millis(SIZE.as_millis()),
        duration::show_millis(SLIDE.as_millis()),
        plural(owners),
        duration::show_millis(LAG.as_millis())
    ));
    say(format_args!("To look into the stream, in another terminal:"));
    say(format_args!("  {}", endpoint::exports(endpoint, None, None)));
    say(format_args!("  weir stream get {STREAM}"));
    match args.duration {
        Some(_) => say(format_args!("Ctrl-C ends it early, and in order; a second one at once")),
        None => say(format_args!(
            "Ctrl-C ends it in order, a second one at once; next try --for 10s, --rate 1000, --cores 1"
        )),
    }
}

/// Returns at Ctrl-C or when the time is over; a job that fails before is an error.
fn wait(events: &Receiver<Event>, patience: Option<Duration>) -> Result<(), Failure> {
    let event = match patience {
        Some(patience) => match events.recv_timeout(patience) {
            Err(RecvTimeoutError::Timeout) => return Ok(()),
            other => other.ok(),
        },
        None => events.recv().ok(),
    };
    match event {
        Some(Event::Ended(index, report)) => Err(early_end(index, &report)),
        Some(Event::Refused(index, error)) => Err(jobs::failure(NAMES[index], &error)),
        Some(Event::Interrupt | Event::Started(..)) | None => Ok(()),
    }
}

/// Waits for the end of a job that was asked to drain.
fn ended(events: &Receiver<Event>, expected: usize) -> Result<JobReport, Failure> {
    loop {
        match events.recv() {
            Ok(Event::Ended(index, report)) if report.error.is_some() => return Err(early_end(index, &report)),
            Ok(Event::Ended(index, report)) if index == expected => return Ok(report),
            Ok(Event::Ended(index, report)) => return Err(early_end(index, &report)),
            Ok(Event::Interrupt | Event::Started(..) | Event::Refused(..)) => {}
            Err(mpsc::RecvError) => return Err(Failure::new(Exit::Job, "a job ended without a report")),
        }
    }
}

fn early_end(index: usize, report: &JobReport) -> Failure {
    match &report.error {
        Some(error) => jobs::failure(NAMES[index], error),
        None => Failure::new(Exit::Job, format!("job {} ended before it was asked to", NAMES[index])),
    }
}
