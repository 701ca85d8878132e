//! `--cores`: which cores jobs run on.

use clap::Args;
use weir_runtime::placement::{Cores, CoresError};

use crate::failure::{Exit, Failure};

/// The flag that `demo` and `run` share.
#[derive(Debug, Clone, Args)]
pub(super) struct CoresArgs {
    /// A count (`2`) or a list (`0-3,6`; one core alone is `3,`) of cores, each for one worker; all
    /// that this process may use unless given
    #[arg(long, value_name = "CORES")]
    cores: Option<String>,
}

impl CoresArgs {
    /// The cores meant.
    pub(super) fn resolve(&self) -> Result<Cores, Failure> {
        let cores = match &self.cores {
            Some(text) => Cores::parse(text),
            None => Cores::available(),
        };
        cores.map_err(|error| {
            let exit = match error {
                CoresError::Syntax(_) | CoresError::None | CoresError::Twice(_) => Exit::Usage,
                CoresError::TooMany { .. } | CoresError::NotAllowed { .. } | CoresError::Unknown => Exit::Environment,
            };
            Failure::new(exit, error.to_string())
        })
    }
}
