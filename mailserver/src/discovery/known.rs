//! Records of nodes on this network, most lately found: what peer exchange hands out (RFC 34/WAKU2-PEER-EXCHANGE).

use std::collections::HashMap;

use ::enr::NodeId;

use crate::enr::{self, Enr};

/// Records kept; at 300 bytes each, some hundred kilobytes.
const CAPACITY: usize = 500;

#[derive(Debug, Default)]
pub(super) struct Known {
    /// Each with the turn in which it was last found.
    by_node: HashMap<NodeId, (u64, Enr)>,
    turn: u64,
}

impl Known {
    /// Keeps a record, unless a newer one of the same node is kept. When full, the one found longest ago goes. True if
    /// there is something new.
    pub(super) fn insert(&mut self, record: &Enr) -> bool {
        self.turn += 1;
        let turn = self.turn;
        let id = record.node_id();
        match self.by_node.get_mut(&id) {
            Some(kept) if kept.1.seq() >= record.seq() => {
                kept.0 = turn;
                return false;
            }
            _ => self.by_node.insert(id, (turn, record.clone())),
        };
        if self.by_node.len() > CAPACITY {
            let oldest = self
                .by_node
                .iter()
                .min_by_key(|(_, (turn, _))| *turn)
                .map(|(id, _)| *id);
            if let Some(oldest) = oldest {
                self.by_node.remove(&oldest);
            }
        }
        true
    }

    /// All of them in RLP.
    pub(super) fn encoded(&self) -> Vec<Vec<u8>> {
        self.by_node.values().map(|(_, record)| enr::to_rlp(record)).collect()
    }
}

#[cfg(test)]
mod tests {
    use ::enr::CombinedKey;

    use super::*;
    use crate::enr::{Own, build, from_rlp};

    #[test]
    fn the_newest_record_of_each_node_is_kept() {
        let mut known = Known::default();
        let key = CombinedKey::generate_secp256k1();
        let news: Vec<bool> = [1, 3, 2, 3]
            .map(|sequence| known.insert(&build(&key, sequence, &Own::default()).unwrap()))
            .into();
        assert_eq!(news, [true, true, false, false]);
        assert_eq!(
            known
                .encoded()
                .iter()
                .map(|bytes| from_rlp(bytes).unwrap().seq())
                .collect::<Vec<_>>(),
            [3]
        );
    }

    #[test]
    fn the_one_found_longest_ago_goes() {
        let mut known = Known::default();
        let record = || build(&CombinedKey::generate_secp256k1(), 1, &Own::default()).unwrap();
        let (first, second) = (record(), record());
        known.insert(&first);
        known.insert(&second);
        for _ in 2..CAPACITY {
            known.insert(&record());
        }
        known.insert(&first);
        known.insert(&record());
        let encoded = known.encoded();
        assert_eq!(encoded.len(), CAPACITY);
        assert!(encoded.contains(&enr::to_rlp(&first)) && !encoded.contains(&enr::to_rlp(&second)));
    }
}
