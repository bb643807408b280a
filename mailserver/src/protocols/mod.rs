//! One module for each request/response protocol; here is what they share: the ids, and how an inbound stream is served.
//!
//! One request, one answer, close. A stream that is slow, malformed or oversized ends alone and is counted.

pub mod filter;
mod intake;
pub mod legacy_store;
pub mod light_push;
pub mod metadata;
pub mod peer_exchange;
mod rate;
pub mod store;
pub mod sync;
mod turnstile;

use std::time::Duration;

use futures::AsyncWriteExt;
use libp2p::{Stream, StreamProtocol};
use tokio::sync::mpsc;
use tokio::time::timeout;

use self::intake::read_request;
pub(crate) use self::intake::{Budgets, Caller};
use crate::budget::Share;
use crate::counters::Counters;
use crate::node::Settings;
use crate::streams::Inbound;
use crate::wire::framing::{FrameError, write_frame};

/// The protocols' ids as text, which is what metrics call them by.
mod id {
    pub(super) const METADATA: &str = "/vac/waku/metadata/1.0.0";
    pub(super) const FILTER_SUBSCRIBE: &str = "/vac/waku/filter-subscribe/2.0.0-beta1";
    pub(super) const FILTER_PUSH: &str = "/vac/waku/filter-push/2.0.0-beta1";
    pub(super) const STORE: &str = "/vac/waku/store-query/3.0.0";
    pub(super) const LEGACY_STORE: &str = "/vac/waku/store/2.0.0-beta4";
    pub(super) const PEER_EXCHANGE: &str = "/vac/waku/peer-exchange/2.0.0-alpha1";
    pub(super) const LIGHT_PUSH: &str = "/vac/waku/lightpush/3.0.0";
    pub(super) const LIGHT_PUSH_LEGACY: &str = "/vac/waku/lightpush/2.0.0-beta1";
}

pub const METADATA: StreamProtocol = StreamProtocol::new(id::METADATA);
pub const FILTER_SUBSCRIBE: StreamProtocol = StreamProtocol::new(id::FILTER_SUBSCRIBE);
pub const FILTER_PUSH: StreamProtocol = StreamProtocol::new(id::FILTER_PUSH);
pub const STORE: StreamProtocol = StreamProtocol::new(id::STORE);
pub const LEGACY_STORE: StreamProtocol = StreamProtocol::new(id::LEGACY_STORE);
pub const PEER_EXCHANGE: StreamProtocol = StreamProtocol::new(id::PEER_EXCHANGE);
pub const LIGHT_PUSH: StreamProtocol = StreamProtocol::new(id::LIGHT_PUSH);
pub const LIGHT_PUSH_LEGACY: StreamProtocol = StreamProtocol::new(id::LIGHT_PUSH_LEGACY);
pub const RECONCILIATION: StreamProtocol = StreamProtocol::new("/vac/waku/reconciliation/1.0.0");
pub const TRANSFER: StreamProtocol = StreamProtocol::new("/vac/waku/transfer/1.0.0");

/// How long a stream may wait for its first byte: js-waku opens one for each protocol in advance and keeps it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// From the first byte of a request to its last; a large one may take longer by [`BYTES_A_SECOND`].
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// A reader slower than this for one answer is dropped; a large answer may take longer by [`BYTES_A_SECOND`].
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// What is slower is not waited for, beyond the timeouts: 512 kbit/s, a phone at the edge of its cell.
const BYTES_A_SECOND: u64 = 64 << 10;
/// Encoded before it is written, and what a reader has to take within [`STALL_TIMEOUT`].
const CHUNK_BYTES: usize = 64 << 10;
const STALL_TIMEOUT: Duration = Duration::from_secs(10);

/// What inbound streams are served from; cloned for each stream. What is absent is not offered to peers.
#[derive(Clone)]
pub(crate) struct Servers {
    pub(crate) counters: Counters,
    pub(crate) budgets: Budgets,
    pub(crate) metadata: metadata::Server,
    pub(crate) store: Option<store::Server>,
    pub(crate) legacy_store: Option<legacy_store::Server>,
    pub(crate) light_push: Option<light_push::Server>,
    pub(crate) peer_exchange: Option<peer_exchange::Server>,
    pub(crate) filter: Option<filter::Server>,
    pub(crate) filter_client: filter::client::Client,
    pub(crate) sync: Option<sync::Server>,
}

/// The protocols that are accepted under `settings`.
pub(crate) fn offered(settings: &Settings) -> Vec<StreamProtocol> {
    let services = settings.services;
    let sync = settings.sync.is_some() && settings.archive.is_some();
    let optional = [
        (sync, RECONCILIATION),
        (sync, TRANSFER),
        (services.store, STORE),
        (services.legacy_store, LEGACY_STORE),
        (services.light_push, LIGHT_PUSH),
        (services.light_push, LIGHT_PUSH_LEGACY),
        (services.filter, FILTER_SUBSCRIBE),
        (services.peer_exchange, PEER_EXCHANGE),
    ];
    let chosen = optional
        .into_iter()
        .filter_map(|(offered, protocol)| offered.then_some(protocol));
    [METADATA, FILTER_PUSH].into_iter().chain(chosen).collect()
}

