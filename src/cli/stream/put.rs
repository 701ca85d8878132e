//! `weir stream put`: one record, or each line of standard input as it comes.

use std::{
    cell::RefCell,
    io::{self, BufRead as _, BufReader},
    rc::Rc,
    time::Duration,
};

use clap::Args;
use weir_kinesis::{
    client::{Client, PutEntry, ServiceSettings},
    protocol::{errors::Call, patience::Patience},
    sink::{KeyOrder, StreamSink},
};
use weir_runtime::{
    error::JobError,
    facade,
    mailbox::{Receiver, Sender, mailbox},
    signal::{Notifier, signal},
    sink::{Sink, SinkContext, SinkCounters, SinkWriter},
};

use super::{failure, name, reshard};
use crate::{
    cli::{jobs, output::say, service::ServiceArgs},
    failure::{Exit, Failure},
    text::duration::{self, show_millis},
};

/// Read from standard input at once; what is in it goes to the writer together.
const CHUNK_BYTES: usize = 64 << 10;
/// Chunks between the reading thread and the writer.
const CHUNKS_MAX: usize = 4;

#[derive(Debug, Args)]
pub(super) struct PutArgs {
    /// The stream
    #[arg(value_parser = name)]
    name: String,
    /// The record; each line of standard input is one unless given
    data: Option<String>,
    /// The partition key, 1 to 256 characters; records without one are spread evenly
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Places the records instead of the partition key's hash key
    #[arg(long, value_name = "HASH_KEY", value_parser = reshard::hash_key)]
    hash_key: Option<u128>,
    /// Keeps lines of one key in order, one of them a call, whatever is refused; or several a call
    #[arg(long, value_name = "ORDER", value_parser = key_order, default_value = "kept")]
    key_order: KeyOrder,
    /// How long a record is tried that the stream refuses; as long as it takes unless given
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    retry_for: Option<Duration>,
    #[command(flatten)]
    pub(super) service: ServiceArgs,
}

