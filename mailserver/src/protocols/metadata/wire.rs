//! WakuMetadata 1.0.0 (RFC 66/WAKU2-METADATA): cluster and shards, the same message as request and response.

use libp2p::StreamProtocol;
use prost::Message;

/// nwaku reads at most so much (`waku_metadata/protocol.nim`).
pub(super) const MAX_BYTES: usize = 1024;

pub const METADATA: StreamProtocol = StreamProtocol::new("/vac/waku/metadata/1.0.0");

/// The specification and js-waku know field 2 (unpacked) alone, nwaku writes 2 and 3 (packed): both are written, and 3
/// is believed before 2.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct WakuMetadata {
    #[prost(uint32, optional, tag = "1")]
    pub cluster_id: Option<u32>,
    #[prost(uint32, repeated, packed = "false", tag = "2")]
    pub shards_unpacked: Vec<u32>,
    #[prost(uint32, repeated, packed = "true", tag = "3")]
    pub shards: Vec<u32>,
}

impl WakuMetadata {
    pub fn new(cluster_id: u16, shards: &[u16]) -> Self {
        let shards: Vec<u32> = shards.iter().map(|&shard| u32::from(shard)).collect();
        Self {
            cluster_id: Some(u32::from(cluster_id)),
            shards_unpacked: shards.clone(),
            shards,
        }
    }

    /// The peer's shards, each once; what does not fit a shard index is left out.
    pub fn shard_indices(&self) -> Vec<u16> {
        let stated = if self.shards.is_empty() {
            &self.shards_unpacked
        } else {
            &self.shards
        };
        let mut shards: Vec<u16> = stated.iter().filter_map(|&shard| u16::try_from(shard).ok()).collect();
        shards.sort_unstable();
        shards.dedup();
        shards
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_written_and_either_is_read() {
        let encoded = WakuMetadata::new(16, &[32, 64]).encode_to_vec();
        assert_eq!(encoded, [0x08, 16, 0x10, 32, 0x10, 64, 0x1a, 2, 32, 64]);
        let only_two = WakuMetadata::decode([0x08u8, 16, 0x10, 64, 0x10, 32].as_slice()).unwrap();
        assert_eq!(only_two.shard_indices(), [32, 64]);
        let only_three = WakuMetadata::decode([0x08u8, 16, 0x1a, 2, 32, 64].as_slice()).unwrap();
        assert_eq!(only_three.shard_indices(), [32, 64]);
    }
}
