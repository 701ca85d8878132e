//! What the program says when it cannot go on: one sentence with its remedy, and an exit code.

use std::{fmt, process::ExitCode};

/// Why the program ended; the number is its exit code. Documented in `docs/exit-codes.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// A job failed, or the run did not hold what it must.
    Job = 1,
    /// The command line, a setting or a job file is wrong.
    Usage = 2,
    /// The machine does not give what is needed: cores, io_uring, locked memory, a port, trust in the endpoint.
    Environment = 3,
    /// The service refuses: credentials, access, no such stream, an endpoint that does not answer.
    Service = 4,
}

/// A reason to end, for a person to read and act on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    exit: Exit,
    message: String,
    remedy: Option<String>,
}

impl Failure {
    /// `message` is lower case without a full stop; it says what was got and what was expected.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Failure {
        // The words of others may go over several lines; ours are one sentence.
        let message = message.into().split_whitespace().collect::<Vec<_>>().join(" ");
        Failure { exit, message, remedy: None }
    }

    /// Wrong settings or a wrong job file.
    pub(crate) fn usage(message: impl Into<String>) -> Failure {
        Failure::new(Exit::Usage, message)
    }

    /// Adds what the person can do about it.
    pub(crate) fn with_remedy(mut self, remedy: impl Into<String>) -> Failure {
        let remedy = remedy.into();
        self.remedy = (!remedy.is_empty()).then_some(remedy);
        self
    }

    /// Says the sentence on standard error and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        eprintln!("weir: {self}");
        self.code()
    }

    /// The exit code alone.
    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(self.exit as u8)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)?;
        match &self.remedy {
            Some(remedy) => write!(out, "; {remedy}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::{Exit, Failure};

    #[test]
    fn a_failure_is_one_sentence_with_its_remedy() {
        let bare = Failure::usage("core 9 may not be used");
        assert_eq!(bare.to_string(), "core 9 may not be used");
        let full = bare.with_remedy("use one of 0, 1");
        assert_eq!(full.to_string(), "core 9 may not be used; use one of 0, 1");
        assert_eq!(Failure::new(Exit::Job, "x\n  y").with_remedy("").to_string(), "x y");
    }
}
