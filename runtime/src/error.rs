//! What can go wrong with a job, sorted by who has to act.

use std::fmt;

/// Who has to act on a [`JobError`]. It also decides the program's exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The pipeline or its settings are wrong: whoever wrote them. Exit code 2.
    Settings,
    /// This host does not allow what a node needs (cores, io_uring, memory lock, a port): whoever runs it. Exit code 3.
    Environment,
    /// The service refused for good (credentials, missing stream, access): whoever owns the account. Exit code 4.
    Service,
    /// The data cannot be handled (a record that can never be written, a closure that panicked on an item). Exit code 1.
    Data,
    /// An invariant of Weir's own does not hold: us. Exit code 1.
    Bug,
}

/// Why a job failed: one sentence, and one more with the remedy where there is one.
///
/// Messages are lower case, without a full stop, and never hold secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobError {
    /// Who has to act.
    pub kind: Kind,
    /// What was wrong and where: got against expected, identity and unit.
    pub message: String,
    /// What to do about it; empty where nothing can be advised.
    pub remedy: String,
}

impl JobError {
    /// An error without a remedy.
    pub fn new(kind: Kind, message: impl Into<String>) -> JobError {
        JobError { kind, message: message.into(), remedy: String::new() }
    }

    /// An error of whoever wrote the pipeline or its settings.
    pub fn settings(message: impl Into<String>) -> JobError {
        JobError::new(Kind::Settings, message)
    }

    /// An error of ours: a broken invariant that was noticed in time.
    pub fn bug(message: impl Into<String>) -> JobError {
        JobError::new(Kind::Bug, message)
    }

    /// The same error with what to do about it.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> JobError {
        self.remedy = remedy.into();
        self
    }

    /// The same error, saying where it happened: `prefix: message`.
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> JobError {
        self.message = format!("{place}: {}", self.message);
        self
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if !self.remedy.is_empty() {
            write!(f, "; {}", self.remedy)?;
        }
        Ok(())
    }
}

impl std::error::Error for JobError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_comes_first_and_the_remedy_last() {
        let error = JobError::new(Kind::Service, "stream Tweets is missing").with_remedy("create it").at("source");
        assert_eq!(error.to_string(), "source: stream Tweets is missing; create it");
    }
}
