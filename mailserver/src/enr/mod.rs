//! Node records (EIP-778) as Waku writes them (RFC 31/WAKU2-ENR): what a node serves, on which shards, and where.
//!
//! Reading is lenient about what it does not know and strict about what it uses: a record whose signature is wrong, or
//! that has no secp256k1 key, is none. The key is the peer's libp2p key too, so a record leads to a peer id.

use std::net::IpAddr;

use alloy_rlp::{Bytes, Decodable, Encodable};
use enr::{CombinedKey, CombinedPublicKey, EnrKey, EnrPublicKey};
use libp2p::{Multiaddr, PeerId, identity, multiaddr::Protocol};

pub type Enr = enr::Enr<CombinedKey>;

/// EIP-778: a record has at most 300 bytes in RLP.
pub const MAX_RECORD_BYTES: usize = 300;
/// `enr:` and 300 bytes in base64.
const MAX_TEXT_BYTES: usize = 4 + MAX_RECORD_BYTES.div_ceil(3) * 4;
/// From this many shards on, `rsv` holds them (RFC 51/WAKU2-RELAY-SHARDING).
const MANY_SHARDS: usize = 64;
const SHARD_VECTOR_BYTES: usize = 128;
/// More addresses than a record has room for.
const MAX_ADDRESSES: usize = 16;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("{0} bytes are more than a node record has")]
    TooLong(usize),
    #[error("not a node record: {0}")]
    Undecodable(String),
    #[error("the node record has no secp256k1 key")]
    NoKey,
    #[error("cannot build the own node record: {0}")]
    Build(String),
}

/// What `waku2` says a node serves; bits as in RFC 31.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Capabilities {
    pub relay: bool,
    pub store: bool,
    pub filter: bool,
    pub light_push: bool,
    pub sync: bool,
}

impl Capabilities {
    const RELAY: u8 = 1;
    const STORE: u8 = 1 << 1;
    const FILTER: u8 = 1 << 2;
    const LIGHT_PUSH: u8 = 1 << 3;
    const SYNC: u8 = 1 << 4;

    pub fn from_bits(bits: u8) -> Self {
        let has = |bit| bits & bit != 0;
        Self {
            relay: has(Self::RELAY),
            store: has(Self::STORE),
            filter: has(Self::FILTER),
            light_push: has(Self::LIGHT_PUSH),
            sync: has(Self::SYNC),
        }
    }

    pub fn bits(self) -> u8 {
        let bit = |is, bit| if is { bit } else { 0 };
        bit(self.relay, Self::RELAY)
            | bit(self.store, Self::STORE)
            | bit(self.filter, Self::FILTER)
            | bit(self.light_push, Self::LIGHT_PUSH)
            | bit(self.sync, Self::SYNC)
    }

    pub fn any(self) -> bool {
        self.bits() != 0
    }
}

/// The shards of one cluster, as `rs` and `rsv` hold them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shards {
    pub cluster: u16,
    pub indices: Vec<u16>,
}

impl Shards {
    /// Reads the value of `rs`: cluster, count and that many shards, big-endian.
    pub fn from_list(bytes: &[u8]) -> Option<Self> {
        let (cluster, rest) = bytes.split_first_chunk::<2>()?;
        let (&count, rest) = rest.split_first()?;
        let (pairs, odd) = rest.as_chunks::<2>();
        if !odd.is_empty() || pairs.len() != usize::from(count) {
            return None;
        }
        let indices = pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
        Some(Self {
            cluster: u16::from_be_bytes(*cluster),
            indices,
        })
    }

    /// Reads the value of `rsv`: cluster and a bit a shard, lowest bit first as in nwaku and go-waku (js-waku has it
    /// the other way round).
    pub fn from_vector(bytes: &[u8]) -> Option<Self> {
        let (cluster, bits) = bytes.split_first_chunk::<2>()?;
        if bits.len() != SHARD_VECTOR_BYTES {
            return None;
        }
        let indices = (0..1024)
            .filter(|&shard: &u16| bits[usize::from(shard / 8)] & (1 << (shard % 8)) != 0)
            .collect();
        Some(Self {
            cluster: u16::from_be_bytes(*cluster),
            indices,
        })
    }