fn key_order(text: &str) -> Result<KeyOrder, String> {
    match text {
        "kept" => Ok(KeyOrder::Kept),
        "while-nothing-fails" => Ok(KeyOrder::WhileNothingFails),
        _ => Err(format!("`{}` is no order: write kept or while-nothing-fails", text.escape_debug())),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let millis = duration::parse_millis(text).map_err(|bad| bad.to_string())?;
    Ok(Duration::from_millis(u64::try_from(millis).expect("durations are not negative")))
}

impl PutArgs {
    fn key(&self) -> String {
        self.key.clone().unwrap_or_else(|| fastrand::u64(..).to_string())
    }
}

pub(super) async fn put(client: &Client, settings: &ServiceSettings, args: &PutArgs) -> Result<(), Failure> {
    match &args.data {
        Some(data) => put_one(client, args, data).await,
        None => put_lines(settings, args, io::stdin()).await,
    }
}

/// Puts it and says where it is.
async fn put_one(client: &Client, args: &PutArgs, data: &str) -> Result<(), Failure> {
    let explicit_hash = args.hash_key.map(|hash_key| hash_key.to_string());
    let entry = PutEntry { key: args.key(), explicit_hash, data: data.to_owned().into() };
    let (begun, mut patience) = (facade::now(), Patience::at_start(fastrand::u64(..)));
    loop {
        let error = match client.put_record(&args.name, entry.clone()).await {
            Ok(placed) => {
                say(format_args!("{} {}", placed.shard, placed.sequence));
                return Ok(());
            }
            Err(error) => error,
        };
        let in_time = |wait: &Duration| args.retry_for.is_none_or(|limit| begun.elapsed() + *wait <= limit);
        let Some(wait) = patience.after(Call::PutRecords, error.kind).filter(in_time) else {
            return Err(failure(error));
        };
        tracing::warn!("{error}; again in {} ms", wait.as_millis());
        facade::sleep(wait).await;
    }
}

/// Puts each line as a job's sink would, by the same writer; nothing waits for company.
async fn put_lines(
    settings: &ServiceSettings,
    args: &PutArgs,
    input: impl io::Read + Send + 'static,
) -> Result<(), Failure> {
    let hash_key = args.hash_key;
    let sink =
        weir_kinesis::sink(&args.name).service(settings.clone()).linger(Duration::ZERO).key_order(args.key_order);
    let sink = args.retry_for.into_iter().fold(sink, StreamSink::retry_for).hash_key(move |_, _| hash_key);
    Sink::<Line>::prepare(&sink).await.map_err(|error| jobs::failure("", &error))?;
    let (waker, mut listener) = signal();
    let failed = Rc::new(RefCell::new(None::<JobError>));
    let cx = SinkContext {
        worker: 0,
        job: "put".into(),
        waker: waker.clone(),
        failure: on_failure(Rc::clone(&failed), waker.clone()),
        counters: Rc::new(SinkCounters::default()),
    };
    let mut writer: Box<dyn SinkWriter<Line>> = sink.open(&cx);
    let lines = read_lines(input, waker)?;
    let mut unreadable = None;
    while failed.borrow().is_none() && unreadable.is_none() {
        if writer.ready() {
            // Asked first, since the last lines come before the end.
            let ended = lines.is_closed();
            match lines.try_recv() {
                Some(Ok(chunk)) => {
                    cx.counters.taken.set(cx.counters.taken.get() + chunk.len() as u64);
                    writer.write(&mut chunk.into_iter().map(|line| (args.key(), line)).collect());
                    continue;
                }
                Some(Err(error)) => unreadable = Some(Failure::usage(format!("cannot read standard input: {error}"))),
                None if ended => break,
                None => {}
            }
        }
        if unreadable.is_none() {
            listener.wait().await;
        }
    }
    let flushed = writer.flush().await;
    let failed = failed.take().or(flushed.err()).map(|error| jobs::failure("", &error));
    outcome(args, &cx.counters, unreadable.or(failed))
}

/// A line's key and what is in it.
type Line = (String, Vec<u8>);

/// Keeps the first failure, and wakes whoever waits.
fn on_failure(failed: Rc<RefCell<Option<JobError>>>, waker: Notifier) -> Rc<dyn Fn(JobError)> {
    Rc::new(move |error| {
        let _ = failed.borrow_mut().get_or_insert(error);
        waker.notify();
    })
}

/// Says how many are in the stream, also when that is not all.
fn outcome(args: &PutArgs, counters: &SinkCounters, failed: Option<Failure>) -> Result<(), Failure> {
    let (written, given_up) = (counters.written.get(), counters.given_up.get());
    if let Some(failed) = failed {
        let left = counters.taken.get() - written;
        let remedy = format!("{written} record(s) before that are in the stream, {left} that were read are not");
        return Err(if counters.taken.get() > 0 { failed.with_remedy(remedy) } else { failed });
    }
    if given_up > 0 {
        let limit = args.retry_for.map_or(0, |limit| i64::try_from(limit.as_millis()).unwrap_or(i64::MAX));
        let message = format!("{given_up} record(s) were refused for {} and given up", show_millis(limit));
        return Err(Failure::new(Exit::Service, message).with_remedy(format!("{written} record(s) are in the stream")));
    }
    say(format_args!("put {written} record(s)"));
    Ok(())
}

/// Lines that came together, or why no more can be read.
type Lines = Result<Vec<Vec<u8>>, String>;

/// Reads on a thread of its own, which may wait for the next line as long as it likes.
fn read_lines(input: impl io::Read + Send + 'static, waker: Notifier) -> Result<Receiver<Lines>, Failure> {
    let (sender, receiver) = mailbox(CHUNKS_MAX);
    jobs::thread("stdin", move || {
        send_lines(input, &sender, &waker);
        // Nobody should be told of an end that is not there yet.
        drop(sender);
        waker.notify();
    })?;
    Ok(receiver)
}

fn send_lines(input: impl io::Read, sender: &Sender<Lines>, waker: &Notifier) {
    let mut input = BufReader::with_capacity(CHUNK_BYTES, input);
    loop {
        let chunk = read_chunk(&mut input).map_err(|error| error.to_string());
        let last = chunk.as_ref().map_or(true, Vec::is_empty);
        if chunk != Ok(Vec::new()) && sender.send_blocking(chunk).is_err() {
            return;
        }
        waker.notify();
        if last {
            return;
        }
    }
}

/// The next line, and those that are here already; none at the end.
fn read_chunk(input: &mut BufReader<impl io::Read>) -> io::Result<Vec<Vec<u8>>> {
    let mut lines = Vec::new();
    while lines.is_empty() || input.buffer().contains(&b'\n') {
        let mut line = Vec::new();
        if input.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        // As `BufRead::lines` has it, but for bytes of any kind.
        if line.pop_if(|last| *last == b'\n').is_some() {
            let _ = line.pop_if(|last| *last == b'\r');
        }
        lines.push(line);
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bytes_without_their_ends_and_those_that_are_here_come_together() {
        let mut input = BufReader::new(&b"a\nb\r\n\n\xff\nlast"[..]);
        let lines: Vec<&[u8]> = vec![b"a", b"b", b"", b"\xff"];
        assert_eq!(read_chunk(&mut input).unwrap(), lines);
        assert_eq!(read_chunk(&mut input).unwrap(), [b"last"]);
        assert_eq!(read_chunk(&mut input).unwrap(), Vec::<Vec<u8>>::new());
    }
}
