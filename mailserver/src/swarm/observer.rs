//! What the swarm's task tells whoever runs it. It knows no protocol but relay: what a message means, whether it may go on,
//! and what follows from a new connection is decided on the other side of [`Observer`].

use libp2p::PeerId;
use libp2p::swarm::ConnectionId;

/// What becomes of a relayed message. The text is what it is counted under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is forwarded.
    Accept,
    /// It goes no further, and costs its sender nothing.
    Ignore(&'static str),
    /// It goes no further, and its sender ought to have known.
    Reject(&'static str),
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// There is a new connection, maybe one of several with this peer.
    Connected { peer: PeerId, connection: ConnectionId },
    /// What is served from now on: pubsub topics, and those of our cluster as shards, both ascending.
    Serving { topics: Vec<String>, shards: Vec<u16> },
}

/// Called by the swarm's task: an implementation must not wait.
pub(crate) trait Observer: Send {
    /// Judges a message that a peer relayed, and takes it in if it is accepted.
    fn relayed(&mut self, peer: PeerId, topic: &str, data: &[u8]) -> Verdict;

    fn happened(&mut self, event: Event);
}
