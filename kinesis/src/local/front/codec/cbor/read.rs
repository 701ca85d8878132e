//! CBOR into requests: a serde deserializer over one body.
//!
//! Takes definite and indefinite lengths alike and looks through tags. A length that the body cannot hold is refused
//! before anything is reserved for it, and nesting is bounded, so hostile bodies cost no more than their own bytes.

use std::borrow::Cow;
use std::fmt;

use ciborium_ll::{Decoder, Header};
use serde::Deserialize;
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};

use super::super::BadBody;
use super::{FALSE, NULL, TRUE, UNDEFINED};

/// As deep as the JSON side goes; no request of the service is deeper than four.
const DEPTH_MAX: usize = 128;
/// Ends what has an indefinite length.
const BREAK: u8 = 0xff;

/// Reads a whole body as one request.
pub fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, BadBody> {
    let mut reader = Reader { rest: body, depth: 0 };
    let whole = T::deserialize(&mut reader).and_then(|request| match reader.rest {
        [] => Ok(request),
        _ => Err(Error::Syntax),
    });
    whole.map_err(|error| match error {
        Error::Syntax => BadBody { message: None },
        Error::Member(message) => BadBody { message: Some(message) },
    })
}

#[derive(Debug)]
enum Error {
    /// No CBOR, or not all of it.
    Syntax,
    /// A value that its member cannot have.
    Member(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Syntax => f.write_str("not well-formed CBOR"),
            Error::Member(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Error {
        Error::Member(message.to_string())
    }
}

/// What of the body is still to be read.
struct Reader<'a> {
    rest: &'a [u8],
    depth: usize,
}

impl<'a> Reader<'a> {
    fn head(&mut self) -> Result<Header, Error> {
        let mut decoder = Decoder::from(self.rest);
        let header = decoder.pull().map_err(|_| Error::Syntax)?;
        self.rest = &self.rest[decoder.offset()..];
        Ok(header)
    }

    /// The head of the next item that is no tag.
    fn item(&mut self) -> Result<Header, Error> {
        loop {
            match self.head()? {
                Header::Tag(_) => {}
                header => return Ok(header),
            }
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Error::Syntax)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Is the next thing a break? Then it is passed.
    fn at_break(&mut self) -> bool {
        match self.rest {
            [BREAK, rest @ ..] => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// The content of a string whose head was just read; `piece` says how long a piece is, if its head is one.
    fn string(&mut self, length: Option<usize>, piece: fn(Header) -> Option<usize>) -> Result<Cow<'a, [u8]>, Error> {
        if let Some(length) = length {
            return Ok(Cow::Borrowed(self.take(length)?));
        }
        let mut whole = Vec::new();
        while !self.at_break() {
            let length = piece(self.head()?).ok_or(Error::Syntax)?;
            whole.extend_from_slice(self.take(length)?);
        }
        Ok(Cow::Owned(whole))
    }

    fn bytes(&mut self, length: Option<usize>) -> Result<Cow<'a, [u8]>, Error> {
        self.string(length, |header| if let Header::Bytes(length) = header { length } else { None })
    }

    fn text(&mut self, length: Option<usize>) -> Result<Cow<'a, str>, Error> {
        match self.string(length, |header| if let Header::Text(length) = header { length } else { None })? {
            Cow::Borrowed(bytes) => std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| Error::Syntax),
            Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::Owned).map_err(|_| Error::Syntax),
        }
    }

    /// Does something one level deeper.
    fn deeper<T>(&mut self, step: impl FnOnce(&mut Reader<'a>) -> Result<T, Error>) -> Result<T, Error> {
        if self.depth == DEPTH_MAX {
            return Err(Error::Syntax);
        }
        self.depth += 1;
        let done = step(self)?;
        self.depth -= 1;
        Ok(done)
    }

    /// Passes one item with all that is in it.
    fn skip(&mut self) -> Result<(), Error> {
        match self.item()? {
            Header::Break => Err(Error::Syntax),
            Header::Bytes(length) => self.bytes(length).map(drop),
            Header::Text(length) => self.text(length).map(drop),
            Header::Array(length) => self.deeper(|reader| {
                let mut items = Items::new(length);
                while items.next(reader) {
                    reader.skip()?;
                }
                Ok(())
            }),
            Header::Map(length) => self.deeper(|reader| {
                let mut members = Items::new(length);
                while members.next(reader) {
                    reader.skip()?;
                    reader.skip()?;
                }
                Ok(())
            }),
            _ => Ok(()),
        }
    }

    fn visit<V: Visitor<'a>>(&mut self, header: Header, visitor: V) -> Result<V::Value, Error> {
        match header {
            Header::Positive(number) => visitor.visit_u64(number),
            Header::Negative(inverted) => match i64::try_from(inverted) {
                Ok(inverted) => visitor.visit_i64(!inverted),
                Err(_) => Err(de::Error::custom("a number below -2^63")),
            },
            Header::Float(number) => visitor.visit_f64(number),
            Header::Simple(FALSE) => visitor.visit_bool(false),
            Header::Simple(TRUE) => visitor.visit_bool(true),
            Header::Simple(NULL | UNDEFINED) => visitor.visit_unit(),
            Header::Bytes(length) => match self.bytes(length)? {
                Cow::Borrowed(bytes) => visitor.visit_borrowed_bytes(bytes),
                Cow::Owned(bytes) => visitor.visit_byte_buf(bytes),
            },
            Header::Text(length) => match self.text(length)? {
                Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
                Cow::Owned(text) => visitor.visit_string(text),
            },
            Header::Array(length) => self.deeper(|reader| {
                let mut items = Items::new(length);
                let value = visitor.visit_seq(Nested { reader, items: &mut items })?;
                items.end(reader).map(|()| value)
            }),
            Header::Map(length) => self.deeper(|reader| {
                let mut members = Items::new(length);
                let value = visitor.visit_map(Nested { reader, items: &mut members })?;
                members.end(reader).map(|()| value)
            }),
            Header::Simple(_) | Header::Break | Header::Tag(_) => Err(Error::Syntax),
        }
    }

    /// Visits the next item if it is of the kind wanted. serde's own visitors take bytes for text and lists for
    /// structures, which no client may send.
    fn visit_if<V: Visitor<'a>>(&mut self, wanted: fn(Header) -> bool, visitor: V) -> Result<V::Value, Error> {
        let header = self.item()?;
        if wanted(header) {
            return self.visit(header, visitor);
        }
        Err(de::Error::invalid_type(unexpected(header), &visitor))
    }
}

