//! `run`: jobs from files, or of the program itself, on an embedded node until they end or Ctrl-C.

use std::{
    path::Path,
    process::ExitCode,
    sync::{Arc, mpsc},
    time::Instant,
};

use clap::{Args, ValueEnum};
use serde::Serialize;
use weir_runtime::{
    control::{JobHandle, JobReport, JobSettings, Node, NodeSettings, Until},
    facade,
    pipeline::PipelineFn,
    placement::Cores,
};

use super::{
    cores::CoresArgs,
    jobs::{self, Event},
    losses,
    output::{Output, say},
    service::ServiceArgs,
    signals,
};
use crate::{
    failure::Failure,
    job::{self, StartAt},
    kinesis,
    program::Pipelines,
};

/// What `run` takes.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Job files, and names of the program's own pipelines
    #[arg(required = true, value_name = "FILE.toml|NAME")]
    jobs: Vec<String>,
    /// Where every shard begins, above what the jobs say: `latest`, `oldest`, or a time such as
    /// 2026-11-23T16:11:27Z
    #[arg(long, value_name = "POSITION", value_parser = job::parse_start)]
    from: Option<StartAt>,
    /// Until when the jobs run: `now` reads everything that is there at the start, then ends; windows that
    /// reach beyond that moment are partial
    #[arg(long, value_enum, value_name = "WHEN")]
    until: Option<UntilArg>,
    /// An argument of the program's own pipelines; the value is TOML, or else a text
    #[arg(long, value_name = "KEY=VALUE", value_parser = argument)]
    set: Vec<(String, toml::Value)>,
    #[command(flatten)]
    cores: CoresArgs,
    #[command(flatten)]
    service: ServiceArgs,
    /// How to say what the jobs did: for people on standard error, or as JSON on standard output
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

/// `--until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum UntilArg {
    /// What is there at the start
    Now,
}

/// A job to be started.
struct Job {
    name: String,
    pipeline: Arc<PipelineFn>,
}

/// Runs until all jobs have ended, the first cannot be started, or Ctrl-C.
pub(super) fn main(args: &RunArgs, pipelines: &Pipelines) -> Result<ExitCode, Failure> {
    let jobs = args.jobs.iter().map(|given| resolve(given, args, pipelines)).collect::<Result<Vec<_>, _>>()?;
    if let Some(job) = jobs.iter().enumerate().find(|(at, job)| jobs[..*at].iter().any(|other| other.name == job.name))
    {
        return Err(Failure::usage(format!("two jobs are called {}", job.1.name)).with_remedy("name them apart"));
    }
    kinesis::set_overrides(kinesis::Overrides { service: args.service.keys()?, from: args.from.map(Into::into) });
    let cores = args.cores.resolve()?;
    let started = facade::now();
    let (sender, events) = mpsc::channel();
    signals::on_interrupt(sender.clone(), Event::Interrupt)?;
    let node = Node::start(NodeSettings::on(cores)).map_err(|error| jobs::failure("", &error))?;
    let node = Arc::new(node);
    let names: Vec<String> = jobs.iter().map(|job| job.name.clone()).collect();
    let until = args.until.map_or(Until::Stopped, |UntilArg::Now| Until::Now);
    start_all(jobs, until, node.clone(), sender.clone())?;
    let mut running = Running {
        cores: node.cores().clone(),
        names,
        handles: Vec::new(),
        ended: Vec::new(),
        failure: None,
        stopping: false,
    };
    while running.is_waiting() {
        let event = events.recv().expect("we hold a sender ourselves");
        running.on_event(event, &sender)?;
    }
    // Only the starter could hold it still, and it has told us of its last job.
    if let Some(node) = Arc::into_inner(node) {
        node.stop();
    }
    running.summary(started).say(args.output);
    running.failure.map_or(Ok(ExitCode::SUCCESS), Err)
}

fn resolve(given: &str, args: &RunArgs, pipelines: &Pipelines) -> Result<Job, Failure> {
    let path = Path::new(given);
    if path.extension().is_some_and(|extension| extension == "toml") || path.components().count() > 1 {
        let job = job::read_file(path)?;
        return Ok(Job { name: job.name.clone(), pipeline: job::pipeline(job) });
    }
    let arguments = args.set.iter().cloned().collect();
    Ok(Job { name: given.to_owned(), pipeline: pipelines.bind(given, arguments)? })
}

/// `KEY=VALUE`; what is no TOML value is taken as a text, so that `stream=Tweets` needs no quotes.
fn argument(text: &str) -> Result<(String, toml::Value), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    let right = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if key.is_empty() || !key.chars().all(right) {
        return Err(format!("`{}` is no key: write KEY=VALUE", key.escape_debug()));
    }
    let read = format!("value = {value}").parse::<toml::Table>().ok().and_then(|mut table| table.remove("value"));
    Ok((key.to_owned(), read.unwrap_or_else(|| toml::Value::String(value.to_owned()))))
}

