//! A Bloom filter over a sealed segment's hashes, stored in the segment: a look-up by hash must ask every segment, and
//! this answers "not here" for nearly all of them without touching the disk.

use crate::envelope::MessageHash;

/// Ten bits and seven probes a hash: 0.8 % say yes wrongly.
const BITS_PER_HASH: usize = 10;
const PROBES: u64 = 7;
/// Twelve times what the largest segment has (`live::MAX_ROWS`): what is longer is no filter, and is not read.
pub(crate) const MAX_BYTES: i64 = 1 << 20;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bloom {
    bits: Vec<u8>,
}

impl Bloom {
    pub(crate) fn of<'a>(hashes: impl ExactSizeIterator<Item = &'a MessageHash>) -> Bloom {
        let mut filter = Bloom {
            bits: vec![0; (hashes.len() * BITS_PER_HASH).div_ceil(8).max(8)],
        };
        for hash in hashes {
            for place in places(hash, filter.bits.len()) {
                filter.bits[place / 8] |= 1 << (place % 8);
            }
        }
        filter
    }

    pub(crate) fn from_bytes(bits: Vec<u8>) -> Option<Bloom> {
        (!bits.is_empty()).then_some(Bloom { bits })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bits
    }

    pub(crate) fn may_have(&self, hash: &MessageHash) -> bool {
        places(hash, self.bits.len()).all(|place| self.bits[place / 8] & (1 << (place % 8)) != 0)
    }
}

/// Double hashing over bytes that are a cryptographic hash already.
fn places(hash: &MessageHash, bytes: usize) -> impl Iterator<Item = usize> + use<> {
    let word = |at: usize| {
        hash.0[at..at + 8]
            .iter()
            .fold(0u64, |word, &byte| word << 8 | u64::from(byte))
    };
    let (first, step) = (word(8), word(16) | 1);
    let bits = bytes as u64 * 8;
    (0..PROBES).map(move |probe| (first.wrapping_add(probe.wrapping_mul(step)) % bits) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    #[test]
    fn never_a_wrong_no_and_seldom_a_wrong_yes() {
        let hashes: Vec<MessageHash> = (0u32..20_000)
            .map(|number| MessageHash(Sha256::digest(number.to_le_bytes()).into()))
            .collect();
        let (inside, outside) = hashes.split_at(10_000);
        let filter = Bloom::of(inside.iter());
        assert!(inside.iter().all(|hash| filter.may_have(hash)));
        let wrong = outside.iter().filter(|hash| filter.may_have(hash)).count();
        assert!(wrong < 200, "{wrong} of 10,000");
        assert_eq!(Bloom::from_bytes(filter.bytes().to_vec()), Some(filter));
        assert!(!Bloom::of([].iter()).may_have(&hashes[0]));
    }
}
