//! Node records, as bytes from peer exchange and as text from flags, and the fields Waku puts in them. A record of the
//! fuzzer's making has no signature, so its bytes are also put into the fields of one that is signed here.

use alloy_rlp::Bytes;
use enr::CombinedKey;
use pillarbox_mailserver::enr::{self as record, Shards, WakuNode};

pub(crate) fn run(data: &[u8]) {
    if let Ok(read) = record::from_rlp(data) {
        let _ = WakuNode::of(&read);
        let again = record::from_rlp(&record::to_rlp(&read)).expect("a record that was read can be written");
        assert!(record::same_content(&read, &again));
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = record::parse(text).map(|read| WakuNode::of(&read));
    }
    if let Some(shards) = Shards::from_list(data) {
        assert_eq!(shards.to_list(), data, "a list has one spelling");
    }
    let _ = Shards::from_vector(data);
    let _ = record::read_addresses(data);
    signed(data);
}

/// The first byte is `waku2`, the second how many of the others are `rs`; the rest are `multiaddrs`.
fn signed(data: &[u8]) {
    let [waku2, length, rest @ ..] = data else { return };
    let (shards, addresses) = rest.split_at(usize::from(*length).min(rest.len()));
    let mut key_bytes = [7; 32];
    let key = CombinedKey::secp256k1_from_bytes(&mut key_bytes).expect("a number below the group's order");
    let mut builder = enr::Enr::<CombinedKey>::builder();
    builder.add_value("waku2", &Bytes::copy_from_slice(&[*waku2]));
    builder.add_value("rs", &Bytes::copy_from_slice(shards));
    builder.add_value("multiaddrs", &Bytes::copy_from_slice(addresses));
    // More than a record holds: nothing to read.
    let Ok(built) = builder.build(&key) else { return };
    let read = record::from_rlp(&record::to_rlp(&built)).expect("it is signed");
    let node = WakuNode::of(&read).expect("its key is a libp2p key");
    assert_eq!(node.shards, Shards::from_list(shards));
    assert_eq!(node.capabilities.bits(), waku2 & 0b1_1111);
}
