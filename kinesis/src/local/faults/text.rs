//! A fault as text, read and written.

use std::fmt;
use std::str::FromStr;

use super::super::front::is_operation;
use super::super::model::ShardId;
use super::{DELAY_MS_MAX, Delay, Fault, Kind};

/// Why a text is no fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// It begins with none of the kinds.
    #[error("`{0}` is no kind of fault; write throttle, delay, cut, reset, 5xx or expire")]
    Kind(String),
    /// The service, or this endpoint, has no such operation.
    #[error("`{0}` is no operation of this endpoint; write one such as GetRecords, or * for any")]
    Operation(String),
    /// A part that means nothing here.
    #[error("`{part}` says nothing of a {kind} fault; it takes {takes}")]
    Part {
        /// As written.
        part: String,
        /// The kind.
        kind: &'static str,
        /// What it would take.
        takes: &'static str,
    },
    /// A value that cannot be.
    #[error("`{part}` is not {wanted}")]
    Value {
        /// As written.
        part: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// A delay of no length.
    #[error("a delay fault needs its length, such as delay:GetRecords:ms=200")]
    NoDelay,
}

const ALWAYS: &str = "stream=NAME, shard=ID, rate=0.5, count=3";

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Kind::Throttle => "throttle",
            Kind::Delay(_) => "delay",
            Kind::Cut => "cut",
            Kind::Reset { .. } => "reset",
            Kind::Fail { .. } => "5xx",
            Kind::Expire => "expire",
        }
    }

    const fn takes(self) -> &'static str {
        match self {
            Kind::Delay(_) => "ms=200, ms=50-500, mean=200, stream=NAME, shard=ID, rate=0.5, count=3",
            Kind::Reset { .. } => "after, stream=NAME, shard=ID, rate=0.5, count=3",
            Kind::Fail { .. } => "status=503, after, stream=NAME, shard=ID, rate=0.5, count=3",
            Kind::Throttle | Kind::Cut | Kind::Expire => ALWAYS,
        }
    }
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Fault, FaultError> {
        let mut parts = text.split(':').peekable();
        let kind = match parts.next().unwrap_or_default() {
            "throttle" => Kind::Throttle,
            "delay" => Kind::Delay(Delay::By(0)),
            "cut" => Kind::Cut,
            "reset" => Kind::Reset { after: false },
            "5xx" => Kind::Fail { status: 500, after: false },
            "expire" => Kind::Expire,
            other => return Err(FaultError::Kind(other.escape_debug().to_string())),
        };
        let mut fault = Fault { kind, operation: None, stream: None, shard: None, rate: 1.0, count: None };
        if let Some(operation) = parts.next_if(|part| !part.contains('=') && *part != "after") {
            match operation {
                "*" => {}
                known if is_operation(known) => fault.operation = Some(known.to_owned()),
                other => return Err(FaultError::Operation(other.escape_debug().to_string())),
            }
        }
        for part in parts {
            fault.take(part)?;
        }
        if fault.kind == Kind::Delay(Delay::By(0)) { Err(FaultError::NoDelay) } else { Ok(fault) }
    }
}

impl Fault {
    fn take(&mut self, part: &str) -> Result<(), FaultError> {
        let not = |wanted| FaultError::Value { part: part.escape_debug().to_string(), wanted };
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        match (key, &mut self.kind) {
            ("stream", _) if !value.is_empty() => self.stream = Some(value.to_owned()),
            ("shard", _) => self.shard = Some(ShardId::parse(value).ok_or_else(|| not("a shard's id"))?),
            ("rate", _) => {
                let rate = value.parse().ok().filter(|rate| *rate > 0.0 && *rate <= 1.0);
                self.rate = rate.ok_or_else(|| not("a rate above 0 and up to 1"))?;
            }
            ("count", _) => {
                let count = value.parse().ok().filter(|count| *count > 0);
                self.count = Some(count.ok_or_else(|| not("a count of at least 1"))?);
            }
            ("ms", Kind::Delay(delay)) => {
                let given = match value.split_once('-') {
                    None => millis(value).map(Delay::By),
                    Some((least, most)) => {
                        let ends = millis(least).zip(millis(most)).filter(|(least, most)| least < most);
                        ends.map(|(least, most)| Delay::Between(least, most))
                    }
                };
                *delay =
                    given.ok_or_else(|| not("a delay of 1 to 3600000 ms, or from less to more, such as 50-500"))?;
            }
            ("mean", Kind::Delay(delay)) => {
                *delay = millis(value).map(Delay::Mean).ok_or_else(|| not("a mean delay of 1 to 3600000 ms"))?;
            }
            ("status", Kind::Fail { status, .. }) => {
                let given = value.parse().ok().filter(|status| (500..600).contains(status));
                *status = given.ok_or_else(|| not("a status of 500 to 599"))?;
            }
            ("after", Kind::Fail { after, .. } | Kind::Reset { after }) if part == "after" => *after = true,
            (_, kind) => {
                let part = part.escape_debug().to_string();
                return Err(FaultError::Part { part, kind: kind.name(), takes: kind.takes() });
            }
        }
        Ok(())
    }
}

fn millis(text: &str) -> Option<u64> {
    text.parse().ok().filter(|ms| (1..=DELAY_MS_MAX).contains(ms))
}

pub(super) fn write(fault: &Fault, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{}:{}", fault.kind.name(), fault.operation.as_deref().unwrap_or("*"))?;
    match fault.kind {
        Kind::Delay(Delay::By(ms)) => write!(f, ":ms={ms}")?,
        Kind::Delay(Delay::Between(least, most)) => write!(f, ":ms={least}-{most}")?,
        Kind::Delay(Delay::Mean(ms)) => write!(f, ":mean={ms}")?,
        Kind::Reset { after } => f.write_str(if after { ":after" } else { "" })?,
        Kind::Fail { status, after } => write!(f, ":status={status}{}", if after { ":after" } else { "" })?,
        Kind::Throttle | Kind::Cut | Kind::Expire => {}
    }
    if let Some(stream) = &fault.stream {
        write!(f, ":stream={stream}")?;
    }
    if let Some(shard) = fault.shard {
        write!(f, ":shard={shard}")?;
    }
    if fault.rate < 1.0 {
        write!(f, ":rate={}", fault.rate)?;
    }
    match fault.count {
        Some(count) => write!(f, ":count={count}"),
        None => Ok(()),
    }
}