    /// The value of `rs`; at most 255 shards fit.
    pub fn to_list(&self) -> Vec<u8> {
        let count = u8::try_from(self.indices.len()).unwrap_or(u8::MAX);
        let mut bytes = self.cluster.to_be_bytes().to_vec();
        bytes.push(count);
        bytes.extend(
            self.indices
                .iter()
                .take(usize::from(count))
                .flat_map(|shard| shard.to_be_bytes()),
        );
        bytes
    }

    fn to_vector(&self) -> Vec<u8> {
        let mut bits = [0u8; SHARD_VECTOR_BYTES];
        for shard in &self.indices {
            if let Some(byte) = bits.get_mut(usize::from(shard / 8)) {
                *byte |= 1 << (shard % 8);
            }
        }
        [self.cluster.to_be_bytes().as_slice(), &bits].concat()
    }
}

/// What a record says about a Waku node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WakuNode {
    pub peer: PeerId,
    /// Where to dial it, each with `/p2p/`.
    pub addresses: Vec<Multiaddr>,
    /// Absent where the record has neither `rs` nor `rsv`.
    pub shards: Option<Shards>,
    pub capabilities: Capabilities,
}

impl WakuNode {
    pub fn of(record: &Enr) -> Result<Self, Error> {
        let CombinedPublicKey::Secp256k1(key) = record.public_key() else {
            return Err(Error::NoKey);
        };
        let key = identity::secp256k1::PublicKey::try_from_bytes(&key.encode()).map_err(|_| Error::NoKey)?;
        let peer = identity::PublicKey::from(key).to_peer_id();
        let mut addresses = Vec::new();
        addresses.extend(
            record
                .tcp4_socket()
                .map(|socket| tcp_address((*socket.ip()).into(), socket.port())),
        );
        addresses.extend(
            record
                .tcp6_socket()
                .map(|socket| tcp_address((*socket.ip()).into(), socket.port())),
        );
        if let Some(value) = bytes_of(record, "multiaddrs") {
            addresses.extend(read_addresses(&value));
        }
        let addresses = addresses
            .into_iter()
            .filter_map(|address| address.with_p2p(peer).ok())
            .collect();
        let shards = bytes_of(record, "rs")
            .and_then(|value| Shards::from_list(&value))
            .or_else(|| bytes_of(record, "rsv").and_then(|value| Shards::from_vector(&value)));
        let bits = bytes_of(record, "waku2").and_then(|value| value.first().copied());
        Ok(Self {
            peer,
            addresses,
            shards,
            capabilities: Capabilities::from_bits(bits.unwrap_or(0)),
        })
    }
}

fn bytes_of(record: &Enr, key: &str) -> Option<Bytes> {
    record.get_decodable::<Bytes>(key)?.ok()
}

fn tcp_address(ip: IpAddr, port: u16) -> Multiaddr {
    Multiaddr::from(ip).with(Protocol::Tcp(port))
}

/// Reads the value of `multiaddrs`: each address behind its length in two bytes. What cannot be read ends the list.
pub fn read_addresses(mut value: &[u8]) -> Vec<Multiaddr> {
    let mut addresses = Vec::new();
    while let Some((length, rest)) = value.split_first_chunk::<2>() {
        let Some((bytes, rest)) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length))) else {
            break;
        };
        // An unknown protocol in one address says nothing against the next one.
        addresses.extend(Multiaddr::try_from(bytes.to_vec()));
        if addresses.len() >= MAX_ADDRESSES {
            break;
        }
        value = rest;
    }
    addresses
}

fn write_addresses(addresses: &[Multiaddr]) -> Vec<u8> {
    let mut value = Vec::new();
    for address in addresses {
        let bytes = address.as_ref();
        if let Ok(length) = u16::try_from(bytes.len()) {
            value.extend(length.to_be_bytes());
            value.extend(bytes);
        }
    }
    value
}

