//! One file of the log: a head, a whole beginning, and what changed from then on.
//!
//! Since each begins with all but the records, any of them can go once the records in it are no longer held.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::error::DataError;
use super::frame::{self, Broken};
use crate::local::model::{Model, beginning_entries, put_entry_head};

/// The version of the format that is written, and the only one that is read.
pub const VERSION: u32 = 1;
const MAGIC: [u8; 8] = *b"WEIRDATA";
const HEAD_BYTES: usize = 12;
const ENDING: &str = ".weir";
/// Of a file that is not whole yet.
const NEW_ENDING: &str = ".new";

/// What is to be known of a file.
#[derive(Debug)]
pub struct Volume {
    pub path: PathBuf,
    pub bytes: u64,
    /// Entries of records by their stream's generation.
    pub puts: BTreeMap<u64, Puts>,
}

/// Entries of records of one stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct Puts {
    pub bytes: u64,
    /// When the last of them came.
    pub last_arrival_ms: i64,
}

/// What has become of a file's last bytes.
#[derive(Debug, PartialEq, Eq)]
pub struct Torn {
    /// Bytes that were dropped.
    pub bytes: usize,
}

impl Volume {
    pub fn path_of(dir: &Path, number: u64) -> PathBuf {
        dir.join(format!("{number:010}{ENDING}"))
    }

    /// The number in a file's name, if it is of such a file.
    pub fn number_of(name: &str) -> Option<u64> {
        let digits = name.strip_suffix(ENDING)?;
        (digits.len() >= 10 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok())?
    }

    /// Is it a file that was not whole when its process ended?
    pub fn is_unfinished(name: &str) -> bool {
        name.strip_suffix(NEW_ENDING).is_some_and(|name| Volume::number_of(name).is_some())
    }

    fn empty(path: PathBuf) -> Volume {
        Volume { path, bytes: 0, puts: BTreeMap::new() }
    }

    /// Begins a file, which is there whole or not at all.
    pub fn begin(path: PathBuf, model: &Model) -> Result<Volume, DataError> {
        let mut volume = Volume::empty(path);
        let mut bytes = head();
        model.beginning().iter().for_each(|entry| frame::append(&mut bytes, entry));
        volume.replace(&bytes, |_| Ok(()))?;
        Ok(volume)
    }

    /// Reads a file into the model. One that is the last may end within an entry, which is then cut off.
    pub fn load(path: PathBuf, is_last: bool, model: &mut Model) -> Result<(Volume, Option<Torn>), DataError> {
        let mut volume = Volume::empty(path);
        let bytes = fs::read(&volume.path).map_err(DataError::io(&volume.path, "read"))?;
        let (mut start, mut entries, mut beginning) = (check_head(&bytes, &volume.path)?, 0, usize::MAX);
        loop {
            let damaged = |what| DataError::Damaged { path: volume.path.clone(), offset: start, what };
            let torn = match frame::entry_at(&bytes, start) {
                Ok(Some(at)) => {
                    let entry = &bytes[at.clone()];
                    if entries == 0 {
                        beginning = beginning_entries(entry).ok_or_else(|| damaged("no beginning".to_owned()))?;
                    }
                    model.apply(entry).map_err(damaged)?;
                    volume.note(entry);
                    (start, entries) = (at.end, entries + 1);
                    continue;
                }
                Ok(None) => None,
                Err(Broken::CutShort) if is_last => Some(Torn { bytes: bytes.len() - start }),
                Err(broken) => return Err(damaged(broken.to_string())),
            };
            if entries < beginning {
                return Err(DataError::NoBeginning { path: volume.path, offset: bytes.len() });
            }
            volume.bytes = u64::try_from(start).expect("a length");
            if torn.is_some() {
                let file = volume.open()?;
                file.set_len(volume.bytes).map_err(DataError::io(&volume.path, "cut"))?;
            }
            return Ok((volume, torn));
        }
    }

