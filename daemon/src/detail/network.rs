//! How the box is connected, and to whom.

use std::fmt::Display;

use crate::wording::Details as Words;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkDetail {
    NoLink,
    NoAddress,
    NoGateway,
    Connected {
        links: Vec<String>,
        address: Option<String>,
        gateway: Option<String>,
        public_peers: Option<u64>,
    },
    /// By way: those that came to us, and those that we went to.
    Peers {
        peers: u64,
        by_way: Option<(u64, u64)>,
    },
    Reachable,
    NotReachable,
}

impl NetworkDetail {
    pub(super) fn in_words(&self, words: &Words) -> String {
        match self {
            Self::NoLink => words.no_link.to_owned(),
            Self::NoAddress => words.no_address.to_owned(),
            Self::NoGateway => words.no_gateway.to_owned(),
            Self::Connected {
                links,
                address,
                gateway,
                public_peers,
            } => {
                let mut parts = vec![links.join(", ")];
                parts.extend(address.clone());
                parts.extend(
                    gateway
                        .as_ref()
                        .map(|gateway| words.gateway.fill(&[("address", gateway)])),
                );
                parts.push(match public_peers {
                    Some(peers) if *peers > 0 => words.public_peers.fill(*peers, &[]),
                    _ => words.no_public_peer.to_owned(),
                });
                parts.join(", ")
            }
            Self::Peers { peers, by_way: None } => words.peers.fill(&[("peers", peers)]),
            Self::Peers {
                peers,
                by_way: Some((inbound, outbound)),
            } => {
                let values: [(&str, &dyn Display); 3] =
                    [("peers", peers), ("inbound", inbound), ("outbound", outbound)];
                words.peers_by_way.fill(&values)
            }
            Self::Reachable => words.reachable.to_owned(),
            Self::NotReachable => words.not_reachable.to_owned(),
        }
    }
}
