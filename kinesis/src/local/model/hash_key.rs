//! Where a record goes: MD5 of its partition key as a number, and hash key ranges that cover every number once.

use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};

/// The shards' hash key range, both ends belonging to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HashKeyRange {
    /// Least hash key of the range.
    pub first: u128,
    /// Greatest hash key of the range.
    pub last: u128,
}

impl HashKeyRange {
    /// Does the range hold this hash key?
    pub const fn contains(self, hash_key: u128) -> bool {
        self.first <= hash_key && hash_key <= self.last
    }
}

/// The hash key of a partition key: MD5 of its UTF-8 bytes, read as a big-endian number.
pub fn hash_key_of(partition_key: &str) -> u128 {
    u128::from_be_bytes(Md5::digest(partition_key.as_bytes()).into())
}

/// The `index`-th of `count` equal ranges, as CreateStream deals them: each begins at `index * floor(2^128 / count)`
/// and the last takes the rest.
///
/// # Panics
/// If `index >= count`.
pub fn even_range(index: u32, count: u32) -> HashKeyRange {
    assert!(index < count, "range {index} of {count}");
    // A single range spans 2^128 keys, which no u128 holds; it needs no width.
    let width = if count == 1 { 0 } else { floor_of_all_keys_by(u128::from(count)) };
    let first = width * u128::from(index);
    let last = if index == count - 1 { u128::MAX } else { first + (width - 1) };
    HashKeyRange { first, last }
}

/// `floor(2^128 / count)` for `count >= 2`, without the 129th bit.
fn floor_of_all_keys_by(count: u128) -> u128 {
    u128::MAX / count + u128::from(u128::MAX % count == count - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn partition_keys_hash_as_md5sum_says() {
        // From `printf %s KEY | md5sum`, read as a decimal number.
        for (key, hash_key) in [
            ("", 281_949_768_489_412_648_962_353_822_266_799_178_366),
            ("a", 16_955_237_001_963_240_173_058_271_559_858_726_497),
            ("0", 276_215_275_525_073_243_129_443_018_166_533_317_850),
            ("9", 92_737_277_766_069_325_975_379_119_957_797_678_374),
            ("partition-1", 198_019_941_650_871_988_756_153_596_255_032_211_816),
            ("ключ", 259_726_384_039_714_788_407_059_515_981_389_908_711),
        ] {
            assert_eq!(hash_key_of(key), hash_key, "{key}");
        }
    }

    #[test]
    fn three_shards_are_cut_where_the_service_cuts_them() {
        let ranges: Vec<_> = (0..3).map(|i| even_range(i, 3)).map(|r| (r.first, r.last)).collect();
        assert_eq!(
            ranges,
            [
                (0, 113_427_455_640_312_821_154_458_202_477_256_070_484),
                (
                    113_427_455_640_312_821_154_458_202_477_256_070_485,
                    226_854_911_280_625_642_308_916_404_954_512_140_969
                ),
                (226_854_911_280_625_642_308_916_404_954_512_140_970, u128::MAX),
            ]
        );
    }

    #[test]
    fn two_shards_are_halves() {
        let half = 170_141_183_460_469_231_731_687_303_715_884_105_728;
        assert_eq!(even_range(0, 2), HashKeyRange { first: 0, last: half - 1 });
        assert_eq!(even_range(1, 2), HashKeyRange { first: half, last: u128::MAX });
    }

    proptest! {
        #[test]
        fn even_ranges_cover_every_hash_key_exactly_once(count in 1_u32..5_000) {
            let mut next = Some(0);
            for index in 0..count {
                let range = even_range(index, count);
                prop_assert_eq!(Some(range.first), next);
                prop_assert!(range.first <= range.last);
                next = range.last.checked_add(1);
            }
            prop_assert_eq!(next, None, "the last range ends at the greatest hash key");
        }
    }
}