fn unexpected(header: Header) -> de::Unexpected<'static> {
    match header {
        Header::Positive(number) => de::Unexpected::Unsigned(number),
        Header::Negative(inverted) => i64::try_from(inverted)
            .map_or(de::Unexpected::Other("integer"), |inverted| de::Unexpected::Signed(!inverted)),
        Header::Float(number) => de::Unexpected::Float(number),
        Header::Simple(FALSE) => de::Unexpected::Bool(false),
        Header::Simple(TRUE) => de::Unexpected::Bool(true),
        Header::Bytes(_) => de::Unexpected::Other("byte string"),
        Header::Text(_) => de::Unexpected::Other("text"),
        Header::Array(_) => de::Unexpected::Seq,
        Header::Map(_) => de::Unexpected::Map,
        Header::Simple(_) | Header::Break | Header::Tag(_) => de::Unexpected::Unit,
    }
}

/// How many items or members are still to come: `None` until a break does.
struct Items {
    left: Option<usize>,
    over: bool,
}

impl Items {
    fn new(length: Option<usize>) -> Items {
        Items { left: length, over: false }
    }

    /// Is there another one? Passes the break where there is none.
    fn next(&mut self, reader: &mut Reader<'_>) -> bool {
        match &mut self.left {
            Some(0) => self.over = true,
            Some(left) => *left -= 1,
            None => self.over = self.over || reader.at_break(),
        }
        !self.over
    }

    /// A visitor may have stopped early; what it left would be read as something else.
    fn end(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        if self.over || !self.next(reader) { Ok(()) } else { Err(Error::Syntax) }
    }
}

/// The inside of a list or map.
struct Nested<'r, 'a> {
    reader: &'r mut Reader<'a>,
    items: &'r mut Items,
}

impl Nested<'_, '_> {
    /// Every item takes a byte at least, so no length can promise more than the body holds.
    fn hint(&self) -> Option<usize> {
        self.items.left.map(|left| left.min(self.reader.rest.len()))
    }
}

impl<'a> SeqAccess<'a> for Nested<'_, 'a> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        if !self.items.next(self.reader) {
            return Ok(None);
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        self.hint()
    }
}

impl<'a> MapAccess<'a> for Nested<'_, 'a> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'a>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        if !self.items.next(self.reader) {
            return Ok(None);
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(&mut *self.reader)
    }

    fn size_hint(&self) -> Option<usize> {
        self.hint()
    }
}

fn is_text(header: Header) -> bool {
    matches!(header, Header::Text(_))
}

fn is_bytes(header: Header) -> bool {
    matches!(header, Header::Bytes(_))
}

fn is_map(header: Header) -> bool {
    matches!(header, Header::Map(_))
}

impl<'de> de::Deserializer<'de> for &mut Reader<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let header = self.item()?;
        self.visit(header, visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let here = self.rest;
        if let Header::Simple(NULL | UNDEFINED) = self.item()? {
            return visitor.visit_none();
        }
        self.rest = here;
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.visit_if(is_map, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.visit_if(is_map, visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.visit_if(is_text, visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.visit_if(is_text, visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.visit_if(is_text, visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.visit_if(is_bytes, visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.visit_if(is_bytes, visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.skip()?;
        visitor.visit_unit()
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char unit unit_struct seq tuple tuple_struct enum
    }
}
