//! The command line: what can be typed, one file a command.
//!
//! Exit codes: 0 all went well; 1 a job failed; 2 the command line, a setting or a job file is
//! wrong; 3 the machine does not give what is needed; 4 the service refuses; 130 the second Ctrl-C.

mod cores;
mod demo;
mod jobs;
mod local;
mod losses;
mod output;
mod run;
mod service;
mod signals;
mod stream;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::{failure::Failure, program::Pipelines};

/// What `--help` ends with.
const EXIT_CODES: &str = "\
Exit codes: 0 all went well; 1 a job failed; 2 the command line, a setting or a job file is wrong; \
3 the machine does not give what is needed (cores, io_uring, locked memory, a port, trust in the \
endpoint's certificate); 4 the service refuses (credentials, access, no such stream, no answer); 130 the second Ctrl-C.";

/// Thread-per-core windowed aggregation of Amazon Kinesis Data Streams.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = EXIT_CODES, subcommand_required = true, arg_required_else_help = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows it all on this machine: a local Kinesis, a publisher and a traffic monitor
    Demo(demo::DemoArgs),
    /// Runs jobs until they end or Ctrl-C
    Run(run::RunArgs),
    /// Serves a local Kinesis endpoint until Ctrl-C
    Local(local::LocalArgs),
    /// Creates, describes, fills and reads a stream
    Stream(stream::StreamArgs),
}

/// Reads the command line of this process and does what it says.
pub(crate) fn main(pipelines: &Pipelines) -> ExitCode {
    let mut command = CommandLine::command();
    if !pipelines.is_empty() {
        let names = format!("Pipelines of this program: {}", pipelines.names().join(", "));
        command = command.mut_subcommand("run", |run| run.after_help(names));
    }
    let typed = command.try_get_matches().and_then(|matches| CommandLine::from_arg_matches(&matches));
    let command = match typed {
        Ok(typed) => typed.command,
        // clap says it well, help to standard output and mistakes to standard error with code 2.
        Err(error) => error.exit(),
    };
    output::start_log();
    let done = match command {
        Command::Demo(args) => demo::main(&args),
        Command::Run(args) => run::main(&args, pipelines),
        Command::Local(args) => local::main(&args),
        Command::Stream(args) => stream::main(&args),
    };
    // A job that failed has not waited for its last lines.
    output::settle();
    done.unwrap_or_else(|failure: Failure| failure.report())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::CommandLine;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }
}
