//! Transfer 1.0.0: envelopes one after another on one stream, never answered.

use std::time::Duration;

use archive::{Entry, MessageHash, Page, Query};
use futures::AsyncWriteExt;
use libp2p::{PeerId, Stream};
use prost::Message;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::metrics::{RECEIVED, SENT};
use super::server::{LIMITS, Server};
use super::wire::{TRANSFER, WakuMessageAndTopic};
use crate::intake::archivist::Outcome;
use crate::intake::gate::Way;
use crate::intake::received::{Received, Source};
use crate::labels::count;
use crate::protocols::pace::{READ_TIMEOUT, WRITE_TIMEOUT};
use crate::wire::WakuMessage;
use crate::wire::framing::{FrameError, read_body, read_length, write_frame};

const PROTOCOL: &str = "transfer";
/// Envelopes read from the archive at once: they are memory until they are written.
const CHUNK: usize = 8;
/// What a frame may be longer than the envelope in it.
const OVERHEAD_BYTES: usize = 4096;
/// Between two envelopes; nwaku keeps its streams open between sessions, and opens another when it has to.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// For all envelopes of a session.
const SENDING_TIMEOUT: Duration = Duration::from_secs(600);
/// How long one waits for a place among the transfers.
const PATIENCE: Duration = Duration::from_secs(5);
/// Envelopes on one stream that nobody asked for, before it ends.
const MAX_REFUSED: usize = 100;

impl Server {
    /// Sends what a session finds, until it finds no more. Returns how many envelopes were sent.
    pub(super) async fn send(&self, peer: PeerId, mut found: mpsc::Receiver<Vec<MessageHash>>) -> u64 {
        let mut sent = 0;
        let sending = async {
            let mut stream = None;
            while let Some(hashes) = found.recv().await {
                for chunk in hashes.chunks(CHUNK) {
                    self.send_chunk(peer, &mut stream, chunk, &mut sent).await?;
                }
            }
            if let Some(mut stream) = stream {
                timeout(WRITE_TIMEOUT, stream.close())
                    .await
                    .map_err(|_| FrameError::timed_out())??;
            }
            Ok::<_, FrameError>(())
        };
        match timeout(SENDING_TIMEOUT, sending).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%peer, %error, sent, "transfer"),
            Err(_) => tracing::debug!(%peer, sent, "transfer took too long"),
        }
        sent
    }

    async fn send_chunk(
        &self,
        peer: PeerId,
        stream: &mut Option<Stream>,
        hashes: &[MessageHash],
        sent: &mut u64,
    ) -> Result<(), FrameError> {
        let mut cursor = None;
        loop {
            let page = self.look_up(hashes, cursor).await;
            self.send_page(peer, stream, page.entries, sent).await?;
            cursor = page.cursor;
            if cursor.is_none() {
                return Ok(());
            }
        }
    }

    async fn send_page(
        &self,
        peer: PeerId,
        stream: &mut Option<Stream>,
        entries: Vec<Entry>,
        sent: &mut u64,
    ) -> Result<(), FrameError> {
        for entry in entries {
            let Some(envelope) = entry.envelope else { continue };
            let frame = WakuMessageAndTopic {
                pubsub_topic: Some(envelope.pubsub_topic.clone()),
                message: Some(WakuMessage::from_envelope(envelope, false)),
            };
            let frame = frame.encode_to_vec();
            let open = match stream {
                Some(open) => open,
                None => {
                    let opened = self.0.swarm.open(peer, TRANSFER).await;
                    stream.insert(opened.map_err(|error| FrameError::Io(std::io::Error::other(error)))?)
                }
            };
            let written = timeout(WRITE_TIMEOUT, write_frame(open, &frame)).await;
            written.map_err(|_| FrameError::timed_out())??;
            self.metrics().traffic(PROTOCOL, SENT, frame.len());
            self.metrics().envelope(SENT);
            *sent += 1;
        }
        Ok(())
    }

    /// What the archive still has of them, as much as a page has room for.
    async fn look_up(&self, hashes: &[MessageHash], cursor: Option<MessageHash>) -> Page {
        let archivist = self.0.archivist.clone();
        let query = Query {
            hashes: hashes.to_vec(),
            cursor,
            limit: hashes.len(),
            include_data: true,
            ..Query::default()
        };
        match tokio::task::spawn_blocking(move || archivist.query(&query)).await {
            Ok(Ok(page)) => page,
            Ok(Err(error)) => {
                tracing::warn!(%error, "store sync: the archive cannot be read");
                Page::default()
            }
            Err(_) => Page::default(),
        }
    }

    /// Takes what a peer sends after a session with it.
    pub(super) async fn serve_transfer(self, peer: PeerId, mut stream: Stream) -> Result<(), FrameError> {
        if !self.partner(&peer) {
            count(&self.metrics().refused, "no_session");
            return Ok(());
        }
        let Some(_place) = self.0.transfers.enter(peer, PATIENCE).await else {
            count(&self.metrics().refused, "busy");
            return Ok(());
        };
        let mut refused = 0;
        for _ in 0..LIMITS.envelopes {
            let Some(frame) = self.next_frame(&mut stream).await? else {
                return Ok(());
            };
            self.metrics().traffic(PROTOCOL, RECEIVED, frame.len());
            let frame = WakuMessageAndTopic::decode(frame.as_slice()).map_err(|_| FrameError::Length)?;
            let received = match self.judge(peer, frame) {
                Ok(received) => received,
                Err(reason) => {
                    count(&self.metrics().refused, reason);
                    refused += 1;
                    if refused > MAX_REFUSED {
                        return Ok(());
                    }
                    continue;
                }
            };
            self.metrics().envelope(RECEIVED);
            match self.0.archivist.keep(received).await {
                Outcome::NotStored(reason) if reason.is_archives_fault() => return Ok(()),
                Outcome::NotStored(reason) => count(&self.metrics().refused, reason.label()),
                Outcome::Stored | Outcome::Duplicate => {}
            }
        }
        Ok(())
    }

    async fn next_frame(&self, stream: &mut Stream) -> Result<Option<Vec<u8>>, FrameError> {
        let max_bytes = self.0.swarm.info().max_message_bytes + OVERHEAD_BYTES;
        let length = match timeout(IDLE_TIMEOUT, read_length(stream, max_bytes)).await {
            Ok(Ok(length)) => length,
            Ok(Err(FrameError::Eof)) | Err(_) => return Ok(None),
            Ok(Err(error)) => return Err(error),
        };
        let body = timeout(READ_TIMEOUT, read_body(stream, length)).await;
        Ok(Some(body.map_err(|_| FrameError::timed_out())??))
    }

    /// What resume asks of an envelope, and that its time is one that was compared.
    fn judge(&self, peer: PeerId, frame: WakuMessageAndTopic) -> Result<Received, &'static str> {
        let (Some(topic), Some(message)) = (frame.pubsub_topic, frame.message) else {
            return Err("incomplete");
        };
        let judged = self.0.gate.judge(Way::Sync, &topic, &message);
        judged.map_err(|refused| refused.reason())?;
        let timestamp = message.timestamp.unwrap_or(0);
        if timestamp < self.floor() {
            return Err("invalid_message_too_old");
        }
        let envelope = message.into_envelope(topic);
        Ok(Received {
            hash: envelope.hash(),
            envelope,
            ephemeral: false,
            source: Source::Sync(peer),
        })
    }
}
