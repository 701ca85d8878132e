//! The pace of one shard, shared by all readers of it: the service's limits are the shard's and not a reader's.
//!
//! Readers that want to send wait in line, so that none starves: who is first goes when the shard may be asked again, who
//! is behind comes back when those before have gone.

use std::cell::RefCell;
use std::rc::Rc;

use super::Moment;
use super::pacing::{CALL_INTERVAL, ReadPacing};

/// See the module's head. Each reader joins once.
#[derive(Debug, Default)]
pub struct ShardPace {
    read: ReadPacing,
    iterator_due: Moment,
    /// Readers that want to send now, in the order in which they came to want it.
    line: Vec<u64>,
    joined: u64,
}

/// A pace that several readers on one core hold.
pub type SharedPace = Rc<RefCell<ShardPace>>;

/// One reader's part in a pace; leaves the line when dropped.
#[derive(Debug)]
pub struct PaceOfReader {
    pace: SharedPace,
    reader: u64,
}

impl PaceOfReader {
    /// Joins a pace.
    pub fn join(pace: SharedPace) -> PaceOfReader {
        let mut joining = pace.borrow_mut();
        joining.joined += 1;
        let reader = joining.joined;
        drop(joining);
        PaceOfReader { pace, reader }
    }

    /// May this reader send `GetRecords` now? If so, the call counts; if not, when to ask again.
    ///
    /// # Errors
    /// The moment to come back.
    pub fn try_read(&self, now: Moment) -> Result<(), Moment> {
        let mut pace = self.pace.borrow_mut();
        let place = pace.line.iter().position(|reader| *reader == self.reader).unwrap_or_else(|| {
            pace.line.push(self.reader);
            pace.line.len() - 1
        });
        let before = u32::try_from(place).unwrap_or(u32::MAX);
        let due = pace.read.due() + CALL_INTERVAL.saturating_mul(before);
        if now < due {
            return Err(due);
        }
        pace.line.remove(place);
        pace.read.on_sent(now);
        Ok(())
    }

    /// May this reader send `GetShardIterator` now? If so, the call counts.
    ///
    /// # Errors
    /// The moment to come back.
    pub fn try_iterator(&self, now: Moment) -> Result<(), Moment> {
        let mut pace = self.pace.borrow_mut();
        if now < pace.iterator_due {
            return Err(pace.iterator_due);
        }
        pace.iterator_due = now + CALL_INTERVAL;
        Ok(())
    }

    /// A `GetRecords` call sent at `sent` brought so many bytes of keys and data.
    pub fn on_answer(&self, sent: Moment, bytes: usize) {
        self.pace.borrow_mut().read.on_answer(sent, bytes);
    }

    /// A `GetRecords` call failed, the news came at `now`.
    pub fn on_failure(&self, now: Moment) {
        self.pace.borrow_mut().read.on_failure(now);
    }

    /// When the shard may be asked for records again.
    pub fn due(&self) -> Moment {
        self.pace.borrow().read.due()
    }

    /// When the shard may be asked for an iterator again.
    pub fn iterator_due(&self) -> Moment {
        self.pace.borrow().iterator_due
    }
}

impl Drop for PaceOfReader {
    fn drop(&mut self) {
        self.pace.borrow_mut().line.retain(|reader| *reader != self.reader);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Readers that always want to read, each woken when it was told to come back; gives who sent when.
    fn greedy(readers: usize, until_ms: u64) -> Vec<(u64, usize)> {
        let pace = SharedPace::default();
        let readers: Vec<PaceOfReader> = (0..readers).map(|_| PaceOfReader::join(pace.clone())).collect();
        let mut due: Vec<Moment> = vec![Moment::ZERO; readers.len()];
        let mut sent = Vec::new();
        for ms in 0..until_ms {
            let now = Moment::from_millis(ms);
            for (index, reader) in readers.iter().enumerate() {
                if now >= due[index] {
                    match reader.try_read(now) {
                        Ok(()) => {
                            sent.push((ms, index));
                            reader.on_answer(now, 10);
                            due[index] = now + std::time::Duration::from_millis(7);
                        }
                        Err(at) => due[index] = at,
                    }
                }
            }
        }
        sent
    }

    #[test]
    fn readers_of_one_shard_keep_its_limit_together_and_take_turns() {
        for readers in [1, 2, 3, 7] {
            let sent = greedy(readers, 20_000);
            assert!(sent.windows(2).all(|pair| pair[1].0 - pair[0].0 >= 200), "more than 5 calls a second");
            assert!(sent.len() >= 95, "{readers} readers made {} calls in 20 s", sent.len());
            let of = |index| sent.iter().filter(|(_, reader)| *reader == index).count();
            let counts: Vec<usize> = (0..readers).map(of).collect();
            let (least, most) = (counts.iter().min().expect("some"), counts.iter().max().expect("some"));
            assert!(most - least <= 1, "{counts:?}");
        }
    }

    #[test]
    fn reader_that_goes_leaves_the_line() {
        let pace = SharedPace::default();
        let (first, second, third) =
            (PaceOfReader::join(pace.clone()), PaceOfReader::join(pace.clone()), PaceOfReader::join(pace));
        let now = Moment::from_millis(1_000);
        assert_eq!(first.try_read(now), Ok(()));
        assert_eq!(second.try_read(now), Err(Moment::from_millis(1_200)));
        assert_eq!(third.try_read(now), Err(Moment::from_millis(1_400)));
        drop(second);
        assert_eq!(third.try_read(Moment::from_millis(1_200)), Ok(()));
    }

    #[test]
    fn iterators_have_a_quota_of_their_own() {
        let pace = SharedPace::default();
        let (one, other) = (PaceOfReader::join(pace.clone()), PaceOfReader::join(pace));
        assert_eq!(one.try_iterator(Moment::from_millis(10)), Ok(()));
        assert_eq!(other.try_iterator(Moment::from_millis(20)), Err(Moment::from_millis(210)));
        assert_eq!(other.try_read(Moment::from_millis(20)), Ok(()));
    }
}
