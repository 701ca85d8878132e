//! A shard's reader in the world: the polling machine, and what a driver does between it and its inlet.

use std::collections::VecDeque;
use std::rc::Rc;

use weir_kinesis::local::model::GetRecordsAnswer;
use weir_kinesis::protocol::id::SequenceNumber;
use weir_kinesis::protocol::polling::{Action, Answer, Input, Notice, Polling};
use weir_kinesis::protocol::position::ReadFrom;
use weir_kinesis::protocol::service_clock::{ServiceClock, Timing};
use weir_kinesis::protocol::{HashKeyRange, Moment, ShardInfo};
use weir_kinesis::record::{Record, RecordBatchBuilder};
use weir_runtime::source::{Inlet, Position, Refused, ShardInput, ShardListing, StartPosition};
use weir_window::{EventTime, ShardName};

pub struct Reader {
    pub worker: usize,
    pub shard: ShardName,
    pub machine: Polling,
    /// Its next call is refused for good.
    pub refused: bool,
    inlet: Inlet<Record>,
    waiting: VecDeque<ShardInput<Record>>,
    action: Option<Action>,
    /// Where whoever takes its place has to read on: behind what its worker was given.
    given: ReadFrom,
    /// Up to here its worker was told that everything had been read.
    evidence: EventTime,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Reading,
    /// Its shard is at its end, and its worker knows.
    Finished,
    /// What it asked for and what it was about to say is nobody's any more.
    Dead,
}

/// A record stamped before the evidence that its worker had: its sequence number, and by how much in ms.
pub type Behind = (String, u64);

impl Reader {
    pub fn new(worker: usize, shard: ShardName, machine: Polling, inlet: Inlet<Record>) -> Reader {
        let given = machine.position().clone();
        Reader {
            worker,
            shard,
            machine,
            refused: false,
            inlet,
            waiting: VecDeque::new(),
            action: None,
            given,
            evidence: EventTime::MIN,
            state: State::Reading,
        }
    }

    /// One that takes the place of this one, which is dead from now on.
    pub fn reborn(&mut self, make: impl FnOnce(ShardName, ReadFrom) -> Polling) -> Reader {
        self.state = State::Dead;
        // A manifest keeps a position as a text.
        let given = self.given.to_string().parse().expect("made by the same type");
        let machine = make(self.shard.clone(), given);
        let reader = Reader::new(self.worker, self.shard.clone(), machine, self.inlet.clone());
        Reader { evidence: self.evidence, ..reader }
    }

    pub fn die(&mut self) {
        self.state = State::Dead;
    }

    pub fn is_reading(&self) -> bool {
        self.state == State::Reading
    }

    pub fn on(&mut self, input: Input, now: Moment, clock: &mut ServiceClock) -> Result<(), String> {
        let turn = self.machine.on(input, now, clock);
        for notice in turn.notices {
            match notice {
                Notice::Records(emission) => {
                    let (batch, pages) = emission.into_parts();
                    let batch = Rc::new(batch);
                    for page in pages {
                        let items: Vec<Record> = page.indices.iter().map(|index| batch.record(*index)).collect();
                        let times = items.iter().map(|item| EventTime::from_millis(item.arrival_ms())).collect();
                        let position = match page.position {
                            ReadFrom::After(sequence) => Position { sequence: sequence.to_shared(), sub_sequence: 0 },
                            ReadFrom::TrimHorizon | ReadFrom::AtTimestamp(_) | ReadFrom::At(_) => Position::default(),
                        };
                        self.waiting.push_back(ShardInput::Items { items, times, position });
                    }
                }
                Notice::Evidence { time_ms } => {
                    self.waiting.push_back(ShardInput::Evidence(EventTime::from_millis(time_ms)));
                }
                Notice::Withheld { highest_ms } => {
                    self.waiting.push_back(ShardInput::Withheld(EventTime::from_millis(highest_ms)));
                }
                Notice::Lagging { .. } | Notice::Trouble(_) => {}
                Notice::Gap { what, .. } => return Err(format!("gap in {}: {what}", self.shard)),
                Notice::Abandoned => return Err(format!("{} was abandoned", self.shard)),
                Notice::Drained { children } => {
                    let children = children.into_iter().map(|child| ShardListing {
                        name: child.id,
                        parents: child.parents,
                        open: true,
                        position: StartPosition(ReadFrom::TrimHorizon.to_string().into()),
                    });
                    self.waiting.push_back(ShardInput::Drained { children: children.collect() });
                }
            }
        }
        self.action = Some(turn.action);
        Ok(())
    }

    /// Sends what waits; once all is sent, gives the machine's action, once. Notes records behind the evidence.
    pub fn pump(&mut self, behind: &mut Vec<Behind>) -> Option<Action> {
        while let Some(input) = self.waiting.pop_front() {
            let (given, evidence, ends) = match &input {
                ShardInput::Items { position, .. } => (Some(position.sequence.clone()), self.evidence, false),
                ShardInput::Evidence(time) => (None, self.evidence.max(*time), false),
                ShardInput::Drained { .. } => (None, self.evidence, true),
                _ => (None, self.evidence, false),
            };
            let stamped = self.stamped_behind(&input);
            if let Err(Refused(back)) = self.inlet.try_send(input) {
                self.waiting.push_front(back);
                return None;
            }
            behind.extend(stamped);
            self.evidence = evidence;
            if let Some(sequence) = given.filter(|sequence| !sequence.is_empty()) {
                self.given = ReadFrom::After(SequenceNumber::parse(&sequence).expect("the model's"));
            }
            if ends {
                self.state = State::Finished;
            }
        }
        self.action.take()
    }

    fn stamped_behind(&self, input: &ShardInput<Record>) -> Vec<Behind> {
        let ShardInput::Items { items, times, .. } = input else {
            return Vec::new();
        };
        let behind = |time: &EventTime| self.evidence.as_millis().saturating_sub(time.as_millis());
        let late = items.iter().zip(times).filter(|(_, time)| behind(time) > 0);
        late.map(|(item, time)| (item.sequence().to_owned(), behind(time).unsigned_abs())).collect()
    }
}

/// The model's answer as the client would give it.
pub fn answer_of(answer: GetRecordsAnswer<'_>, shard: &str, timing: Timing, mut builder: RecordBatchBuilder) -> Answer {
    let children = answer.child_shards.into_iter().map(|child| ShardInfo {
        id: child.id.to_string().into(),
        parents: child.parents.iter().map(|parent| parent.to_string().into()).collect(),
        range: Some(HashKeyRange { first: child.range.first, last: child.range.last }),
    });
    for record in answer.records {
        builder
            .push(record.partition_key, record.data, &record.sequence.to_string(), record.arrival_ms)
            .expect("pages are far below 4 GiB");
    }
    let mut batch = builder.finish();
    batch.attribute(shard.into());
    Answer {
        batch,
        next_iterator: answer.next_iterator,
        behind_ms: u64::try_from(answer.millis_behind_latest).ok(),
        children: children.collect(),
        timing,
    }
}
