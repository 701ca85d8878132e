//! `weir local`: the local Kinesis endpoint alone.

use std::process::ExitCode;

use clap::Args;

use super::{signals, stream};
use crate::{endpoint::Endpoint, failure::Failure};

/// What `weir local` takes.
#[derive(Debug, Args)]
pub(super) struct LocalArgs {
    /// The address to listen on; port 0 picks one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:4567")]
    listen: String,
    /// A stream to create, with its number of shards; may be given more than once
    #[arg(long, value_name = "NAME:SHARDS", value_parser = stream_to_create)]
    stream: Vec<(String, u32)>,
}

/// Serves until the first Ctrl-C.
pub(super) fn main(args: &LocalArgs) -> Result<ExitCode, Failure> {
    let interrupted = signals::interrupt()?;
    let endpoint = Endpoint::start(&args.listen, &args.stream)?;
    println!("listening on {}", endpoint.url());
    eprintln!("to use it: {}", endpoint.exports());
    // A closed channel means that the listening thread is gone: nothing is left to wait for.
    let _ = interrupted.recv();
    endpoint.stop()?;
    Ok(ExitCode::SUCCESS)
}

/// Reads `NAME:SHARDS`.
fn stream_to_create(text: &str) -> Result<(String, u32), String> {
    let (name, shards) = text.rsplit_once(':').unwrap_or((text, "1"));
    stream::check_name(name)?;
    match shards.parse() {
        Ok(shards @ 1..=stream::SHARDS_MAX) => Ok((name.to_owned(), shards)),
        _ => Err(format!("`{shards}` is not a number of shards, 1 to {}", stream::SHARDS_MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::stream_to_create;

    #[test]
    fn a_stream_is_a_name_and_a_number_of_shards() {
        assert_eq!(stream_to_create("Tweets:2"), Ok(("Tweets".into(), 2)));
        assert_eq!(stream_to_create("Tweets"), Ok(("Tweets".into(), 1)));
        assert_eq!(
            stream_to_create("Tweets:0"),
            Err("`0` is not a number of shards, 1 to 10000".into())
        );
        assert!(stream_to_create("a b:1").is_err());
        assert!(stream_to_create(":1").is_err());
    }
}
