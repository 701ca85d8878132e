//! Dead letters as lines of a file, appended on a thread that may block.

use std::cell::{Cell, RefCell};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use weir_runtime::error::JobError;
use weir_runtime::facade;

use super::{Letter, OnKept, cannot};

/// With so many bytes waiting nothing more should be taken that may end here.
const WAITING_BYTES_MAX: usize = 16 << 20;

/// The letters of one writer on their way to a file.
pub(in crate::sink) struct FileBox {
    path: Arc<Path>,
    waiting: RefCell<Vec<u8>>,
    waiting_letters: Cell<u64>,
    writing: Cell<bool>,
    on_kept: OnKept,
}

impl FileBox {
    pub(super) fn new(path: &Path, on_kept: OnKept) -> Rc<FileBox> {
        Rc::new(FileBox {
            path: Arc::from(path),
            waiting: RefCell::default(),
            waiting_letters: Cell::new(0),
            writing: Cell::new(false),
            on_kept,
        })
    }

    pub(super) fn ready(&self) -> bool {
        self.waiting.borrow().len() < WAITING_BYTES_MAX
    }

    pub(super) fn post(self: &Rc<Self>, letter: &Letter<'_>) {
        let mut waiting = self.waiting.borrow_mut();
        waiting.extend_from_slice(letter.json().as_bytes());
        waiting.push(b'\n');
        self.waiting_letters.set(self.waiting_letters.get() + 1);
        if !self.writing.replace(true) {
            facade::spawn(Rc::clone(self).write_all()).detach();
        }
    }

    async fn write_all(self: Rc<Self>) {
        // A spawned task may run at once, inside `spawn`, where the caller still holds what waits.
        facade::yield_now().await;
        loop {
            let (lines, letters) = (self.waiting.take(), self.waiting_letters.take());
            if lines.is_empty() {
                return self.writing.set(false);
            }
            let path = Arc::clone(&self.path);
            let appended = facade::spawn_blocking(move || append(&path, &lines)).await;
            // After a failure nothing more is written, and `writing` stays as it is.
            let failed = appended.is_err();
            (self.on_kept)(appended.map(|()| letters));
            if failed {
                return;
            }
        }
    }
}

/// Appends whole lines. The file is opened each time, so that it may be moved away while a job runs.
///
/// # Errors
/// When it cannot be opened or written.
pub(super) fn append(path: &Path, lines: &[u8]) -> Result<(), JobError> {
    /// Lines of several workers and jobs do not mix.
    static APPENDING: Mutex<()> = Mutex::new(());
    let _one = APPENDING.lock().unwrap_or_else(PoisonError::into_inner);
    let opened = OpenOptions::new().create(true).append(true).open(path);
    opened.and_then(|mut file| file.write_all(lines)).map_err(|error| cannot(path, &error))
}
