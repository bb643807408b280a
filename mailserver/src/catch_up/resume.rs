//! Store resume: what was missed is fetched from other nodes' stores, oldest first (nwaku `waku_store/resume.nim`).
//!
//! What was missed begins with the newest envelope of the archive when the node starts, and whenever it has lost its last
//! peer; it ends when it has peers again and its clock can be trusted. A gap is filled an hour at a time, so that whoever
//! is interrupted goes on from there (see [`super::gaps`]). One page is asked for at a time and inserted before the next,
//! so the archive sets the pace, and [`PAUSE`] its limit. A peer that fails is followed by another. What was back-filled is
//! not pushed to subscribers: it is no news.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use archive::MAX_PAGE;
use libp2p::PeerId;
use tokio::sync::watch;

use super::gaps::{Gap, Gaps};
use crate::clock;
use crate::intake::admission::Refused;
use crate::intake::archivist::{Archivist, Outcome};
use crate::intake::gate::{Gate, Way};
use crate::intake::metrics::Metrics;
use crate::intake::received::{Received, Source};
use crate::labels::count;
use crate::protocols::store::wire::{STORE, StoreQueryRequest, StoreQueryResponse, WakuMessageKeyValue, status};
use crate::swarm::{Handle, PeerInfo, RequestError, Status};
use crate::wire::framing::FrameError;

/// What is asked for before progress is noted. nwaku's master refuses ranges over 24 h.
const SLICE_NANOS: i64 = 3600 * 1_000_000_000;
/// A dead connection is noticed after 70 to 100 s (`swarm/task.rs`): what came since then did not come here.
const UNNOTICED_NANOS: i64 = 120 * 1_000_000_000;
/// From the first connection to a place in the mesh: a heartbeat or two.
const MESH_SETTLES: Duration = Duration::from_secs(5);
/// Between two looks for a peer that has a store, and for a clock.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// Until an archive that took nothing is tried again.
const ARCHIVE_PATIENCE: Duration = Duration::from_secs(60);
/// Between two pages of 100: at most 1,000 envelopes a second, for other peers want the archive and the stores too.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest answer that is read: a page of ours ends at 4 MiB, one of nwaku's at its number of envelopes.
const MAX_ANSWER_BYTES: usize = 8 << 20;
/// Pages of one topic in one slice: 1,000 envelopes a second.
const MAX_PAGES: usize = 36_000;

/// Why a peer is not asked further.
enum Failed {
    Peer(String),
    Archive,
}

pub(crate) struct Resume {
    swarm: Handle,
    archivist: Archivist,
    gate: Gate,
    metrics: Metrics,
    topics: Vec<String>,
    retention: Duration,
    gaps: Gaps,
    stored: u64,
}

impl Resume {
    pub(crate) fn new(
        swarm: Handle,
        archivist: Archivist,
        gate: Gate,
        metrics: Metrics,
        topics: Vec<String>,
        (dir, retention): (&Path, Duration),
    ) -> Self {
        let gaps = Gaps::load(dir);
        Self {
            swarm,
            archivist,
            gate,
            metrics,
            topics,
            retention,
            gaps,
            stored: 0,
        }
    }

    /// Fills what is missing until the node stops. `newest` is the time of the archive's newest envelope.
    pub(crate) async fn run(mut self, newest: Option<i64>) {
        let mut status = self.swarm.status();
        self.gaps.open(newest.unwrap_or(i64::MIN)).await;
        while self.in_touch(&mut status).await.is_ok() {
            if self.gaps.close(clock::now_nanos()).await.is_some() {
                tracing::info!("store resume: filling what was missed");
            }
            let lost = |status: &Status| status.connected_peers == 0;
            let interrupted = tokio::select! {
                () = self.fill_all() => None,
                lost = status.wait_for(lost) => Some(lost.is_ok()),
            };
            let goes_on = match interrupted {
                Some(goes_on) => goes_on,
                None => status.wait_for(lost).await.is_ok(),
            };
            if !goes_on {
                return;
            }
            self.gaps.open(clock::now_nanos().saturating_sub(UNNOTICED_NANOS)).await;
        }
    }

    /// Waits for peers and for a clock that can be trusted: without one there is no telling when a gap ends.
    async fn in_touch(&self, status: &mut watch::Receiver<Status>) -> Result<(), watch::error::RecvError> {
        loop {
            status.wait_for(|status| status.connected_peers > 0).await?;
            tokio::time::sleep(MESH_SETTLES).await;
            while !self.archivist.clock_trusted() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            if status.borrow().connected_peers > 0 {
                return Ok(());
            }
        }
    }

