//! An envelope (a WakuMessage, RFC 14/WAKU2-MESSAGE) with the pubsub topic it came by, and its deterministic hash.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::nanos::Nanos;

/// One kept envelope. `ephemeral` is absent: ephemeral envelopes are never stored (RFC 13/WAKU2-STORE).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The shard that it came by.
    pub pubsub_topic: String,
    /// What applications filter by.
    pub content_topic: String,
    /// Never looked into.
    pub payload: Vec<u8>,
    /// Absent is 0 on the wire (RFC 14).
    pub version: Option<u32>,
    /// Sender's time, nanoseconds since the Unix epoch; 0 where the sender set none.
    pub timestamp: i64,
    /// At most 64 bytes (RFC 14).
    pub meta: Option<Vec<u8>>,
    /// The proof of RFC 17/WAKU2-RLN-RELAY, as it came.
    pub rate_limit_proof: Option<Vec<u8>>,
}

impl Envelope {
    /// Its timestamp.
    pub fn time(&self) -> Nanos {
        Nanos::new(self.timestamp)
    }

    /// The deterministic message hash of RFC 14/WAKU2-MESSAGE: SHA-256 over pubsub topic, payload, content topic, meta
    /// and the timestamp as eight big-endian bytes. Version, proof and ephemeral are not hashed.
    pub fn hash(&self) -> MessageHash {
        let mut sha = Sha256::new();
        sha.update(self.pubsub_topic.as_bytes());
        sha.update(&self.payload);
        sha.update(self.content_topic.as_bytes());
        if let Some(meta) = &self.meta {
            sha.update(meta);
        }
        sha.update(self.timestamp.to_be_bytes());
        MessageHash(sha.finalize().into())
    }
}

/// The 32 bytes of [`Envelope::hash`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageHash(pub [u8; 32]);

impl MessageHash {
    /// The first eight bytes, as a number that is ordered as they are.
    pub(crate) fn rank(&self) -> u64 {
        self.0[..8].iter().fold(0, |rank, &byte| rank << 8 | u64::from(byte))
    }
}

impl fmt::Display for MessageHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for MessageHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageHash({self})")
    }
}

/// Sixteen bytes of a content topic's SHA-256: a topic may be as long as an envelope, and anyone may invent thousands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TopicKey([u8; 16]);

impl TopicKey {
    pub(crate) fn of(content_topic: &str) -> TopicKey {
        let digest: [u8; 32] = Sha256::digest(content_topic.as_bytes()).into();
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        TopicKey(key)
    }
}

/// What an envelope takes in memory beside its bytes, roughly.
pub(crate) const OVERHEAD_BYTES: usize = 256;

/// Roughly what an envelope takes in memory.
pub(crate) fn weight(envelope: &Envelope) -> usize {
    let optional = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
    OVERHEAD_BYTES
        + envelope.payload.len()
        + envelope.content_topic.len()
        + envelope.pubsub_topic.len()
        + optional(&envelope.meta)
        + optional(&envelope.rate_limit_proof)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 14/WAKU2-MESSAGE, "Test vectors".
    #[test]
    fn deterministic_hash_vectors() {
        let full: Vec<u8> = (0..64).collect();
        let short = b"super-secret".to_vec();
        let payload = hex::decode("010203045445535405060708").unwrap();
        for (meta, payload, expected) in [
            (
                Some(short.clone()),
                payload.clone(),
                "64cce733fed134e83da02b02c6f689814872b1a0ac97ea56b76095c3c72bfe05",
            ),
            (
                Some(full),
                payload.clone(),
                "7158b6498753313368b9af8f6e0a0a05104f68f972981da42a43bc53fb0c1b27",
            ),
            (
                None,
                payload,
                "a2554498b31f5bcdfcbf7fa58ad1c2d45f0254f3f8110a85588ec3cf10720fd8",
            ),
            (
                Some(short),
                vec![],
                "483ea950cb63f9b9d6926b262bb36194d3f40a0463ce8446228350bd44e96de4",
            ),
        ] {
            let envelope = Envelope {
                pubsub_topic: "/waku/2/default-waku/proto".into(),
                content_topic: "/waku/2/default-content/proto".into(),
                payload,
                version: None,
                timestamp: 0x175789bfa23f8400,
                meta,
                rate_limit_proof: None,
            };
            assert_eq!(envelope.hash().to_string(), expected);
        }
    }
}
