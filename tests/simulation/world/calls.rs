//! Between a reader and the service: calls that are lost, cut, throttled, refused or late, one by one or in storms.

use weir_kinesis::protocol::polling::{Action, Input};
use weir_kinesis::protocol::{ErrorKind, Moment};

use super::super::faults::StormKind;
use super::{CALL_TIMEOUT_NS, Event, NS_PER_MS, World};

/// An answer that is slow in a storm takes up to so long; beyond the caller's patience it is as good as lost.
const SLOW_NS: u64 = 1_500 * NS_PER_MS;

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Answered {
        delay_ns: u64,
    },
    /// Never served.
    Unserved(ErrorKind, u64),
    /// Served, and the caller does not learn it.
    Lost(ErrorKind, u64),
}

impl World {
    pub(super) fn step_reader(&mut self, reader: usize, input: Input) -> Result<(), String> {
        if !self.readers[reader].is_reading() {
            return Ok(());
        }
        let (now, service_ms) = (self.now(), self.service_ms());
        let own = &mut self.readers[reader];
        if let Input::Records(answer) = &input
            && answer.timing.date_ms.is_some_and(|date_ms| (date_ms - service_ms).abs() < 5_000)
        {
            let due = &mut self.workers[own.worker].honest_dates_due;
            *due = due.saturating_sub(1);
        }
        own.on(input, now, &mut self.workers[own.worker].clock)?;
        self.pump(reader)
    }

    /// Passes on what waits, then does what the machine asked for.
    pub(super) fn pump(&mut self, reader: usize) -> Result<(), String> {
        if !self.readers[reader].is_reading() {
            return Ok(());
        }
        let mut behind = Vec::new();
        let action = self.readers[reader].pump(&mut behind);
        let shard = self.readers[reader].shard.clone();
        behind.into_iter().for_each(|(sequence, by_ms)| self.ledger.expect_behind(&shard, sequence, by_ms));
        match action {
            None | Some(Action::Finished) => {}
            Some(Action::Sleep { until }) => {
                self.schedule(until.as_nanos().max(self.now_ns), Event::Wake(reader));
            }
            Some(Action::Failed { kind, message }) => {
                if !self.readers[reader].refused {
                    return Err(format!("reader failed, {kind:?}: {message}"));
                }
                self.fail_reader(reader);
            }
            Some(_) if self.readers[reader].refused => self.fail(reader, ErrorKind::Tls, NS_PER_MS),
            Some(action) => {
                let sent = self.now();
                if let Err(until) = self.readers[reader].machine.try_send(sent) {
                    self.schedule(until.as_nanos(), Event::Wake(reader));
                    return Ok(());
                }
                let delay_ns = self.draw(&self.history.call_delay_us.clone()) * 1_000;
                if self.rng.u64(..1_000) < self.history.lost_requests {
                    self.see("requests lost");
                    self.fail(reader, ErrorKind::Timeout, CALL_TIMEOUT_NS);
                } else {
                    self.schedule(self.now_ns + delay_ns, Event::Serve { reader, action, sent });
                }
            }
        }
        Ok(())
    }

    /// A request reaches the service.
    pub(super) fn serve(&mut self, reader: usize, action: &Action, sent: Moment) {
        if !self.readers[reader].is_reading() {
            return;
        }
        match self.fate(reader, action) {
            Fate::Unserved(kind, after_ns) => self.fail(reader, kind, after_ns),
            Fate::Lost(kind, after_ns) => {
                let _ = self.answer(reader, action, sent, after_ns);
                self.fail(reader, kind, after_ns);
            }
            Fate::Answered { delay_ns } => {
                let input = Box::new(self.answer(reader, action, sent, delay_ns));
                self.schedule(self.now_ns + delay_ns, Event::Answer { reader, input });
            }
        }
    }

    fn fate(&mut self, reader: usize, action: &Action) -> Fate {
        let delay_ns = self.draw(&self.history.call_delay_us.clone()) * 1_000;
        if let Some(kind) = self.storm_at(reader) {
            return self.fate_in(kind, delay_ns);
        }
        let history = &self.history;
        let fates = [
            (history.lost_answers, "answers lost", Fate::Lost(ErrorKind::Timeout, CALL_TIMEOUT_NS)),
            (history.cut_answers, "answers cut half-way", Fate::Lost(ErrorKind::Connection, delay_ns)),
            (history.throttled, "calls throttled at random", Fate::Unserved(ErrorKind::Throttled, delay_ns)),
            (history.unavailable, "calls answered with a 5xx", Fate::Unserved(ErrorKind::Unavailable, delay_ns)),
            (history.expired, "iterators expired at random", Fate::Unserved(ErrorKind::ExpiredIterator, delay_ns)),
        ];
        let mut drawn = self.rng.u64(..1_000);
        for (per_mille, what, fate) in fates {
            let fits = fate != Fate::Unserved(ErrorKind::ExpiredIterator, delay_ns)
                || matches!(action, Action::FetchRecords { .. });
            if drawn < per_mille && fits {
                self.see(what);
                return fate;
            }
            drawn = drawn.saturating_sub(per_mille);
        }
        Fate::Answered { delay_ns }
    }

    fn storm_at(&self, reader: usize) -> Option<StormKind> {
        let now_ms = i64::try_from(self.now_ns / NS_PER_MS).ok()? - self.history.before_ms;
        let is_odd = self.readers[reader].shard.ends_with(['1', '3', '5', '7', '9']);
        let storms = self.history.faults.storms.iter();
        let here =
            storms.filter(|storm| (storm.from_ms..storm.to_ms).contains(&now_ms) && !(storm.spares_odd && is_odd));
        here.map(|storm| storm.kind).next()
    }

    fn fate_in(&mut self, storm: StormKind, delay_ns: u64) -> Fate {
        self.see(match storm {
            StormKind::Refused => "calls in a storm of refusals",
            StormKind::Reset => "calls in a storm of resets",
            StormKind::Cut => "calls in a storm of cuts",
            StormKind::Slow => "calls in a storm of slow answers",
            StormKind::Unavailable => "calls in a storm of 5xx",
            StormKind::Throttled => "calls in a storm of throttles",
        });
        match storm {
            StormKind::Refused => Fate::Unserved(ErrorKind::Unreached, 0),
            StormKind::Reset if self.rng.bool() => Fate::Unserved(ErrorKind::Connection, delay_ns),
            StormKind::Reset | StormKind::Cut => Fate::Lost(ErrorKind::Connection, delay_ns),
            StormKind::Slow => match self.rng.u64(..SLOW_NS) {
                CALL_TIMEOUT_NS.. => Fate::Lost(ErrorKind::Timeout, CALL_TIMEOUT_NS),
                delay_ns => Fate::Answered { delay_ns },
            },
            StormKind::Unavailable => Fate::Unserved(ErrorKind::Unavailable, delay_ns),
            StormKind::Throttled => Fate::Unserved(ErrorKind::Throttled, delay_ns),
        }
    }

    fn fail(&mut self, reader: usize, kind: ErrorKind, after_ns: u64) {
        let input = Box::new(Input::Failed { kind, message: "planned".to_owned() });
        self.schedule(self.now_ns + after_ns, Event::Answer { reader, input });
    }
}
