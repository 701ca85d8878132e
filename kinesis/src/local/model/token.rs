//! Shard iterators and listing tokens: opaque to clients, readable to the model, and refused when made up.
//!
//! A token carries all that is needed to go on, so the model keeps nothing per token and one may be used again.
//! It is base64 of eight fixed bytes (the service's iterators begin so), a text of `|`-separated fields, and a check
//! keyed by the model's seed.

use md5::{Digest as _, Md5};

use super::shard::ShardId;

/// Life of shard iterators and listing tokens (API reference, GetShardIterator and ListShards).
pub(super) const TOKEN_LIFE_MS: i64 = 300_000;

const HEAD: [u8; 8] = [0, 0, 0, 0, 0, 0, 0, 1];
const CHECK_BYTES: usize = 8;

/// A place in a shard from which to read on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IteratorToken {
    pub issued_ms: i64,
    pub generation: u64,
    pub shard: ShardId,
    /// Read from the first record with this index or a greater one ...
    pub index: u64,
    /// ... that came at this time or later; `i64::MIN` but for AT_TIMESTAMP.
    pub since_ms: i64,
    pub stream: String,
}

/// A place in a list of shards, streams or consumers: each has a kind of its own, and no use for another's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ListToken {
    pub issued_ms: i64,
    pub generation: u64,
    /// Go on behind this shard.
    pub after: ShardId,
    /// What the first page was asked for, in [`super::list::ShardFilter`]'s own text; the last name of a page of consumers.
    pub filter: String,
    pub stream: String,
}

impl IteratorToken {
    pub fn seal(&self, seed: u64) -> String {
        let IteratorToken { issued_ms, generation, shard, index, since_ms, stream } = self;
        seal(seed, &format!("i|{issued_ms}|{generation}|{}|{index}|{since_ms}|{stream}", shard.number()))
    }

    pub fn open(seed: u64, token: &str) -> Option<IteratorToken> {
        let text = open(seed, token)?;
        let mut fields = text.splitn(7, '|');
        let mut next = || fields.next();
        (next()? == "i").then_some(())?;
        Some(IteratorToken {
            issued_ms: next()?.parse().ok()?,
            generation: next()?.parse().ok()?,
            shard: ShardId::from_number(next()?.parse().ok()?)?,
            index: next()?.parse().ok()?,
            since_ms: next()?.parse().ok()?,
            stream: next()?.to_owned(),
        })
    }
}

impl ListToken {
    pub const SHARDS: &str = "l";
    pub const STREAMS: &str = "s";
    pub const CONSUMERS: &str = "c";

    pub fn seal(&self, kind: &str, seed: u64) -> String {
        let ListToken { issued_ms, generation, after, filter, stream } = self;
        seal(seed, &format!("{kind}|{issued_ms}|{generation}|{}|{filter}|{stream}", after.number()))
    }

    pub fn open(kind: &str, seed: u64, token: &str) -> Option<ListToken> {
        let text = open(seed, token)?;
        let mut fields = text.splitn(6, '|');
        let mut next = || fields.next();
        (next()? == kind).then_some(())?;
        Some(ListToken {
            issued_ms: next()?.parse().ok()?,
            generation: next()?.parse().ok()?,
            after: ShardId::from_number(next()?.parse().ok()?)?,
            filter: next()?.to_owned(),
            stream: next()?.to_owned(),
        })
    }
}

fn check(seed: u64, text: &[u8]) -> [u8; CHECK_BYTES] {
    let digest: [u8; 16] = Md5::new().chain_update(seed.to_be_bytes()).chain_update(text).finalize().into();
    *digest.first_chunk().expect("16 bytes hold 8")
}

fn seal(seed: u64, text: &str) -> String {
    let mut bytes = Vec::with_capacity(HEAD.len() + text.len() + CHECK_BYTES);
    bytes.extend_from_slice(&HEAD);
    bytes.extend_from_slice(text.as_bytes());
    bytes.extend_from_slice(&check(seed, text.as_bytes()));
    base64_simd::STANDARD.encode_to_string(bytes)
}

fn open(seed: u64, token: &str) -> Option<String> {
    let bytes = base64_simd::STANDARD.decode_to_vec(token).ok()?;
    let (text, given) = bytes.strip_prefix(&HEAD)?.split_last_chunk::<CHECK_BYTES>()?;
    (check(seed, text) == *given).then_some(())?;
    String::from_utf8(text.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> IteratorToken {
        let stream = "a.stream-of_128_characters".repeat(5)[..128].to_owned();
        IteratorToken {
            issued_ms: 1_795_395_060_708,
            generation: u64::MAX,
            shard: ShardId::new(3),
            index: 1 << 62,
            since_ms: i64::MIN,
            stream,
        }
    }

    #[test]
    fn sealed_token_opens_to_what_was_sealed_and_fits_the_service_s_512_characters() {
        let sealed = token().seal(7);
        assert!(sealed.len() <= 512, "{}", sealed.len());
        assert!(sealed.starts_with("AAAAAAAAAAF"), "{sealed}");
        assert_eq!(IteratorToken::open(7, &sealed), Some(token()));
    }

    #[test]
    fn token_of_another_kind_or_model_or_altered_in_any_character_does_not_open() {
        let sealed = token().seal(7);
        assert_eq!(IteratorToken::open(8, &sealed), None);
        assert_eq!(ListToken::open(ListToken::SHARDS, 7, &sealed), None);
        assert_eq!(IteratorToken::open(7, ""), None);
        assert_eq!(IteratorToken::open(7, "garbage"), None);
        for at in 0..sealed.len() {
            let mut altered = sealed.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).unwrap();
            assert_eq!(IteratorToken::open(7, &altered), None, "character {at}");
        }
    }
}