/// Who serves a protocol.
enum Service<'a> {
    Metadata(&'a metadata::Server),
    Store(&'a store::Server),
    LegacyStore(&'a legacy_store::Server),
    LightPush(&'a light_push::Server),
    LegacyLightPush(&'a light_push::Server),
    Filter(&'a filter::Server),
    FilterPush(&'a filter::client::Client),
    PeerExchange(&'a peer_exchange::Server),
    Reconciliation(&'a sync::Server),
    Transfer(&'a sync::Server),
}

impl Servers {
    fn all(&self) -> impl Iterator<Item = (StreamProtocol, Service<'_>)> {
        let always = [
            (METADATA, Service::Metadata(&self.metadata)),
            (FILTER_PUSH, Service::FilterPush(&self.filter_client)),
        ];
        let optional = [
            self.store.as_ref().map(|server| (STORE, Service::Store(server))),
            self.legacy_store
                .as_ref()
                .map(|server| (LEGACY_STORE, Service::LegacyStore(server))),
            self.light_push
                .as_ref()
                .map(|server| (LIGHT_PUSH, Service::LightPush(server))),
            self.light_push
                .as_ref()
                .map(|server| (LIGHT_PUSH_LEGACY, Service::LegacyLightPush(server))),
            self.filter
                .as_ref()
                .map(|server| (FILTER_SUBSCRIBE, Service::Filter(server))),
            self.peer_exchange
                .as_ref()
                .map(|server| (PEER_EXCHANGE, Service::PeerExchange(server))),
            self.sync
                .as_ref()
                .map(|server| (RECONCILIATION, Service::Reconciliation(server))),
            self.sync.as_ref().map(|server| (TRANSFER, Service::Transfer(server))),
        ];
        always.into_iter().chain(optional.into_iter().flatten())
    }

    fn find(&self, protocol: &StreamProtocol) -> Option<Service<'_>> {
        self.all()
            .find_map(|(id, service)| (id == *protocol).then_some(service))
    }

    async fn serve(self, inbound: Inbound) {
        let Inbound {
            peer,
            host,
            protocol,
            stream,
            room,
        } = inbound;
        let caller = Caller::new(peer, host, &self.budgets);
        let served = match self.find(&protocol) {
            Some(Service::Metadata(server)) => server.serve(&caller, stream).await,
            Some(Service::Store(server)) => server.serve(&caller, stream).await,
            Some(Service::LegacyStore(server)) => server.serve(&caller, stream).await,
            Some(Service::LightPush(server)) => server.serve(&caller, stream).await,
            Some(Service::LegacyLightPush(server)) => server.serve_legacy(&caller, stream).await,
            Some(Service::Filter(server)) => server.serve(&caller, stream).await,
            Some(Service::FilterPush(client)) => client.serve(peer, stream).await,
            Some(Service::PeerExchange(server)) => server.serve(&caller, stream).await,
            Some(Service::Reconciliation(server)) => server.serve_reconciliation(peer, stream).await,
            Some(Service::Transfer(server)) => server.serve_transfer(peer, stream).await,
            None => Ok(()),
        };
        drop(room);
        if let Err(error) = served {
            Counters::count(&self.counters.streams_refused, reason(&error));
            tracing::debug!(%peer, %protocol, %error, "stream ended");
        }
    }
}

/// Serves each stream in a task of its own; how many there are is bounded where they are accepted.
pub(crate) async fn serve_all(servers: Servers, mut inbound: mpsc::Receiver<Inbound>) {
    while let Some(stream) = inbound.recv().await {
        tokio::spawn(servers.clone().serve(stream));
    }
}

/// Writes the answer and closes our half: js-waku reads until then.
pub(crate) async fn answer(stream: &mut Stream, body: &[u8]) -> Result<(), FrameError> {
    let write = async {
        write_frame(stream, body).await?;
        stream.close().await?;
        Ok(())
    };
    timeout(WRITE_TIMEOUT, write).await.map_err(|_| timed_out())?
}

/// The same for an answer of some size, which is encoded while it is written: `length` bytes in `parts`. The share holds
/// what is not written yet. A reader has to get on, and to be done in a time that its answer's length allows.
async fn answer_in_parts(
    stream: &mut Stream,
    share: &Share,
    length: usize,
    parts: impl Iterator<Item = Vec<u8>>,
) -> Result<(), FrameError> {
    share.hold(length).await?;
    let deadline = WRITE_TIMEOUT + Duration::from_secs(length as u64 / BYTES_A_SECOND);
    let write = async {
        let mut left = length;
        let mut chunk = Vec::new();
        chunk.extend_from_slice(unsigned_varint::encode::usize(
            length,
            &mut unsigned_varint::encode::usize_buffer(),
        ));
        for part in parts {
            chunk.extend_from_slice(&part);
            drop(part);
            if chunk.len() >= CHUNK_BYTES {
                write_chunk(stream, &chunk).await?;
                left = left.saturating_sub(chunk.len());
                share.hold(left).await?;
                chunk.clear();
            }
        }
        write_chunk(stream, &chunk).await?;
        timeout(STALL_TIMEOUT, stream.close())
            .await
            .map_err(|_| timed_out())??;
        Ok(())
    };
    tokio::select! {
        written = timeout(deadline, write) => written.map_err(|_| timed_out())?,
        () = share.left() => Err(FrameError::GaveWay),
    }
}

/// Part after part, so that a reader is seen to get on.
async fn write_chunk(stream: &mut Stream, chunk: &[u8]) -> Result<(), FrameError> {
    for part in chunk.chunks(CHUNK_BYTES) {
        let write = async {
            stream.write_all(part).await?;
            stream.flush().await
        };
        timeout(STALL_TIMEOUT, write).await.map_err(|_| timed_out())??;
    }
    Ok(())
}

fn timed_out() -> FrameError {
    FrameError::Io(std::io::ErrorKind::TimedOut.into())
}

fn reason(error: &FrameError) -> &'static str {
    match error {
        FrameError::TooLong { .. } => "oversized",
        FrameError::Length | FrameError::Truncated { .. } | FrameError::Eof => "malformed",
        FrameError::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => "timeout",
        FrameError::Io(_) => "io",
        FrameError::GaveWay => "gave_way",
    }
}