/// Reads `enr:…` and checks its signature.
pub fn parse(text: &str) -> Result<Enr, Error> {
    let text = text.trim();
    if text.len() > MAX_TEXT_BYTES {
        return Err(Error::TooLong(text.len()));
    }
    // Padding is not written, but read by others.
    text.trim_end_matches('=').parse().map_err(Error::Undecodable)
}

/// Reads a record in RLP, as peer exchange carries it, and checks its signature.
pub fn from_rlp(mut bytes: &[u8]) -> Result<Enr, Error> {
    if bytes.len() > MAX_RECORD_BYTES {
        return Err(Error::TooLong(bytes.len()));
    }
    Enr::decode(&mut bytes).map_err(|error| Error::Undecodable(error.to_string()))
}

/// A record in RLP.
pub fn to_rlp(record: &Enr) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(record.size());
    record.encode(&mut bytes);
    bytes
}

/// What this node says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Own {
    pub ip: Option<IpAddr>,
    pub tcp_port: Option<u16>,
    pub udp_port: Option<u16>,
    pub shards: Shards,
    pub capabilities: Capabilities,
    /// Without `/p2p/`; most wanted first, since what does not fit is left out from the end.
    pub addresses: Vec<Multiaddr>,
}

/// Builds and signs the own record.
pub fn build(key: &CombinedKey, sequence: u64, own: &Own) -> Result<Enr, Error> {
    // The longest list of addresses that fits: the record's size is known only once it is signed.
    for count in (0..=own.addresses.len().min(MAX_ADDRESSES)).rev() {
        match build_with(key, sequence, own, &own.addresses[..count]) {
            Err(enr::Error::ExceedsMaxSize) => {}
            other => return other.map_err(|error| Error::Build(error.to_string())),
        }
    }
    Err(Error::Build("the shards alone are more than a record holds".into()))
}

fn build_with(key: &CombinedKey, sequence: u64, own: &Own, addresses: &[Multiaddr]) -> Result<Enr, enr::Error> {
    let mut builder = Enr::builder();
    builder.seq(sequence);
    // Without an address the ports alone stay: peers that see where we come from complete it (`enr_auto_update`).
    let ip = own.ip.filter(|ip| !ip.is_unspecified());
    if let Some(ip) = ip {
        builder.ip(ip);
    }
    let v6 = ip.is_some_and(|ip| ip.is_ipv6());
    if let Some(port) = own.tcp_port {
        if v6 {
            builder.tcp6(port)
        } else {
            builder.tcp4(port)
        };
    }
    if let Some(port) = own.udp_port {
        if v6 {
            builder.udp6(port)
        } else {
            builder.udp4(port)
        };
    }
    // `Bytes` is written as a string of bytes; a `Vec<u8>` would become a list.
    builder.add_value("waku2", &Bytes::from(vec![own.capabilities.bits()]));
    if own.shards.indices.len() < MANY_SHARDS {
        builder.add_value("rs", &Bytes::from(own.shards.to_list()));
    } else {
        builder.add_value("rsv", &Bytes::from(own.shards.to_vector()));
    }
    if !addresses.is_empty() {
        builder.add_value("multiaddrs", &Bytes::from(write_addresses(addresses)));
    }
    builder.build(key)
}

/// Whether two records of one node say the same, whatever their sequence numbers.
pub fn same_content(left: &Enr, right: &Enr) -> bool {
    left.public_key().encode() == right.public_key().encode() && left.iter().eq(right.iter())
}

/// The record's key, from the node's own.
pub fn combined_key(key: &k256::ecdsa::SigningKey) -> CombinedKey {
    CombinedKey::from(key.clone())
}

/// The public half, to compare a stored record with the node's key.
pub fn is_of(record: &Enr, key: &CombinedKey) -> bool {
    record.public_key().encode() == key.public().encode()
}

#[cfg(test)]
mod tests;
