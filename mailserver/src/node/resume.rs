//! Store resume: after downtime the gap is filled from other nodes' stores, oldest first (nwaku `waku_store/resume.nim`).
//!
//! The gap reaches from the newest envelope of the archive, or the retention's beginning where that is later, to the
//! start of this run; what comes since then comes live. One page is asked for at a time and inserted before the next,
//! so the archive sets the pace. A peer that fails is followed by another, which is asked from where the last one got.
//! What was back-filled is not pushed to subscribers: it is no news.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use archive::MAX_PAGE;
use libp2p::PeerId;
use tokio::sync::oneshot;

use super::handle::{Handle, Received, Source};
use crate::admission;
use crate::archivist::{Archivist, Outcome};
use crate::clock;
use crate::protocols::{STORE, store::status};
use crate::wire::store::{StoreQueryRequest, WakuMessageKeyValue};

/// Shorter gaps are what relay's own history covers.
const MIN_GAP_NANOS: i64 = 10 * 1_000_000_000;
/// Between two looks for a peer that has a store.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// Between two pages: other peers want the archive and the stores too.
const PAUSE: Duration = Duration::from_millis(20);
/// Pages of one topic: at 100 envelopes each, a day of 100 envelopes a second.
const MAX_PAGES: usize = 86_400;

/// What is to be filled, nanoseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    from: i64,
    to: i64,
}

impl Gap {
    /// `None` when there is nothing worth asking for.
    pub(super) fn new(newest: Option<i64>, retention: Duration, now: i64) -> Option<Self> {
        let retention = i64::try_from(retention.as_nanos()).unwrap_or(i64::MAX);
        let from = newest.unwrap_or(i64::MIN).max(now.saturating_sub(retention));
        (now.saturating_sub(from) >= MIN_GAP_NANOS).then_some(Self { from, to: now })
    }
}

/// Why a peer is not asked further.
enum Failed {
    Peer(String),
    Archive,
}

