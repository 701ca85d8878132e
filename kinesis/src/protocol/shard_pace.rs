//! The pace of one shard, shared by all readers of it: the service's limits are the shard's and not a reader's.
//!
//! Readers that want to send wait in line, so that none starves: who is first goes when the shard may be asked again, who
//! is behind comes back when those before have gone. Being first takes nothing: a call counts when it is sent, and until
//! then whoever is not ready may be overtaken by the next in line.

use std::cell::RefCell;
use std::rc::Rc;

use super::Moment;
use super::pacing::{ReadPacing, Share};

/// See the module's head. Each reader joins once.
#[derive(Debug, Default)]
pub struct ShardPace {
    read: ReadPacing,
    iterator_due: Moment,
    /// Readers that want to send now, in the order in which they came to want it.
    line: Vec<u64>,
    /// Readers, each with the share of the shard that it was allowed.
    members: Vec<(u64, Share)>,
    joined: u64,
}

impl ShardPace {
    /// The least that any reader was allowed: together they keep to it.
    fn share(&self) -> Share {
        self.members
            .iter()
            .map(|(_, share)| *share)
            .fold(Share::WHOLE, |least, share| if share < least { share } else { least })
    }

    /// When the reader may send, as the line is now; it joins the line if it is not in it. Gives its place too.
    fn turn_of(&mut self, reader: u64) -> (Moment, usize) {
        let place = self.line.iter().position(|waiting| *waiting == reader).unwrap_or_else(|| {
            self.line.push(reader);
            self.line.len() - 1
        });
        let before = u32::try_from(place).unwrap_or(u32::MAX);
        (self.read.due() + self.share().call_interval().saturating_mul(before), place)
    }
}

/// A pace that several readers on one core hold.
pub type SharedPace = Rc<RefCell<ShardPace>>;

/// One reader's part in a pace; leaves it when dropped.
#[derive(Debug)]
pub struct PaceOfReader {
    pace: SharedPace,
    reader: u64,
}

impl PaceOfReader {
    /// Joins a pace, with the share of the shard that this process may take as far as this reader knows.
    pub fn join(pace: SharedPace, share: Share) -> PaceOfReader {
        let mut joining = pace.borrow_mut();
        joining.joined += 1;
        let reader = joining.joined;
        joining.members.push((reader, share));
        drop(joining);
        PaceOfReader { pace, reader }
    }

    /// Joins the line to send `GetRecords`. Nothing counts yet.
    ///
    /// # Errors
    /// Not yet: the moment to come back.
    pub fn queue_to_read(&self, now: Moment) -> Result<(), Moment> {
        let (due, _) = self.pace.borrow_mut().turn_of(self.reader);
        if now < due { Err(due) } else { Ok(()) }
    }

    /// May this reader send `GetRecords` at this very moment? If so, the call counts; if not, it waits in line.
    ///
    /// # Errors
    /// The moment to come back.
    pub fn try_read(&self, now: Moment) -> Result<(), Moment> {
        let mut pace = self.pace.borrow_mut();
        let (due, place) = pace.turn_of(self.reader);
        if now < due {
            return Err(due);
        }
        pace.line.remove(place);
        let share = pace.share();
        pace.read.on_sent(now, share);
        Ok(())
    }

    /// Lets those behind it pass: it cannot send now.
    pub fn stand_aside(&self) {
        self.pace.borrow_mut().line.retain(|reader| *reader != self.reader);
    }

    /// May this reader send `GetShardIterator` at this very moment? If so, the call counts.
    ///
    /// # Errors
    /// The moment to come back.
    pub fn try_iterator(&self, now: Moment) -> Result<(), Moment> {
        let mut pace = self.pace.borrow_mut();
        if now < pace.iterator_due {
            return Err(pace.iterator_due);
        }
        pace.iterator_due = now + pace.share().call_interval();
        Ok(())
    }

    /// A `GetRecords` call sent at `sent` brought so many bytes of keys and data.
    pub fn on_answer(&self, sent: Moment, bytes: usize) {
        let mut pace = self.pace.borrow_mut();
        let share = pace.share();
        pace.read.on_answer(sent, bytes, share);
    }

