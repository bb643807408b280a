//! An envelope that has come in, and by which way.

use archive::{Envelope, MessageHash};
use libp2p::PeerId;

/// An envelope the node took in, by whatever way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    pub envelope: Envelope,
    pub hash: MessageHash,
    pub ephemeral: bool,
    pub source: Source,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Relay(PeerId),
    LightPush(PeerId),
    /// A filter service this node is subscribed to.
    FilterPush(PeerId),
    /// Another node's store, after downtime.
    Resume(PeerId),
    /// Another node's store, by comparison.
    Sync(PeerId),
    /// REST on this machine.
    Local,
}
