//! Peer exchange 2.0.0-alpha1 as a server (RFC 34/WAKU2-PEER-EXCHANGE): hands on node records that discovery found.

use std::sync::{Arc, RwLock};
use std::time::Instant;

use libp2p::Stream;
use prost::Message;
use rand::seq::IndexedRandom;

use super::metrics::Metrics;
use super::wire::{
    PEER_EXCHANGE, PEER_EXCHANGE_ID, PeerExchangeQuery, PeerExchangeResponse, PeerExchangeRpc, PeerRecord, status,
};
use crate::labels::count;
use crate::protocols::answer::answer;
use crate::protocols::limits::rate::Limiter;
use crate::protocols::metrics::Metrics as ServiceMetrics;
use crate::protocols::request::{Caller, read_request};
use crate::protocols::router::Router;
use crate::settings::RateLimit;
use crate::wire::framing::FrameError;

/// nwaku's `MaxPeersCacheSize`.
const MAX_PEERS: usize = 60;
const MAX_REQUEST_BYTES: usize = 4096;

/// nwaku takes an answer without a query for damaged (`waku_peer_exchange/rpc_codec.nim`), and looks no further into it. With
/// its number written out it is there for readers too that pass over a message without fields.
const ANSWERS_QUERY: PeerExchangeQuery = PeerExchangeQuery { num_peers: Some(0) };

/// The records that may be handed on, RLP each; replaced whole by discovery.
#[derive(Clone, Debug, Default)]
pub struct Records(Arc<RwLock<Arc<[Vec<u8>]>>>);

impl Records {
    pub fn set(&self, records: Vec<Vec<u8>>) {
        *self.0.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = records.into();
    }

    /// Some of them, each time others.
    fn sample(&self, count: usize) -> Vec<Vec<u8>> {
        let records = self.0.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone();
        records.sample(&mut rand::rng(), count).cloned().collect()
    }
}

#[derive(Clone)]
pub(crate) struct Server {
    records: Records,
    limiter: Limiter,
    service: ServiceMetrics,
    metrics: Metrics,
}

impl Server {
    pub(crate) fn new(records: Records, limit: Option<RateLimit>, service: ServiceMetrics, metrics: Metrics) -> Self {
        Self {
            records,
            limiter: Limiter::new(limit, PEER_EXCHANGE_ID, &service),
            service,
            metrics,
        }
    }

    pub(crate) fn register(self, router: &mut Router) {
        router.accept(PEER_EXCHANGE, move |caller, stream| self.clone().serve(caller, stream));
    }

    async fn serve(self, caller: Caller, mut stream: Stream) -> Result<(), FrameError> {
        let Some(request) = read_request(&mut stream, &caller, MAX_REQUEST_BYTES).await? else {
            return Ok(());
        };
        let began = Instant::now();
        self.service.traffic(PEER_EXCHANGE_ID, "in", request.bytes().len());
        let allowed = self.limiter.allows(caller.peer);
        let response = if allowed {
            self.respond(request.bytes())
        } else {
            self.service.rejected(PEER_EXCHANGE_ID);
            self.refuse(
                status::TOO_MANY_REQUESTS,
                "too_many_requests",
                "request rejected due rate limit exceeded",
            )
        };
        let rpc = PeerExchangeRpc {
            query: Some(ANSWERS_QUERY),
            response: Some(response),
        };
        let body = rpc.encode_to_vec();
        self.service.traffic(PEER_EXCHANGE_ID, "out", body.len());
        answer(&mut stream, &body).await?;
        if allowed {
            self.service.served(PEER_EXCHANGE_ID, began.elapsed());
        }
        Ok(())
    }

    fn refuse(&self, code: u32, label: &'static str, reason: &str) -> PeerExchangeResponse {
        count(&self.metrics.errors, label);
        PeerExchangeResponse {
            peer_infos: Vec::new(),
            status_code: Some(code),
            status_desc: Some(reason.to_owned()),
        }
    }

    fn respond(&self, request: &[u8]) -> PeerExchangeResponse {
        let Some(query) = PeerExchangeRpc::decode(request).ok().and_then(|rpc| rpc.query) else {
            return self.refuse(status::BAD_REQUEST, "bad_request", "no query");
        };
        let count = usize::try_from(query.num_peers.unwrap_or(0))
            .unwrap_or(MAX_PEERS)
            .min(MAX_PEERS);
        let peer_infos: Vec<PeerRecord> = self
            .records
            .sample(count)
            .into_iter()
            .map(|enr| PeerRecord { enr: Some(enr) })
            .collect();
        self.metrics.sent.inc_by(peer_infos.len() as u64);
        PeerExchangeResponse {
            peer_infos,
            status_code: Some(status::SUCCESS),
            status_desc: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(server: &Server, num_peers: Option<u64>) -> usize {
        let rpc = PeerExchangeRpc {
            query: Some(PeerExchangeQuery { num_peers }),
            response: None,
        };
        let response = server.respond(&rpc.encode_to_vec());
        assert_eq!(response.status_code, Some(200));
        response.peer_infos.len()
    }

    #[test]
    fn as_many_as_asked_and_there_are_and_at_most_sixty() {
        let records = Records::default();
        let server = Server::new(records.clone(), None, ServiceMetrics::new(), Metrics::default());
        assert_eq!(ask(&server, Some(10)), 0);
        records.set((0..100u8).map(|byte| vec![byte; 10]).collect());
        let answers = [Some(10), Some(60), Some(61), Some(u64::MAX), Some(0), None].map(|count| ask(&server, count));
        assert_eq!(answers, [10, 60, 60, 60, 0, 0]);
        assert_eq!(server.respond(&[0xff]).status_code, Some(400));
        assert_eq!(server.respond(&[]).status_code, Some(400));
    }
}
