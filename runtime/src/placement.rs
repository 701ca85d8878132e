//! Which cores we may use.
//!
//! The kernel's answer for this thread decides (affinity and cgroup together), not the list of cores that are
//! online: a container usually may use fewer than the machine has.

use std::fmt;

/// The cores given to workers, in order, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cores(Vec<usize>);

/// Why cores cannot be used as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CoresError {
    /// Neither a count nor a list.
    #[error("`{0}` is neither a number of cores nor a list of them; write `2` for two cores or `0-3,6` for these")]
    Syntax(String),
    /// A job needs at least one core.
    #[error("0 cores were asked for, at least 1 is needed; write `--cores 1`")]
    None,
    /// More than we may use.
    #[error("{asked} cores were asked for, but this process may use {}: {available}; ask for fewer, or widen its CPU affinity", available.0.len())]
    TooMany {
        /// How many were asked for.
        asked: usize,
        /// What we may use.
        available: Cores,
    },
    /// A core that we may not use, or that is not there.
    #[error(
        "core {core} may not be used by this process, only {available}; choose among these, or widen its CPU affinity"
    )]
    NotAllowed {
        /// The first such core.
        core: usize,
        /// What we may use.
        available: Cores,
    },
    /// A core is in the list twice.
    #[error("core {0} is given twice; a core takes one worker")]
    Twice(usize),
    /// The kernel did not say.
    #[error("the kernel does not say which cores this process may use; check that sched_getaffinity is not barred")]
    Unknown,
}

impl Cores {
    /// All cores that the calling thread may use, ascending. Call it on an unpinned thread.
    ///
    /// # Errors
    /// `Unknown` when the kernel refuses to say.
    pub fn available() -> Result<Cores, CoresError> {
        let ids = core_affinity::get_core_ids().filter(|ids| !ids.is_empty()).ok_or(CoresError::Unknown)?;
        let mut cores: Vec<usize> = ids.into_iter().map(|core| core.id).collect();
        cores.sort_unstable();
        Ok(Cores(cores))
    }

    /// What people type: a count (`2`: the first two that we may use) or a list (`0-3,6`; a single core is `3,` or `3-3`).
    ///
    /// # Errors
    /// Each names what was asked and what may be used.
    pub fn parse(text: &str) -> Result<Cores, CoresError> {
        Cores::parse_among(text, Cores::available()?)
    }

    /// The first `count` cores that we may use.
    ///
    /// # Errors
    /// `None` and `TooMany`.
    pub fn first(count: usize) -> Result<Cores, CoresError> {
        Cores::available()?.take_first(count)
    }

    /// Whatever they are, for tests of what cannot be used.
    #[cfg(test)]
    pub(crate) fn unchecked(ids: Vec<usize>) -> Cores {
        Cores(ids)
    }

    fn take_first(mut self, count: usize) -> Result<Cores, CoresError> {
        if count == 0 {
            return Err(CoresError::None);
        }
        if count > self.0.len() {
            return Err(CoresError::TooMany { asked: count, available: self });
        }
        self.0.truncate(count);
        Ok(self)
    }

    fn parse_among(text: &str, available: Cores) -> Result<Cores, CoresError> {
        let syntax = || CoresError::Syntax(text.escape_default().to_string());
        let number = |part: &str| match part.trim() {
            digits if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse::<usize>().map_err(|_| syntax())
            }
            _ => Err(syntax()),
        };
        if !text.contains([',', '-']) {
            return available.take_first(number(text)?);
        }
        let mut cores = Vec::new();
        for part in text.trim().trim_end_matches(',').split(',') {
            let (first, last) = match part.split_once('-') {
                Some((first, last)) => (number(first)?, number(last)?),
                None => (number(part)?, number(part)?),
            };
            if first > last {
                return Err(syntax());
            }
            for core in first..=last {
                // Checked before it is kept, so that `0-99999999999` fails at once.
                if !available.0.contains(&core) {
                    return Err(CoresError::NotAllowed { core, available });
                }
                if cores.contains(&core) {
                    return Err(CoresError::Twice(core));
                }
                cores.push(core);
            }
        }
        Ok(Cores(cores))
    }

    /// The kernel's numbers of the cores, in the order given.
    #[must_use]
    pub fn ids(&self) -> &[usize] {
        &self.0
    }

    /// How many cores; at least one.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

/// Ranges, as `parse` takes them: `0-3,6`.
impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_slice();
        while let Some(&first) = rest.first() {
            let run = rest.iter().zip(first..).take_while(|(core, expected)| *core == expected).count();
            if rest.len() < self.0.len() {
                f.write_str(",")?;
            }
            match run {
                1 => write!(f, "{first}")?,
                _ => write!(f, "{first}-{}", first + run - 1)?,
            }
            rest = &rest[run..];
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<usize>, String> {
        Cores::parse_among(text, Cores(vec![0, 1, 2, 3, 6])).map(|cores| cores.0).map_err(|e| e.to_string())
    }

    #[test]
    fn count_takes_the_first_allowed_and_list_takes_what_it_names() {
        assert_eq!(parse("2"), Ok(vec![0, 1]));
        assert_eq!(parse("5"), Ok(vec![0, 1, 2, 3, 6]));
        assert_eq!(parse("1-3,6"), Ok(vec![1, 2, 3, 6]));
        assert_eq!(parse("6,0"), Ok(vec![6, 0]));
        assert_eq!(parse("3,"), Ok(vec![3]));
    }

    #[test]
    fn refusals_name_what_was_asked_and_what_may_be_used() {
        assert_eq!(parse("0"), Err("0 cores were asked for, at least 1 is needed; write `--cores 1`".into()));
        assert_eq!(
            parse("9"),
            Err("9 cores were asked for, but this process may use 5: 0-3,6; ask for fewer, or widen its CPU affinity"
                .into())
        );
        assert_eq!(
            parse("2-99999999999999"),
            Err("core 4 may not be used by this process, only 0-3,6; choose among these, or widen its CPU affinity"
                .into())
        );
        assert_eq!(parse("1,0-2"), Err("core 1 is given twice; a core takes one worker".into()));
        for bad in ["", ",", "a", "1-", "-1", "3-1", "1,,2", "+2", "99999999999999999999999"] {
            let text = parse(bad).expect_err(bad);
            assert!(text.starts_with(&format!("`{bad}` is neither")), "{bad}: {text}");
        }
    }

    #[test]
    fn this_machine_allows_at_least_one_core_and_the_first_is_among_them() {
        let all = Cores::available().expect("the kernel says");
        assert_eq!(Cores::parse("1").expect("one core is there").ids(), &all.ids()[..1]);
    }
}
