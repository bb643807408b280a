//! Store sync: reconciliation 1.0.0 finds what two stores lack of each other's recent past, transfer 1.0.0 brings it
//! (WAKU-SYNC; nwaku `waku_store_sync`).
//!
//! Whoever starts a session compares what is older than the relay jitter and not older than the range before that; who
//! answers compares a little more, so that two clocks need not agree to the second. What one side lacks is sent at once,
//! while the comparison goes on, on a transfer stream that the sender opens.
//!
//! Invariants: one session a peer and direction, few altogether, each bounded in rounds, bytes and time. Envelopes are
//! taken from peers alone with whom there is a session or was one a few minutes ago, and each is judged like one that
//! resume fetched, besides that its time must be in the range. What peers agree on is trusted no further: ids that are
//! made up cost a look-up, envelopes that are not wanted are counted, and too many of them end their stream.

mod ids;
pub mod metrics;
mod partners;
pub mod ranges;
pub mod reconcile;
mod reconciliation;
mod server;
mod transfer;
pub mod wire;

pub(crate) use self::ids::Ids;
pub(crate) use self::server::Server;

use crate::protocols::router::Router;

/// Has both protocols served.
pub(crate) fn register(server: &Server, router: &mut Router) {
    let (reconciles, takes) = (server.clone(), server.clone());
    router.accept(wire::RECONCILIATION, move |caller, stream| {
        reconciles.clone().serve_reconciliation(caller.peer, stream)
    });
    router.accept(wire::TRANSFER, move |caller, stream| {
        takes.clone().serve_transfer(caller.peer, stream)
    });
}