/// Starts them in order on a thread of its own: starting waits for the service, and Ctrl-C must not.
fn start_all(jobs: Vec<Job>, until: Until, node: Arc<Node>, events: mpsc::Sender<Event>) -> Result<(), Failure> {
    jobs::thread("starter", move || {
        for (index, job) in jobs.into_iter().enumerate() {
            let event = match node.submit(JobSettings { name: job.name, until }, job.pipeline) {
                Ok(handle) => Event::Started(index, handle),
                Err(error) => Event::Refused(index, error),
            };
            let refused = matches!(event, Event::Refused(..));
            if events.send(event).is_err() || refused {
                break;
            }
        }
    })
}

/// All jobs of the command.
struct Running {
    cores: Cores,
    names: Vec<String>,
    handles: Vec<JobHandle>,
    ended: Vec<(usize, JobReport)>,
    /// The first; it decides the exit code.
    failure: Option<Failure>,
    stopping: bool,
}

impl Running {
    /// Whether something is still to come. After a stop the jobs not yet started are not waited for.
    fn is_waiting(&self) -> bool {
        let expected = if self.stopping { self.handles.len() } else { self.names.len() };
        self.ended.len() < expected
    }

    fn on_event(&mut self, event: Event, events: &mpsc::Sender<Event>) -> Result<(), Failure> {
        match event {
            Event::Interrupt => self.stop(),
            Event::Started(index, handle) => {
                for note in &handle.start().notes {
                    eprintln!("{}: {note}", self.names[index]);
                }
                jobs::watch(index, handle.clone(), events.clone())?;
                if self.stopping {
                    handle.cancel();
                }
                self.handles.push(handle);
            }
            Event::Refused(index, error) => {
                self.failed(index, &error);
                self.stop();
            }
            Event::Ended(index, report) => {
                if let Some(error) = &report.error {
                    self.failed(index, error);
                }
                self.ended.push((index, report));
            }
        }
        Ok(())
    }

    /// A job's failure is said when it happens, since others may run on; the first is said last, as the reason for
    /// the exit code.
    fn failed(&mut self, index: usize, error: &weir_runtime::error::JobError) {
        let failure = jobs::failure(&self.names[index], error);
        if self.failure.is_none() {
            self.failure = Some(failure);
        } else {
            eprintln!("weir: {failure}");
        }
    }

    fn stop(&mut self) {
        self.stopping = true;
        self.handles.iter().for_each(JobHandle::cancel);
    }

    fn summary(&self, started: Instant) -> Summary {
        let job = |(index, report): &(usize, JobReport)| JobSummary {
            name: self.names[*index].clone(),
            records: jobs::total(report, |worker| worker.records_in),
            windows: jobs::total(report, |worker| worker.windows),
            rows: jobs::total(report, |worker| worker.rows),
            written: jobs::total(report, |worker| worker.written),
            open: jobs::total(report, |worker| worker.open),
            late: jobs::total(report, |worker| worker.late),
            cores: jobs::by_core(&self.cores, report),
            losses: losses::of(report).collect(),
            error: report.error.as_ref().map(ToString::to_string),
        };
        let elapsed_ms = u64::try_from((facade::now() - started).as_millis()).unwrap_or(u64::MAX);
        Summary { jobs: self.ended.iter().map(job).collect(), elapsed_ms }
    }
}

#[derive(Serialize)]
struct Summary {
    jobs: Vec<JobSummary>,
    elapsed_ms: u64,
}

#[derive(Serialize)]
struct JobSummary {
    name: String,
    records: u64,
    windows: u64,
    rows: u64,
    written: u64,
    open: u64,
    late: u64,
    cores: Vec<jobs::CoreSummary>,
    losses: Vec<losses::Loss>,
    error: Option<String>,
}

impl Summary {
    fn say(&self, output: Output) {
        match output {
            Output::Json => say(serde_json::to_string(self).expect("numbers and texts are JSON")),
            Output::Text => {
                for job in &self.jobs {
                    eprintln!(
                        "{}: read {} records, wrote {}; {} windows, open {}, late {}",
                        job.name, job.records, job.written, job.windows, job.open, job.late
                    );
                    for loss in &job.losses {
                        eprintln!("{}: {loss}", job.name);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::argument;

    #[test]
    fn arguments_are_toml_or_else_texts() {
        assert_eq!(argument("rate=3"), Ok(("rate".into(), toml::Value::Integer(3))));
        assert_eq!(argument("stream=Tweets"), Ok(("stream".into(), "Tweets".into())));
        assert_eq!(argument("stream=\"3\""), Ok(("stream".into(), "3".into())));
        assert_eq!(argument("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert!(argument("stream").is_err());
        assert!(argument("=1").is_err());
    }
}