/// Fills `gap` on each of `topics`; ends when it is filled or the node stops.
pub(super) async fn run(handle: Handle, archivist: Archivist, gap: Gap, topics: Vec<String>) {
    while !archivist.clock_trusted() {
        // Without a clock there is no telling what the gap is.
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    let mut stored = 0;
    for topic in topics {
        let mut from = gap.from;
        let mut failed = HashSet::new();
        while from < gap.to {
            let Some(peer) = store_peer(&handle, &failed).await else {
                if handle.is_stopped() {
                    return;
                }
                failed.clear();
                tokio::time::sleep(LOOK_AGAIN).await;
                continue;
            };
            match fill(&handle, &archivist, peer, &topic, &mut from, gap.to).await {
                Ok(count) => {
                    stored += count;
                    break;
                }
                Err(Failed::Peer(reason)) => {
                    tracing::debug!(%peer, %reason, "store resume: peer failed");
                    failed.insert(peer);
                }
                Err(Failed::Archive) => {
                    tracing::warn!(%topic, "store resume given up: the archive takes nothing");
                    return;
                }
            }
        }
    }
    tracing::info!(stored, "store resume done");
}

async fn store_peer(handle: &Handle, failed: &HashSet<PeerId>) -> Option<PeerId> {
    let peers = handle.peers().await.ok()?;
    let fit = |peer: &&super::PeerInfo| {
        peer.direction.is_some() && peer.protocols.contains(&STORE) && !failed.contains(&peer.peer_id)
    };
    peers.iter().find(fit).map(|peer| peer.peer_id)
}

/// Asks one peer page by page; `from` moves with what was inserted. Returns how many envelopes were new.
async fn fill(
    handle: &Handle,
    archivist: &Archivist,
    peer: PeerId,
    topic: &str,
    from: &mut i64,
    to: i64,
) -> Result<u64, Failed> {
    let mut cursor = None;
    let mut stored = 0;
    for page in 0..MAX_PAGES {
        let request = StoreQueryRequest {
            request_id: Some(format!("resume-{page}")),
            include_data: true,
            pubsub_topic: Some(topic.to_owned()),
            time_start: Some(*from),
            time_end: Some(to),
            pagination_forward: true,
            pagination_limit: Some(MAX_PAGE as u64),
            pagination_cursor: cursor.take(),
            ..Default::default()
        };
        let answer = handle
            .store_query(peer, &request)
            .await
            .map_err(|error| Failed::Peer(error.to_string()))?;
        if answer.status_code != Some(status::OK) {
            return Err(Failed::Peer(format!(
                "{:?} {:?}",
                answer.status_code, answer.status_desc
            )));
        }
        let max_bytes = handle.info().max_message_bytes;
        for entry in answer.messages {
            let received = judge(entry, topic, peer, max_bytes).map_err(|reason| Failed::Peer(reason.to_owned()))?;
            let timestamp = received.envelope.timestamp;
            let outcome = keep(archivist, received).await.ok_or(Failed::Archive)?;
            stored += u64::from(outcome == Outcome::Stored);
            *from = (*from).max(timestamp.min(to));
        }
        cursor = answer.pagination_cursor.filter(|cursor| !cursor.is_empty());
        if cursor.is_none() {
            *from = to;
            return Ok(stored);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(Failed::Peer("its pages do not end".into()))
}

/// A store that sends what was not asked for, or names it wrongly, is not believed.
fn judge(entry: WakuMessageKeyValue, topic: &str, peer: PeerId, max_bytes: usize) -> Result<Received, &'static str> {
    let message = entry.message.ok_or("an entry without message")?;
    if entry.pubsub_topic.as_deref().is_some_and(|named| named != topic) {
        return Err("an envelope of another topic");
    }
    admission::judge_published(&message, prost::Message::encoded_len(&message), max_bytes)
        .map_err(|_| "an envelope nobody may relay")?;
    let ephemeral = message.is_ephemeral();
    let envelope = message.into_envelope(topic.to_owned());
    let hash = envelope.hash();
    if ephemeral || entry.message_hash.as_deref() != Some(hash.0.as_slice()) {
        return Err("an envelope under a false hash");
    }
    Ok(Received {
        envelope,
        hash,
        ephemeral,
        source: Source::Resume(peer),
    })
}

/// What became of an envelope that another store had; waits for its place. `None` when the archive takes nothing.
pub(crate) async fn keep(archivist: &Archivist, received: Received) -> Option<Outcome> {
    let received = Arc::new(received);
    loop {
        let (done, outcome) = oneshot::channel();
        archivist.offer(received.clone(), Some(done));
        match outcome.await {
            Ok(Outcome::NotStored(reason)) if reason == crate::archivist::QUEUE_FULL => {
                tokio::time::sleep(PAUSE).await;
            }
            Ok(Outcome::NotStored("read_only" | "disk_full" | "insert_failure")) | Err(_) => {
                return None;
            }
            Ok(outcome) => return Some(outcome),
        }
    }
}

/// The gap at `now`, seen from what the archive holds.
pub(super) fn gap(archivist: &Archivist, retention: Duration) -> Option<Gap> {
    Gap::new(archivist.stats()?.newest, retention, clock::now_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gap_is_what_is_missing_and_still_wanted() {
        const SECOND: i64 = 1_000_000_000;
        let now = 1_700_000_000 * SECOND;
        let hour = Duration::from_secs(3600);
        for (newest, expected) in [
            (
                None,
                Some(Gap {
                    from: now - 3600 * SECOND,
                    to: now,
                }),
            ),
            (
                Some(now - 7200 * SECOND),
                Some(Gap {
                    from: now - 3600 * SECOND,
                    to: now,
                }),
            ),
            (
                Some(now - 60 * SECOND),
                Some(Gap {
                    from: now - 60 * SECOND,
                    to: now,
                }),
            ),
            (Some(now - 9 * SECOND), None),
            (Some(now + 20 * SECOND), None),
        ] {
            assert_eq!(Gap::new(newest, hour, now), expected, "{newest:?}");
        }
    }
}
