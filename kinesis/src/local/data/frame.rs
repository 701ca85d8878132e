//! Entries one behind the other in a file, each in a frame from which damage is told from an end that was cut short.
//!
//! ```text
//!   u32 bytes of the entry | u32 its CRC-32 | u32 CRC-32 of these eight bytes | the entry      (little-endian)
//! ```
//!
//! The head has a check of its own: without one, a length that is damaged would look like an entry cut short, and
//! everything behind it would be taken for the rest of that.

use std::ops::Range;

const HEAD_BYTES: usize = 12;

/// Appends an entry in its frame.
pub fn append(to: &mut Vec<u8>, entry: &[u8]) {
    let length = u32::try_from(entry.len()).expect("an entry is of one call, or of one stream without its records");
    let head = [length.to_le_bytes(), crc32fast::hash(entry).to_le_bytes()].concat();
    to.extend_from_slice(&head);
    to.extend_from_slice(&crc32fast::hash(&head).to_le_bytes());
    to.extend_from_slice(entry);
}

/// Why there is no further entry although there are further bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The file ends within a frame.
    #[error("the file ends within an entry")]
    CutShort,
    /// What is there was not written so.
    #[error("{0}")]
    Damaged(&'static str),
}

/// The entry whose frame begins at `start`: where it stands. `None` at the end.
///
/// # Errors
/// As [`Broken`] has it.
pub fn entry_at(bytes: &[u8], start: usize) -> Result<Option<Range<usize>>, Broken> {
    let rest = &bytes[start..];
    if rest.is_empty() {
        return Ok(None);
    }
    let (head, rest) = rest.split_at_checked(HEAD_BYTES).ok_or(Broken::CutShort)?;
    let number = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes"));
    if crc32fast::hash(&head[..8]) != number(8) {
        return Err(Broken::Damaged("the head of an entry does not fit its check"));
    }
    let entry = rest.get(..usize::try_from(number(0)).expect("at least 32 bits")).ok_or(Broken::CutShort)?;
    if crc32fast::hash(entry) != number(4) {
        return Err(Broken::Damaged("an entry does not fit its check"));
    }
    Ok(Some(start + HEAD_BYTES..start + HEAD_BYTES + entry.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRIES: [&[u8]; 3] = [b"one", b"", b"three, which is longer"];

    fn read(bytes: &[u8]) -> (Vec<&[u8]>, Option<Broken>) {
        let (mut entries, mut start) = (Vec::new(), 0);
        loop {
            match entry_at(bytes, start) {
                Ok(Some(entry)) => {
                    start = entry.end;
                    entries.push(&bytes[entry]);
                }
                Ok(None) => return (entries, None),
                Err(broken) => return (entries, Some(broken)),
            }
        }
    }

    fn framed() -> Vec<u8> {
        let mut bytes = Vec::new();
        ENTRIES.iter().for_each(|entry| append(&mut bytes, entry));
        bytes
    }

    #[test]
    fn end_cut_anywhere_leaves_the_whole_entries_before_it() {
        let bytes = framed();
        let ends: Vec<usize> = ENTRIES
            .iter()
            .scan(0, |end, entry| {
                Some({
                    *end += HEAD_BYTES + entry.len();
                    *end
                })
            })
            .collect();
        for cut in 0..=bytes.len() {
            let whole = ends.iter().filter(|end| **end <= cut).count();
            let is_clean = cut == 0 || ends.contains(&cut);
            let expected = (ENTRIES[..whole].to_vec(), (!is_clean).then_some(Broken::CutShort));
            assert_eq!(read(&bytes[..cut]), expected, "cut at {cut}");
        }
    }

    #[test]
    fn any_changed_byte_is_damage_and_never_an_end_cut_short() {
        let bytes = framed();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            assert!(matches!(read(&changed), (_, Some(Broken::Damaged(_)))), "byte {at}");
        }
    }
}
