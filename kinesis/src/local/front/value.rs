//! An answer as a tree of plain values, the same for every encoding.

use std::borrow::Cow;

/// One value of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A member that is there and has no value.
    Null,
    Bool(bool),
    Int(i64),
    Text(Cow<'static, str>),
    /// Ms since the epoch: seconds with decimals in JSON, tagged milliseconds in CBOR.
    Time(i64),
    List(Vec<Value>),
    Map(Map),
}

/// Members in the order they are written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Map(Vec<(&'static str, Value)>);

impl Map {
    pub fn new() -> Map {
        Map::default()
    }

    /// With this member.
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Map {
        self.0.push((name, value.into()));
        self
    }

    /// With this member if it has a value, else without it.
    pub fn with_some(self, name: &'static str, value: Option<impl Into<Value>>) -> Map {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// With all members of another.
    pub fn with_all(mut self, other: Map) -> Map {
        self.0.extend(other.0);
        self
    }

    pub fn members(&self) -> &[(&'static str, Value)] {
        &self.0
    }
}

impl From<Map> for Value {
    fn from(members: Map) -> Value {
        Value::Map(members)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Value {
        Value::List(items.into_iter().map(Into::into).collect())
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Value {
        Value::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(Cow::Owned(text))
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Int(number)
    }
}

impl From<usize> for Value {
    /// Counts of what is held in memory.
    fn from(count: usize) -> Value {
        Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
    }
}
