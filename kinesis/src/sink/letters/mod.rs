//! Dead letters: records that will not be written, kept in a file or a stream with the reason.
//!
//! A letter is a JSON object: a line of the file, or a record of the stream.

mod file;
mod letter;
mod stream;

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use weir_runtime::error::{JobError, Kind};
use weir_runtime::facade;
use weir_runtime::sink::SinkContext;

use self::file::FileBox;
pub(super) use self::letter::Letter;
use self::stream::StreamBox;
use super::calls::Connect;

/// Where a sink keeps the records that it cannot write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeadLetters {
    /// Lines of JSON, appended to this file. It is made unless it is there; its folder must be.
    File(PathBuf),
    /// Another stream of the same service, one record of JSON each, under the record's own partition key if it has a usable one.
    Stream(String),
}

/// What a letter box tells: so many letters more are kept, or that no more can be.
pub(super) type OnKept = Rc<dyn Fn(Result<u64, JobError>)>;

/// Keeps the letters of one writer.
pub(super) enum LetterBox {
    File(Rc<FileBox>),
    Stream(StreamBox),
}

impl LetterBox {
    pub(super) fn open(place: &DeadLetters, connect: &Connect, cx: &SinkContext, on_kept: OnKept) -> LetterBox {
        match place {
            DeadLetters::File(path) => LetterBox::File(FileBox::new(path, on_kept)),
            DeadLetters::Stream(stream) => LetterBox::Stream(StreamBox::new(stream, connect, cx, on_kept)),
        }
    }

    /// Whether there is room for the letters of another run of records.
    pub(super) fn ready(&self) -> bool {
        match self {
            LetterBox::File(file) => file.ready(),
            LetterBox::Stream(stream) => stream.ready(),
        }
    }

    /// Takes a letter. Never blocks.
    pub(super) fn post(&self, letter: &Letter<'_>) {
        match self {
            LetterBox::File(file) => file.post(letter),
            LetterBox::Stream(stream) => stream.post(letter),
        }
    }
}

/// Asked before the job starts: whether letters can be kept there.
///
/// # Errors
/// When the file cannot be appended to. Streams are asked for elsewhere, as all streams are.
pub(super) async fn check_file(path: &Path) -> Result<(), JobError> {
    let path: Arc<Path> = Arc::from(path);
    facade::spawn_blocking(move || file::append(&path, &[])).await
}

/// Why letters cannot be kept in a file.
fn cannot(path: &Path, error: &std::io::Error) -> JobError {
    JobError::new(Kind::Environment, format!("dead letters cannot be written to {}: {error}", path.display()))
        .with_remedy("make room there, or give a file in a folder that may be written to")
}
