//! A scanner for the one JSON shape that matters: the body of a `GetRecords` answer.
//!
//! It knows its members, skips others after looking at them, and gives up (`None`) at the first thing it does not expect;
//! giving up is cheap and never wrong, since the SDK's deserializer reads the body then. Text is checked to be UTF-8
//! once, as a whole.

use std::borrow::Cow;

use memchr::memchr2;

use super::Decoded;
use crate::client::answers::ChildShard;
use crate::record::{RecordBatch, RecordBatchBuilder};

/// Nesting of members we do not know; deeper ones are left to the SDK.
const DEPTH_MAX: usize = 16;

/// Reads a whole body. Cost: allocations for the batch's buffers, and for each string that holds an escape.
pub(super) fn scan(body: &[u8]) -> Option<Decoded> {
    let text = std::str::from_utf8(body).ok()?;
    let mut scanner = Scanner { text, at: 0 };
    let decoded = scanner.answer()?;
    scanner.spaces();
    (scanner.at == body.len()).then_some(decoded)
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

/// Puts a value where none was: a member given twice is a surprise.
fn once<T>(place: &mut Option<T>, value: T) -> Option<()> {
    match place {
        Some(_) => None,
        None => {
            *place = Some(value);
            Some(())
        }
    }
}

impl<'a> Scanner<'a> {
    fn answer(&mut self) -> Option<Decoded> {
        let (mut batch, mut next, mut behind, mut children) = (None, None, None, None);
        self.object(|scanner, member| match member {
            "Records" => once(&mut batch, scanner.records()?),
            "NextShardIterator" => once(&mut next, scanner.or_null(Scanner::string)?),
            "MillisBehindLatest" => once(&mut behind, scanner.or_null(Scanner::integer)?),
            "ChildShards" => once(&mut children, scanner.or_null(Scanner::children)?),
            _ => scanner.skip(DEPTH_MAX),
        })?;
        Some(Decoded {
            batch: batch?,
            next_iterator: next.flatten().map(Cow::into_owned),
            behind_ms: behind.flatten(),
            children: children.flatten().unwrap_or_default(),
        })
    }

    fn records(&mut self) -> Option<RecordBatch> {
        let mut builder = RecordBatchBuilder::new();
        self.array(|scanner| {
            if builder.is_empty() {
                // All is decoded from what is left, so that the buffers hardly ever grow.
                let left = scanner.text.len() - scanner.at;
                builder = RecordBatchBuilder::with_capacity(16, left / 8, left / 2);
            }
            scanner.record(&mut builder)
        })?;
        Some(builder.finish())
    }

    fn record(&mut self, builder: &mut RecordBatchBuilder) -> Option<()> {
        let (mut key, mut data, mut sequence, mut arrival) = (None, None, None, None);
        self.object(|scanner, member| match member {
            "SequenceNumber" => once(&mut sequence, scanner.string()?),
            "ApproximateArrivalTimestamp" => once(&mut arrival, scanner.or_null(Scanner::seconds_in_ms)?),
            "Data" => once(&mut data, scanner.string()?),
            "PartitionKey" => once(&mut key, scanner.or_null(Scanner::string)?),
            _ => scanner.skip(DEPTH_MAX),
        })?;
        let key = key.flatten().unwrap_or_default();
        let (data, sequence) = (data?, sequence?);
        builder.push_base64(&key, data.as_bytes(), &sequence, arrival.flatten().unwrap_or(0)).ok()
    }

    fn children(&mut self) -> Option<Vec<ChildShard>> {
        let mut children = Vec::new();
        self.array(|scanner| {
            children.push(scanner.child()?);
            Some(())
        })?;
        Some(children)
    }

    fn child(&mut self) -> Option<ChildShard> {
        let (mut id, mut parents, mut range) = (None, None, None);
        self.object(|scanner, member| match member {
            "ShardId" => once(&mut id, scanner.string()?.into_owned()),
            "ParentShards" => {
                let mut names = Vec::new();
                scanner.array(|scanner| {
                    names.push(scanner.string()?.into_owned());
                    Some(())
                })?;
                once(&mut parents, names)
            }
            "HashKeyRange" => once(&mut range, scanner.hash_range()?),
            _ => scanner.skip(DEPTH_MAX),
        })?;
        Some(ChildShard { id: id?, parents: parents?, hash_range: Some(range?) })
    }

    fn hash_range(&mut self) -> Option<(u128, u128)> {
        let (mut first, mut last) = (None, None);
        self.object(|scanner, member| match member {
            "StartingHashKey" => once(&mut first, scanner.string()?.parse().ok()?),
            "EndingHashKey" => once(&mut last, scanner.string()?.parse().ok()?),
            _ => scanner.skip(DEPTH_MAX),
        })?;
        Some((first?, last?))
    }

    fn spaces(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')).count();
    }

    /// The next byte that is not space; it stays.
    fn peek(&mut self) -> Option<u8> {
        self.spaces();
        self.text.as_bytes().get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn literal(&mut self, word: &str) -> Option<()> {
        self.spaces();
        self.text.as_bytes()[self.at..].starts_with(word.as_bytes()).then(|| self.at += word.len())
    }

    fn or_null<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        if self.peek()? == b'n' {
            return self.literal("null").map(|()| None);
        }
        read(self).map(Some)
    }

    fn object(&mut self, mut member: impl FnMut(&mut Self, &str) -> Option<()>) -> Option<()> {
        self.expect(b'{')?;
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            let name = self.string()?;
            self.expect(b':')?;
            member(self, &name)?;
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    fn array(&mut self, mut element: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.expect(b'[')?;
        if self.peek()? == b']' {
            self.at += 1;
            return Some(());
        }
        loop {
            element(self)?;
            match self.peek()? {
                b',' => self.at += 1,
                b']' => {
                    self.at += 1;
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    /// A string; borrowed unless it holds an escape.
    fn string(&mut self) -> Option<Cow<'a, str>> {
        self.expect(b'"')?;
        let text: &'a str = self.text;
        let rest = &text[self.at..];
        let end = memchr2(b'"', b'\\', rest.as_bytes())?;
        let plain = &rest[..end];
        if plain.bytes().any(|byte| byte < b' ') {
            return None;
        }
        if rest.as_bytes()[end] == b'"' {
            self.at += end + 1;
            return Some(Cow::Borrowed(plain));
        }
        let mut owned = plain.to_owned();
        self.at += end;
        self.escaped(&mut owned)?;
        Some(Cow::Owned(owned))
    }

    /// The rest of a string from its first escape on.
    fn escaped(&mut self, owned: &mut String) -> Option<()> {
        loop {
            let rest = &self.text[self.at..];
            let end = memchr2(b'"', b'\\', rest.as_bytes())?;
            let plain = &rest[..end];
            if plain.bytes().any(|byte| byte < b' ') {
                return None;
            }
            owned.push_str(plain);
            self.at += end + 1;
            if rest.as_bytes()[end] == b'"' {
                return Some(());
            }
            let escape = *self.text.as_bytes().get(self.at)?;
            self.at += 1;
            owned.push(match escape {
                b'"' | b'\\' | b'/' => char::from(escape),
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                b'u' => self.code_point()?,
                _ => return None,
            });
        }
    }

    /// Behind `\u`: one character, written as one unit of UTF-16 or two.
    fn code_point(&mut self) -> Option<char> {
        let high = self.utf16_unit()?;
        if !(0xD800..0xE000).contains(&high) {
            return char::from_u32(u32::from(high));
        }
        self.text[self.at..].starts_with("\\u").then(|| self.at += 2)?;
        let low = self.utf16_unit()?;
        char::decode_utf16([high, low]).next()?.ok()
    }

    fn utf16_unit(&mut self) -> Option<u16> {
        let digits = self.text.get(self.at..self.at + 4)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        self.at += 4;
        u16::from_str_radix(digits, 16).ok()
    }

    /// The characters of a number, without a look at their order.
    fn number(&mut self) -> Option<&'a str> {
        self.spaces();
        let text: &'a str = self.text;
        let rest = &text[self.at..];
        let length =
            rest.bytes().take_while(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')).count();
        self.at += length;
        Some(&rest[..length]).filter(|number| !number.is_empty())
    }

    fn integer(&mut self) -> Option<u64> {
        let number = self.number()?;
        let plain = number.bytes().all(|byte| byte.is_ascii_digit()) && (number == "0" || !number.starts_with('0'));
        // The SDK's type is signed; what does not fit there does not here.
        plain.then(|| number.parse::<i64>().ok())?.and_then(|ms| u64::try_from(ms).ok())
    }

    /// Seconds, as `1795395060.708` or `1.795395060708E9`, in ms, without the detour over floating point.
    fn seconds_in_ms(&mut self) -> Option<i64> {
        let number = self.number()?;
        let (mantissa, exponent) = match number.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok().filter(|e| (0..=15).contains(e))?),
            None => (number, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((_, "")) => return None,
            Some(parts) => parts,
            None => (mantissa, ""),
        };
        let all_digits = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty()
            || (whole.len() > 1 && whole.starts_with('0'))
            || !all_digits(whole)
            || !all_digits(fraction)
        {
            return None;
        }
        // The value is 0.DIGITS × 10^point s; in ms the point moves three places on. The service says no more than that; what
        // is behind it is for the SDK to round, which rounds the nearest floating-point number and not these digits.
        let wanted = whole.len() + usize::try_from(exponent).ok()? + 3;
        let behind = (whole.len() + fraction.len()).saturating_sub(wanted);
        let mut digits =
            whole.bytes().chain(fraction.bytes()).chain(std::iter::repeat(b'0')).map(|byte| i64::from(byte - b'0'));
        let mut ms = 0_i64;
        for digit in digits.by_ref().take(wanted) {
            ms = ms.checked_mul(10)?.checked_add(digit)?;
        }
        digits.take(behind).all(|digit| digit == 0).then_some(ms)
    }

    /// A value of any kind, looked at but not kept.
    fn skip(&mut self, depth: usize) -> Option<()> {
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'{' if depth > 0 => self.object(|scanner, _| scanner.skip(depth - 1)),
            b'[' if depth > 0 => self.array(|scanner| scanner.skip(depth - 1)),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'n' => self.literal("null"),
            b'-' | b'0'..=b'9' => self.any_number(),
            _ => None,
        }
    }

    /// Any number JSON allows: what `f64` reads and JSON does not write (`01`, `1.`, `+1`) is refused.
    fn any_number(&mut self) -> Option<()> {
        let number = self.number()?;
        let digits = number.strip_prefix('-').unwrap_or(number);
        let leading_zero = digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit();
        let bare_point = digits.starts_with('.')
            || digits.split_once('.').is_some_and(|(_, after)| !after.starts_with(|c: char| c.is_ascii_digit()));
        (!leading_zero && !bare_point && number.parse::<f64>().is_ok()).then_some(())
    }
}