    async fn fill_all(&mut self) {
        let retention = i64::try_from(self.retention.as_nanos()).unwrap_or(i64::MAX);
        let mut failed = HashSet::new();
        let before = self.stored;
        let mut any = false;
        while let Some(slice) = self
            .gaps
            .oldest(clock::now_nanos().saturating_sub(retention), SLICE_NANOS)
        {
            any = true;
            let Some(peer) = store_peer(&self.swarm, &failed).await else {
                if self.swarm.is_stopped() {
                    return;
                }
                failed.clear();
                tokio::time::sleep(LOOK_AGAIN).await;
                continue;
            };
            match self.fill(peer, slice).await {
                Ok(()) => self.gaps.filled(slice.to).await,
                Err(Failed::Peer(reason)) => {
                    tracing::debug!(%peer, %reason, "store resume: peer failed");
                    failed.insert(peer);
                }
                Err(Failed::Archive) => {
                    tracing::warn!("store resume waits: the archive takes nothing");
                    tokio::time::sleep(ARCHIVE_PATIENCE).await;
                }
            }
        }
        if any {
            tracing::info!(stored = self.stored - before, "store resume done");
        }
    }

    /// Asks one peer for a slice of each topic.
    async fn fill(&mut self, peer: PeerId, slice: Gap) -> Result<(), Failed> {
        for topic in self.topics.clone() {
            self.fill_topic(peer, &topic, slice).await?;
        }
        Ok(())
    }

    async fn fill_topic(&mut self, peer: PeerId, topic: &str, slice: Gap) -> Result<(), Failed> {
        let mut cursor = None;
        let mut limit = MAX_PAGE as u64;
        for page in 0..MAX_PAGES {
            let request = StoreQueryRequest {
                request_id: Some(format!("resume-{page}")),
                include_data: true,
                pubsub_topic: Some(topic.to_owned()),
                time_start: Some(slice.from),
                time_end: Some(slice.to),
                pagination_forward: true,
                pagination_limit: Some(limit),
                pagination_cursor: cursor.take(),
                ..Default::default()
            };
            let asked = self.swarm.request(peer, STORE, &request, MAX_ANSWER_BYTES).await;
            let answer: StoreQueryResponse = match asked {
                Ok(answer) => answer,
                // Large envelopes, or a slow line: less at a time comes through.
                Err(RequestError::Timeout | RequestError::Frame(FrameError::TooLong { .. })) if limit > 1 => {
                    limit /= 4;
                    limit = limit.max(1);
                    cursor = request.pagination_cursor;
                    continue;
                }
                Err(error) => return Err(Failed::Peer(error.to_string())),
            };
            if answer.status_code != Some(status::OK) {
                return Err(Failed::Peer(format!(
                    "{:?} {:?}",
                    answer.status_code, answer.status_desc
                )));
            }
            for entry in answer.messages {
                let judged = judge(&self.gate, entry, topic, peer);
                let received = match judged.map_err(|reason| Failed::Peer(reason.to_owned()))? {
                    Judged::Welcome(received) => *received,
                    Judged::PassedOver(reason) => {
                        count(&self.metrics.archive_errors, reason);
                        continue;
                    }
                };
                match self.archivist.keep(received).await {
                    Outcome::Stored => self.stored += 1,
                    Outcome::NotStored(reason) if reason.is_archives_fault() => return Err(Failed::Archive),
                    Outcome::Duplicate | Outcome::NotStored(_) => {}
                }
            }
            cursor = answer.pagination_cursor.filter(|cursor| !cursor.is_empty());
            tokio::time::sleep(PAUSE).await;
            if cursor.is_none() {
                return Ok(());
            }
        }
        Err(Failed::Peer("its pages do not end".into()))
    }
}

async fn store_peer(swarm: &Handle, failed: &HashSet<PeerId>) -> Option<PeerId> {
    let peers = swarm.peers().await.ok()?;
    let fit = |peer: &&PeerInfo| {
        peer.direction.is_some() && peer.protocols.contains(&STORE) && !failed.contains(&peer.peer_id)
    };
    peers.iter().find(fit).map(|peer| peer.peer_id)
}

/// What an entry of another store is.
enum Judged {
    Welcome(Box<Received>),
    /// Its store has it in good faith, and this node takes none of the kind: it doesn't know of a protected shard, or has
    /// a larger limit.
    PassedOver(&'static str),
}

/// A store that sends what was not asked for, or names it wrongly, is not believed.
fn judge(gate: &Gate, entry: WakuMessageKeyValue, topic: &str, peer: PeerId) -> Result<Judged, &'static str> {
    let message = entry.message.ok_or("an entry without message")?;
    if entry.pubsub_topic.as_deref().is_some_and(|named| named != topic) {
        return Err("an envelope of another topic");
    }
    let judged = gate.judge(Way::Resume, topic, &message);
    if judged == Err(Refused::Ephemeral) {
        return Err("an ephemeral envelope");
    }
    let envelope = message.into_envelope(topic.to_owned());
    let hash = envelope.hash();
    if entry.message_hash.as_deref() != Some(hash.0.as_slice()) {
        return Err("an envelope under a false hash");
    }
    Ok(match judged {
        Err(refused) => Judged::PassedOver(refused.reason()),
        Ok(()) => Judged::Welcome(Box::new(Received {
            envelope,
            hash,
            ephemeral: false,
            source: Source::Resume(peer),
        })),
    })
}
