//! A shard's reader in the world: the polling machine, and what a driver does between it and its inlet.

use std::collections::VecDeque;
use std::rc::Rc;

use weir_kinesis::local::model::GetRecordsAnswer;
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
    inlet: Inlet<Record>,
    waiting: VecDeque<ShardInput<Record>>,
    action: Option<Action>,
}

impl Reader {
    pub fn new(worker: usize, shard: ShardName, machine: Polling, inlet: Inlet<Record>) -> Reader {
        Reader { worker, shard, machine, inlet, waiting: VecDeque::new(), action: None }
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

    /// Sends what waits; once all is sent, gives the machine's action, once.
    pub fn pump(&mut self) -> Option<Action> {
        while let Some(input) = self.waiting.pop_front() {
            if let Err(Refused(back)) = self.inlet.try_send(input) {
                self.waiting.push_front(back);
                return None;
            }
        }
        self.action.take()
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
