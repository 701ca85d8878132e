//! What an endpoint keeps on disk, so that it comes back as it was: a log of the model's entries in a directory.
//!
//! # What is promised
//!
//! An answer is sent after what it tells of is written (`write(2)`): a process that is killed, by whatever signal, loses
//! nothing that it has acknowledged. A machine that loses its power may, since nobody waits for the disk but who writes an
//! old file anew: this is an endpoint for development, and an `fsync` a call would make it slower than the service.
//!
//! # How
//!
//! Files of some [`VOLUME_BYTES`], the last of which is appended to, one write a request. Each begins with everything but
//! records, so a file none of whose records is held any more is deleted, and one of which more than half is not is
//! written anew without those, on a thread that may wait. Nothing is ever copied on the executor but the entry itself.
//! A write that fails refuses its call, and all others until it has succeeded: what could not be written is written first.
//!
//! The directory is locked while it is in use.

mod error;
mod frame;
mod volume;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};

pub use error::DataError;
use volume::Volume;

use super::model::{Model, ModelSettings, put_entry_head};

/// A file that has so much is the last one no longer. Small enough to be read and written anew in a moment.
const VOLUME_BYTES: u64 = 8 << 20;
const LOCK: &str = "lock";

/// A directory with an endpoint's data, locked.
#[derive(Debug)]
pub(super) struct Data {
    dir: PathBuf,
    /// Locked for as long as it is open.
    _lock: File,
    volume_bytes: u64,
    /// By number, all but the last.
    sealed: BTreeMap<u64, Volume>,
    last_number: u64,
    last: Volume,
    file: File,
    /// Frames that are in the model and not in the file.
    unwritten: Vec<u8>,
    /// The file may end with a part of them.
    torn: bool,
    chore: Option<Chore>,
    /// The number of the file that is being written anew.
    rewriting: Option<u64>,
}

/// A file to be written anew: for a thread that may wait.
#[derive(Debug)]
pub(super) struct Chore {
    number: u64,
    path: PathBuf,
    horizons: BTreeMap<u64, i64>,
}

/// A file written anew, or why not.
#[derive(Debug)]
pub(super) struct ChoreDone {
    number: u64,
    outcome: Result<Volume, DataError>,
}

impl Chore {
    /// Waits for the disk.
    pub fn run(self) -> ChoreDone {
        ChoreDone { number: self.number, outcome: Volume::shrink(self.path, &self.horizons) }
    }
}

impl Data {
    /// Opens a directory, making it if need be: a model of these settings as the data have it. Reads all there is; waits
    /// for the disk.
    pub fn open(dir: &Path, settings: ModelSettings) -> Result<(Data, Model), DataError> {
        Data::open_with(dir, settings, VOLUME_BYTES)
    }

    fn open_with(dir: &Path, settings: ModelSettings, volume_bytes: u64) -> Result<(Data, Model), DataError> {
        // Nothing is put into somebody else's directory, not even a lock.
        let _ = look_around(dir)?;
        let lock = lock(dir)?;
        let Found { numbers, unfinished } = look_around(dir)?;
        for name in unfinished {
            let path = dir.join(name);
            fs::remove_file(&path).map_err(DataError::io(&path, "deleted"))?;
        }
        let mut model = Model::new(settings);
        let mut volumes = BTreeMap::new();
        for number in &numbers {
            let path = Volume::path_of(dir, *number);
            let (volume, torn) = Volume::load(path, numbers.last() == Some(number), &mut model)?;
            if let Some(torn) = torn {
                tracing::warn!(
                    "{} ended within a change that was never answered: its {} byte(s) are dropped",
                    volume.path.display(),
                    torn.bytes
                );
            }
            volumes.insert(*number, volume);
        }
        model.keep_journal();
        model.after_applying();
        let (last_number, last) = match volumes.pop_last() {
            Some(last) => last,
            None => (1, Volume::begin(Volume::path_of(dir, 1), &model)?),
        };
        let mut data = Data {
            dir: dir.to_owned(),
            _lock: lock,
            volume_bytes,
            sealed: volumes,
            last_number,
            file: last.open()?,
            last,
            unwritten: Vec::new(),
            torn: false,
            chore: None,
            rewriting: None,
        };
        data.keep(&mut model)?;
        data.tidy(&model);
        Ok((data, model))
    }

