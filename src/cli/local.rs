//! `weir local`: the local Kinesis endpoint alone.

use std::process::ExitCode;

use clap::Args;

use super::{output::say, signals, stream};
use crate::{
    endpoint,
    failure::{Exit, Failure},
};

/// What `weir local` takes.
#[derive(Debug, Args)]
pub(super) struct LocalArgs {
    /// The address to listen at; port 0 picks a free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:4567")]
    listen: String,
    /// A stream to create, with its number of shards; may be given more than once
    #[arg(long, value_name = "NAME:SHARDS", value_parser = stream_to_create)]
    stream: Vec<(String, u32)>,
}

/// Serves until the first Ctrl-C.
pub(super) fn main(args: &LocalArgs) -> Result<ExitCode, Failure> {
    let interrupted = signals::interrupt()?;
    let endpoint = endpoint::start(&args.listen, &args.stream)?;
    say(format_args!("listening on {}", endpoint.url()));
    eprintln!("to use it from another terminal: {}", endpoint::exports(&endpoint));
    // A closed channel means that the listening thread is gone: nothing is left to wait for.
    let _ = interrupted.recv();
    endpoint.stop().map_err(|panic| Failure::new(Exit::Job, panic.to_string()))?;
    Ok(ExitCode::SUCCESS)
}

/// Reads `NAME:SHARDS`.
fn stream_to_create(text: &str) -> Result<(String, u32), String> {
    let (name, shards) = text.rsplit_once(':').unwrap_or((text, "1"));
    stream::check_name(name)?;
    Ok((name.to_owned(), stream::parse_shards(shards)?))
}

#[cfg(test)]
mod tests {
    use super::stream_to_create;

    #[test]
    fn a_stream_is_a_name_and_a_number_of_shards() {
        assert_eq!(stream_to_create("Tweets:2"), Ok(("Tweets".into(), 2)));
        assert_eq!(stream_to_create("Tweets"), Ok(("Tweets".into(), 1)));
        let said = stream_to_create("Tweets:0").expect_err("no shards");
        assert_eq!(said, "`0` is not a number of shards, 1 to 10000");
        assert!(stream_to_create("a b:1").is_err());
        assert!(stream_to_create(":1").is_err());
    }
}
