//! Node records, as bytes from peer exchange and as text from flags, and the fields Waku puts in them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pillarbox_mailserver::enr::{self, Shards, WakuNode};

fuzz_target!(|data: &[u8]| {
    if let Ok(record) = enr::from_rlp(data) {
        let _ = WakuNode::of(&record);
        let again = enr::from_rlp(&enr::to_rlp(&record)).expect("a record that was read can be written");
        assert!(enr::same_content(&record, &again));
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = enr::parse(text).map(|record| WakuNode::of(&record));
    }
    let _ = Shards::from_list(data);
    let _ = Shards::from_vector(data);
    let _ = enr::read_addresses(data);
});
