//! The kinds of members that requests are made of, the same for both encodings.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Text that borrows from the body unless it was escaped or in pieces there. (serde borrows a bare `Cow`, not one in an
/// `Option`.)
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Text<'_> {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `Some(text)` as plain text.
pub fn plain<'a>(text: &'a Option<Text<'_>>) -> Option<&'a str> {
    text.as_ref().map(Text::as_str)
}

/// A time, in ms since the epoch.
///
/// JSON has seconds with decimals. CBOR has a number behind tag 1, which Amazon's Java SDKs mean as milliseconds and
/// RFC 8949 as seconds: below 10^11 it is taken as seconds (until the year 5138), from there on as milliseconds (from
/// 1973), an integer like a float.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(i64);

impl Time {
    pub const fn as_millis(self) -> i64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Time {
    #[expect(clippy::cast_possible_truncation, reason = "saturates, and no stream lives that long")]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        const MILLIS_FROM: f64 = 1e11;
        let json = deserializer.is_human_readable();
        let number = f64::deserialize(deserializer)?;
        if !number.is_finite() {
            return Err(de::Error::invalid_value(de::Unexpected::Float(number), &"a time"));
        }
        let seconds = json || number.abs() < MILLIS_FROM;
        Ok(Time(if seconds { number * 1_000.0 } else { number }.round() as i64))
    }
}

/// A blob: base64 in JSON, which is decoded later, into one buffer for the whole call; bytes in CBOR.
#[derive(Debug, PartialEq, Eq)]
pub enum Data<'a> {
    Base64(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
}

/// Text that is no base64.
#[derive(Debug)]
pub struct NotBase64;

impl Data<'_> {
    /// Its length once decoded, or a little more.
    pub fn length_max(&self) -> usize {
        match self {
            Data::Base64(text) => text.len() / 4 * 3,
            Data::Bytes(bytes) => bytes.len(),
        }
    }

    pub fn append_to(&self, target: &mut Vec<u8>) -> Result<(), NotBase64> {
        match self {
            Data::Base64(text) => base64_simd::STANDARD.decode_append(&**text, target).map(drop).map_err(|_| NotBase64),
            Data::Bytes(bytes) => {
                target.extend_from_slice(bytes);
                Ok(())
            }
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Data<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Data<'a>, D::Error> {
        if deserializer.is_human_readable() {
            return Text::deserialize(deserializer).map(|text| Data::Base64(text.0));
        }
        deserializer.deserialize_bytes(BytesVisitor).map(Data::Bytes)
    }
}

struct BytesVisitor;

impl<'de> Visitor<'de> for BytesVisitor {
    type Value = Cow<'de, [u8]>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a byte string")
    }

    fn visit_borrowed_bytes<E: de::Error>(self, bytes: &'de [u8]) -> Result<Cow<'de, [u8]>, E> {
        Ok(Cow::Borrowed(bytes))
    }

    fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Cow<'de, [u8]>, E> {
        Ok(Cow::Owned(bytes))
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Cow<'de, [u8]>, E> {
        Ok(Cow::Owned(bytes.to_vec()))
    }
}

/// A list of which `N` items may be given. One more is kept, to be refused; the rest is passed over, so that a body of
/// nothing but `{},` does not become a hundred times its size in memory.
#[derive(Debug)]
pub struct AtMost<T, const N: usize>(pub Vec<T>);

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for AtMost<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<AtMost<T, N>, D::Error> {
        deserializer.deserialize_seq(AtMostVisitor::<T, N>(PhantomData)).map(AtMost)
    }
}

struct AtMostVisitor<T, const N: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for AtMostVisitor<T, N> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut items = Vec::new();
        while items.len() <= N {
            match list.next_element()? {
                Some(item) => items.push(item),
                None => return Ok(items),
            }
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(items)
    }
}
