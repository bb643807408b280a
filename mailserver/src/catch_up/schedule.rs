//! When the node compares its archive with others': at the start, as soon as somebody who can is connected, and then
//! once every `--store-sync-interval`, each time with another peer chosen by chance (nwaku does the same).

use std::time::Duration;

use archive::{Direction, MAX_PAGE, MessageHash, Query};
use libp2p::PeerId;
use rand::seq::SliceRandom;

use crate::intake::archivist::{Archivist, QueryError};
use crate::protocols::sync::Server;
use crate::protocols::sync::wire::RECONCILIATION;
use crate::swarm::{Handle, PeerInfo};

/// Between two looks for a peer, or at the clock.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Between two pages of the archive: others want it too.
const PAUSE: Duration = Duration::from_millis(5);
/// Peers that are tried in one turn.
const MAX_TRIES: usize = 3;

/// Fills the set of ids and then, with an interval, starts sessions. Ends when the node does.
pub(crate) async fn run(
    swarm: Handle,
    archivist: Archivist,
    server: Server,
    topics: Vec<String>,
    interval: Option<Duration>,
) {
    while !archivist.clock_trusted() {
        if swarm.is_stopped() {
            return;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    for topic in topics {
        if fill(&archivist, &server, topic).await.is_none() {
            return;
        }
    }
    server.filled();
    let Some(interval) = interval else { return };
    while !swarm.is_stopped() {
        let tried = archivist.clock_trusted() && turn(&swarm, &server).await;
        tokio::time::sleep(if tried { interval } else { interval.min(LOOK_AGAIN) }).await;
    }
}

/// Puts the ids of what the archive has on one topic into the set. `None` when the archive is closed or cannot be read.
async fn fill(archivist: &Archivist, server: &Server, topic: String) -> Option<()> {
    let mut cursor: Option<MessageHash> = None;
    loop {
        let query = Query {
            pubsub_topic: Some(topic.clone()),
            time_start: Some(server.floor()),
            cursor,
            direction: Direction::Forward,
            limit: MAX_PAGE,
            include_data: true,
            ..Query::default()
        };
        let (archivist, ids) = (archivist.clone(), server.ids().clone());
        let asked = tokio::task::spawn_blocking(move || {
            let page = archivist.query(&query)?;
            for entry in &page.entries {
                if let Some(envelope) = &entry.envelope {
                    ids.note(envelope, entry.hash);
                }
            }
            Ok::<_, QueryError>(page.cursor)
        });
        cursor = match asked.await {
            Ok(Ok(Some(cursor))) => Some(cursor),
            Ok(Ok(None)) => return Some(()),
            Ok(Err(error)) => {
                tracing::error!(%error, "store sync is off: the archive cannot be read");
                return None;
            }
            Err(_) => return None,
        };
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether there was somebody to compare with.
async fn turn(swarm: &Handle, server: &Server) -> bool {
    let candidates = candidates(swarm).await;
    let anybody = !candidates.is_empty();
    for peer in candidates {
        match server.synchronize(peer).await {
            Ok(report) if report.differences > 0 => {
                tracing::info!(%peer, differences = report.differences, sent = report.sent, "store sync");
                break;
            }
            Ok(report) => {
                tracing::debug!(%peer, rounds = report.rounds, cut_short = report.cut_short, "store sync: nothing differs");
                break;
            }
            Err(error) => tracing::debug!(%peer, %error, "store sync: peer failed"),
        }
    }
    anybody
}

/// Connected peers that can, in any order.
async fn candidates(swarm: &Handle) -> Vec<PeerId> {
    let Ok(peers) = swarm.peers().await else {
        return Vec::new();
    };
    let fit = |peer: &PeerInfo| peer.direction.is_some() && peer.protocols.contains(&RECONCILIATION);
    let mut fits: Vec<PeerId> = peers.into_iter().filter(fit).map(|peer| peer.peer_id).collect();
    fits.shuffle(&mut rand::rng());
    fits.truncate(MAX_TRIES);
    fits
}
