//! Why an endpoint's data cannot be used, each with what to do about it.

use std::io;
use std::path::PathBuf;

/// Why an endpoint's data cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// Another process has it open, or this one has.
    #[error("the data in {} are in use by another endpoint: end that one, or give another directory", dir.display())]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// Something else is kept there.
    #[error("{} holds {name:?} and no data of an endpoint: give an empty or a new directory", dir.display())]
    Foreign {
        /// The directory.
        dir: PathBuf,
        /// One of the things in it.
        name: String,
    },
    /// The machine does not let us.
    #[error("{} cannot be {what}: {error}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// `opened`, `read` and so on.
        what: &'static str,
        /// The machine's own words.
        error: io::Error,
    },
    /// A file that is not ours by its first bytes.
    #[error(
        "{} does not begin as a file of an endpoint's data does: take it away to go on without what is in it, or give \
         another directory",
        path.display()
    )]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// A file of another version of the format.
    #[error(
        "{} is of version {version} of the format, and this program knows version {known}: use the weir that wrote it, \
         or give another directory",
        path.display(),
        known = super::volume::VERSION
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// What is there was not written so.
    #[error(
        "{} is damaged at byte {offset} ({what}): cut it there to go on without what stands behind it in this file \
         (truncate -s {offset}), or give another directory",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the first entry begins that cannot be used.
        offset: usize,
        /// What is wrong with it.
        what: String,
    },
    /// It ends before all is said with which every file begins.
    #[error(
        "{} is damaged: it ends at byte {offset}, within its beginning; take it away to go on without what was in it, or \
         give another directory",
        path.display()
    )]
    NoBeginning {
        /// The file.
        path: PathBuf,
        /// Where it ends.
        offset: usize,
    },
}

impl DataError {
    pub(super) fn io(path: impl Into<PathBuf>, what: &'static str) -> impl FnOnce(io::Error) -> DataError {
        let path = path.into();
        move |error| DataError::Io { path, what, error }
    }
}