    /// Writes what has changed in the model. One `write(2)`, or none.
    ///
    /// # Errors
    /// When it could not be written. It is tried again by the next call.
    pub fn keep(&mut self, model: &mut Model) -> Result<(), DataError> {
        let mut is_settled = false;
        for entry in model.take_entries() {
            frame::append(&mut self.unwritten, &entry);
            self.last.note(&entry);
            is_settled |= put_entry_head(&entry).is_none();
        }
        self.write()?;
        if self.last.bytes >= self.volume_bytes {
            match self.begin_another(model) {
                Ok(()) => is_settled = true,
                Err(error) => tracing::warn!("{error}; the file before it grows on"),
            }
        }
        // Who deletes a stream or shortens its retention wants the room back.
        if is_settled {
            self.tidy(model);
        }
        Ok(())
    }

    /// Writes what could not be written before, if there is any.
    ///
    /// # Errors
    /// When it still could not.
    pub fn write(&mut self) -> Result<(), DataError> {
        if self.unwritten.is_empty() {
            return Ok(());
        }
        if self.torn {
            self.file.set_len(self.last.bytes).map_err(DataError::io(&self.last.path, "cut"))?;
            self.torn = false;
        }
        self.torn = true;
        self.file.write_all(&self.unwritten).map_err(DataError::io(&self.last.path, "written"))?;
        self.torn = false;
        self.last.bytes += u64::try_from(self.unwritten.len()).expect("a length");
        self.unwritten.clear();
        self.unwritten.shrink_to(1 << 20);
        Ok(())
    }

    /// What is to be done where one may wait, if anything. Tell [`Data::on_chore_done`].
    pub fn take_chore(&mut self) -> Option<Chore> {
        let chore = self.chore.take()?;
        self.rewriting = Some(chore.number);
        Some(chore)
    }

    pub fn on_chore_done(&mut self, done: ChoreDone, model: &Model) {
        self.rewriting = None;
        match done.outcome {
            Ok(volume) => {
                self.sealed.insert(done.number, volume);
                self.tidy(model);
            }
            Err(error) => tracing::warn!("{error}; it stays as it was"),
        }
    }

    fn begin_another(&mut self, model: &Model) -> Result<(), DataError> {
        let number = self.last_number + 1;
        let volume = Volume::begin(Volume::path_of(&self.dir, number), model)?;
        self.file = volume.open()?;
        let sealed = std::mem::replace(&mut self.last, volume);
        self.sealed.insert(std::mem::replace(&mut self.last_number, number), sealed);
        Ok(())
    }

    /// Deletes files none of whose records is held, and finds one that is to be written anew.
    fn tidy(&mut self, model: &Model) {
        let horizons: BTreeMap<u64, i64> = model.horizons().collect();
        let rewriting = self.rewriting;
        self.chore = None;
        self.sealed.retain(|number, volume| {
            let (all, held) = volume.weigh(&horizons);
            if rewriting == Some(*number) {
                return true;
            }
            if held == 0 {
                // One that could not be deleted is tried again the next time.
                return fs::remove_file(&volume.path)
                    .inspect_err(|error| tracing::warn!("{} cannot be deleted: {error}", volume.path.display()))
                    .is_err();
            }
            if held * 2 < all && self.chore.is_none() && rewriting.is_none() {
                let (number, path) = (*number, volume.path.clone());
                self.chore = Some(Chore { number, path, horizons: horizons.clone() });
            }
            true
        });
    }
}

/// What is in a directory.
#[derive(Debug, Default)]
struct Found {
    numbers: BTreeSet<u64>,
    /// Names of files that were not whole when their process ended.
    unfinished: Vec<String>,
}

fn look_around(dir: &Path) -> Result<Found, DataError> {
    let mut found = Found::default();
    let listing = match fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        listing => listing.map_err(DataError::io(dir, "read"))?,
    };
    let mut foreign = None;
    for entry in listing {
        let name = entry.map_err(DataError::io(dir, "read"))?.file_name().to_string_lossy().into_owned();
        match Volume::number_of(&name) {
            Some(number) => drop(found.numbers.insert(number)),
            None if Volume::is_unfinished(&name) => found.unfinished.push(name),
            None if name == LOCK => {}
            None => foreign = Some(name),
        }
    }
    match foreign {
        Some(name) if found.numbers.is_empty() => Err(DataError::Foreign { dir: dir.to_owned(), name }),
        _ => Ok(found),
    }
}

fn lock(dir: &Path) -> Result<File, DataError> {
    fs::create_dir_all(dir).map_err(DataError::io(dir, "made"))?;
    let path = dir.join(LOCK);
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(DataError::io(&path, "opened"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DataError::InUse { dir: dir.to_owned() }),
        Err(TryLockError::Error(error)) => Err(DataError::io(path, "locked")(error)),
    }
}

#[cfg(test)]
mod tests;