    /// A `GetRecords` call failed, the news came at `now`.
    pub fn on_failure(&self, now: Moment) {
        let mut pace = self.pace.borrow_mut();
        let share = pace.share();
        pace.read.on_failure(now, share);
    }

    /// When the shard may be asked for records again.
    pub fn due(&self) -> Moment {
        self.pace.borrow().read.due()
    }

    /// When the shard may be asked for an iterator again.
    pub fn iterator_due(&self) -> Moment {
        self.pace.borrow().iterator_due
    }

    /// Least time between two calls on the shard.
    pub fn call_interval(&self) -> std::time::Duration {
        self.pace.borrow().share().call_interval()
    }
}

impl Drop for PaceOfReader {
    fn drop(&mut self) {
        self.stand_aside();
        self.pace.borrow_mut().members.retain(|(reader, _)| *reader != self.reader);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Readers that always want to read, each woken when it was told to come back; gives who sent when.
    fn greedy(readers: usize, until_ms: u64) -> Vec<(u64, usize)> {
        let pace = SharedPace::default();
        let readers: Vec<PaceOfReader> = (0..readers).map(|_| PaceOfReader::join(pace.clone(), Share::WHOLE)).collect();
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
        let (first, second, third) = (
            PaceOfReader::join(pace.clone(), Share::WHOLE),
            PaceOfReader::join(pace.clone(), Share::WHOLE),
            PaceOfReader::join(pace, Share::WHOLE),
        );
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
        let (one, other) = (PaceOfReader::join(pace.clone(), Share::WHOLE), PaceOfReader::join(pace, Share::WHOLE));
        assert_eq!(one.try_iterator(Moment::from_millis(10)), Ok(()));
        assert_eq!(other.try_iterator(Moment::from_millis(20)), Err(Moment::from_millis(210)));
        assert_eq!(other.try_read(Moment::from_millis(20)), Ok(()));
    }

    // Jobs of one process know nothing of each other's settings; who must leave room for others is believed.
    #[test]
    fn least_share_of_those_who_read_a_shard_is_kept_together_and_goes_with_its_reader() {
        let pace = SharedPace::default();
        let whole = PaceOfReader::join(pace.clone(), Share::WHOLE);
        let part = PaceOfReader::join(pace, Share::of(0.2).expect("a part"));
        assert_eq!(whole.try_read(Moment::ZERO), Ok(()));
        assert_eq!(part.try_read(Moment::from_millis(900)), Err(Moment::from_millis(1_000)));
        drop(part);
        whole.on_answer(Moment::from_millis(5_000), 1);
        assert_eq!(whole.due(), Moment::from_millis(5_200));
    }

    // first:   its turn at 0, but waits for memory ............ 450: asks again
    // second:            overtakes it at 250
    #[test]
    fn turn_counts_when_the_call_is_sent_and_is_lost_to_who_is_ready_meanwhile() {
        let pace = SharedPace::default();
        let first = PaceOfReader::join(pace.clone(), Share::WHOLE);
        let second = PaceOfReader::join(pace, Share::WHOLE);
        let at = Moment::from_millis;
        assert_eq!(first.queue_to_read(at(0)), Ok(()));
        assert_eq!(second.queue_to_read(at(0)), Err(at(200)), "the turn is the first one's for an interval");
        assert_eq!(second.queue_to_read(at(250)), Ok(()));
        assert_eq!(second.try_read(at(250)), Ok(()));
        assert_eq!(first.try_read(at(300)), Err(at(450)), "or two would go at once");
        assert_eq!(first.try_read(at(450)), Ok(()));
        assert_eq!(second.queue_to_read(at(450)), Err(at(650)), "counted from when it was sent");
    }

    #[test]
    fn who_stands_aside_holds_nobody_up() {
        let pace = SharedPace::default();
        let first = PaceOfReader::join(pace.clone(), Share::WHOLE);
        let second = PaceOfReader::join(pace, Share::WHOLE);
        assert_eq!(first.queue_to_read(Moment::ZERO), Ok(()));
        first.stand_aside();
        assert_eq!(second.try_read(Moment::ZERO), Ok(()));
    }
}