    /// Counts an entry that is in the file or on its way there.
    pub fn note(&mut self, entry: &[u8]) {
        if let Some(head) = put_entry_head(entry) {
            let puts = self.puts.entry(head.generation).or_default();
            puts.bytes += u64::try_from(entry.len()).expect("a length");
            puts.last_arrival_ms = head.arrival_ms;
        }
    }

    /// To be appended to.
    pub fn open(&self) -> Result<File, DataError> {
        OpenOptions::new().append(true).open(&self.path).map_err(DataError::io(&self.path, "opened"))
    }

    /// Writes the file anew without records that are no longer held: of streams that are gone, or from before their
    /// stream's horizon. Reads and writes as much as the file has; waits for the disk.
    pub fn shrink(path: PathBuf, horizons: &BTreeMap<u64, i64>) -> Result<Volume, DataError> {
        let mut volume = Volume::empty(path);
        let bytes = fs::read(&volume.path).map_err(DataError::io(&volume.path, "read"))?;
        let mut start = check_head(&bytes, &volume.path)?;
        let mut kept = head();
        loop {
            let at = match frame::entry_at(&bytes, start) {
                Ok(Some(at)) => at,
                Ok(None) => break,
                Err(broken) => {
                    let what = broken.to_string();
                    return Err(DataError::Damaged { path: volume.path, offset: start, what });
                }
            };
            let entry = &bytes[at.clone()];
            start = at.end;
            let is_held = put_entry_head(entry).is_none_or(|put| {
                horizons.get(&put.generation).is_some_and(|horizon_ms| put.arrival_ms >= *horizon_ms)
            });
            if is_held {
                frame::append(&mut kept, entry);
                volume.note(entry);
            }
        }
        volume.replace(&kept, File::sync_data)?;
        Ok(volume)
    }

    /// Bytes of records in it, and of those that are held still.
    pub fn weigh(&self, horizons: &BTreeMap<u64, i64>) -> (u64, u64) {
        let is_held = |generation, puts: &Puts| {
            horizons.get(generation).is_some_and(|horizon_ms| puts.last_arrival_ms >= *horizon_ms)
        };
        let held = self.puts.iter().filter(|(generation, puts)| is_held(*generation, puts));
        (self.puts.values().map(|puts| puts.bytes).sum(), held.map(|(_, puts)| puts.bytes).sum())
    }

    /// Puts a file with these bytes in place of the one there, at once.
    fn replace(&mut self, bytes: &[u8], settle: fn(&File) -> io::Result<()>) -> Result<(), DataError> {
        let mut new = self.path.clone().into_os_string();
        new.push(NEW_ENDING);
        let written = File::create(&new).and_then(|mut file| {
            file.write_all(bytes)?;
            settle(&file)?;
            fs::rename(&new, &self.path)
        });
        written.map_err(DataError::io(&self.path, "written"))?;
        self.bytes = u64::try_from(bytes.len()).expect("a length");
        Ok(())
    }
}

fn head() -> Vec<u8> {
    [&MAGIC[..], &VERSION.to_le_bytes()].concat()
}

/// Where the first entry begins.
fn check_head(bytes: &[u8], path: &Path) -> Result<usize, DataError> {
    let path = || path.to_owned();
    let whole = bytes.first_chunk::<HEAD_BYTES>();
    let Some(whole) = whole else {
        let is_ours = MAGIC.starts_with(&bytes[..bytes.len().min(MAGIC.len())]);
        return Err(match is_ours {
            true => DataError::NoBeginning { path: path(), offset: bytes.len() },
            false => DataError::NotOurs { path: path() },
        });
    };
    let (magic, version) = whole.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err(DataError::NotOurs { path: path() });
    }
    match u32::from_le_bytes(version.try_into().expect("four bytes")) {
        VERSION => Ok(HEAD_BYTES),
        version => Err(DataError::Version { path: path(), version }),
    }
}
