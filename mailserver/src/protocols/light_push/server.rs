//! Light push 3.0.0 and 2.0.0-beta1 as a server (RFC 19/WAKU2-LIGHTPUSH): publishes for clients that do not relay.
//!
//! It succeeds when relay peers or the archive took the envelope. nwaku answers 505 when it has no relay peer; a
//! mailserver that stored the envelope has accepted it, and serves it to whoever comes, so only an envelope that
//! neither could take (an ephemeral one on a lone node, say) gets 505 here.

use std::time::Instant;

use libp2p::{PeerId, Stream};
use prost::Message;

use super::metrics::Metrics;
use super::wire::{
    LIGHT_PUSH, LIGHT_PUSH_ID, LIGHT_PUSH_LEGACY, LIGHT_PUSH_LEGACY_ID, LightPushRequest, LightPushResponse,
    PushResponse, PushRpc, status,
};
use crate::intake::received::Source;
use crate::labels::count;
use crate::protocols::answer::answer;
use crate::protocols::limits::rate::Limiter;
use crate::protocols::metrics::Metrics as ServiceMetrics;
use crate::protocols::publish::{PublishError, Published, Publisher};
use crate::protocols::request::{Caller, Request, read_request};
use crate::protocols::router::Router;
use crate::settings::RateLimit;
use crate::swarm::Info;
use crate::topics::ContentTopic;
use crate::wire::WakuMessage;
use crate::wire::framing::FrameError;

/// What a request may be longer than the message in it (nwaku's `DefaultMaxRpcSize`).
const REQUEST_OVERHEAD_BYTES: usize = 64 * 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub code: u32,
    pub reason: String,
}

impl Refused {
    fn new(code: u32, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
        }
    }

    fn label(&self) -> &'static str {
        match self.code {
            status::BAD_REQUEST => "BAD_REQUEST",
            status::PAYLOAD_TOO_LARGE => "PAYLOAD_TOO_LARGE",
            status::INVALID_MESSAGE => "INVALID_MESSAGE",
            status::UNSUPPORTED_PUBSUB_TOPIC => "UNSUPPORTED_PUBSUB_TOPIC",
            status::TOO_MANY_REQUESTS => "TOO_MANY_REQUESTS",
            status::SERVICE_NOT_AVAILABLE => "SERVICE_NOT_AVAILABLE",
            status::NO_PEERS_TO_RELAY => "NO_PEERS_TO_RELAY",
            _ => "INTERNAL_SERVER_ERROR",
        }
    }
}

impl From<PublishError> for Refused {
    fn from(error: PublishError) -> Self {
        let code = match &error {
            PublishError::UnknownTopic(_) => status::UNSUPPORTED_PUBSUB_TOPIC,
            PublishError::TooLarge { .. } => status::PAYLOAD_TOO_LARGE,
            PublishError::Invalid(_) => status::INVALID_MESSAGE,
            PublishError::NoPeers { .. } => status::NO_PEERS_TO_RELAY,
            PublishError::NoRelay | PublishError::Busy | PublishError::Stopped(_) => status::SERVICE_NOT_AVAILABLE,
        };
        Self::new(code, error.to_string())
    }
}

#[derive(Clone)]
pub struct Server {
    publisher: Publisher,
    limiter: Limiter,
    service: ServiceMetrics,
    metrics: Metrics,
}

/// Which of the two protocols a request came by.
#[derive(Clone, Copy, Debug)]
enum Version {
    Three,
    Legacy,
}

impl Version {
    fn id(self) -> &'static str {
        match self {
            Self::Three => LIGHT_PUSH_ID,
            Self::Legacy => LIGHT_PUSH_LEGACY_ID,
        }
    }

    fn understood(self, metrics: &Metrics) {
        let family = match self {
            Self::Three => &metrics.pushes,
            Self::Legacy => &metrics.legacy_pushes,
        };
        count(family, "PushRequest");
    }

    fn refused(self, metrics: &Metrics, refused: &Refused) {
        let family = match self {
            Self::Three => &metrics.errors,
            Self::Legacy => &metrics.legacy_errors,
        };
        count(family, refused.label());
    }
}

impl Server {
    /// Serves within the limit, which both versions share; `None` is none.
    pub(crate) fn new(
        publisher: Publisher,
        limit: Option<RateLimit>,
        service: ServiceMetrics,
        metrics: Metrics,
    ) -> Self {
        Self {
            publisher,
            limiter: Limiter::new(limit, LIGHT_PUSH_ID, &service),
            service,
            metrics,
        }
    }

    pub(crate) fn register(self, router: &mut Router) {
        let legacy = self.clone();
        router.accept(LIGHT_PUSH, move |caller, stream| self.clone().serve(caller, stream));
        router.accept(LIGHT_PUSH_LEGACY, move |caller, stream| {
            legacy.clone().serve_legacy(caller, stream)
        });
    }

    async fn serve(self, caller: Caller, mut stream: Stream) -> Result<(), FrameError> {
        let Some(mut request) = self.read(Version::Three, &caller, &mut stream).await? else {
            return Ok(());
        };
        let began = Instant::now();
        let decoded = LightPushRequest::decode(request.take().as_slice()).map_err(|error| undecodable(&error));
        let request_id = decoded.as_ref().ok().and_then(|request| request.request_id.clone());
        let asked = decoded.map(|request| (request.pubsub_topic, request.message));
        let pushed = self.push_of(Version::Three, caller.peer, asked, began).await;
        request.done();
        self.write(
            Version::Three,
            &mut stream,
            &respond(request_id, pushed).encode_to_vec(),
        )
        .await
    }

    /// 2.0.0-beta1: no codes, a boolean and a text.
    async fn serve_legacy(self, caller: Caller, mut stream: Stream) -> Result<(), FrameError> {
        let Some(mut request) = self.read(Version::Legacy, &caller, &mut stream).await? else {
            return Ok(());
        };
        let began = Instant::now();
        let decoded = PushRpc::decode(request.take().as_slice()).map_err(|error| undecodable(&error));
        let request_id = decoded.as_ref().ok().and_then(|rpc| rpc.request_id.clone());
        let missing = || Refused::new(status::BAD_REQUEST, "request is missing");
        let asked = decoded
            .and_then(|rpc| rpc.request.ok_or_else(missing))
            .map(|request| (request.pubsub_topic, request.message));
        let pushed = self.push_of(Version::Legacy, caller.peer, asked, began).await;
        request.done();
        let response = match pushed {
            Ok(_) => PushResponse {
                is_success: Some(true),
                info: None,
            },
            Err(refused) => PushResponse {
                is_success: Some(false),
                info: Some(refused.reason),
            },
        };
        let rpc = PushRpc {
            request_id: Some(request_id.unwrap_or_default()),
            request: None,
            response: Some(response),
        };
        self.write(Version::Legacy, &mut stream, &rpc.encode_to_vec()).await
    }

    /// A peer's push: within its limits, and counted.
    async fn push_of(
        &self,
        version: Version,
        peer: PeerId,
        asked: Result<(Option<String>, Option<WakuMessage>), Refused>,
        began: Instant,
    ) -> Result<Published, Refused> {
        if !self.limiter.allows(peer) {
            self.service.rejected(version.id());
            let reason = "request rejected due rate limit exceeded";
            let refused = Refused::new(status::TOO_MANY_REQUESTS, reason);
            version.refused(&self.metrics, &refused);
            return Err(refused);
        }
        let pushed = match asked {
            Ok((topic, message)) => {
                version.understood(&self.metrics);
                publish(&self.publisher, topic, message, Source::LightPush(peer)).await
            }
            Err(refused) => Err(refused),
        };
        self.service.served(version.id(), began.elapsed());
        if let Err(refused) = &pushed {
            version.refused(&self.metrics, refused);
        }
        pushed
    }

    async fn read(
        &self,
        version: Version,
        caller: &Caller,
        stream: &mut Stream,
    ) -> Result<Option<Request>, FrameError> {
        let max_bytes = self.publisher.info().max_message_bytes + REQUEST_OVERHEAD_BYTES;
        let request = read_request(stream, caller, max_bytes).await?;
        if let Some(request) = &request {
            self.service.traffic(version.id(), "in", request.bytes().len());
        }
        Ok(request)
    }

    async fn write(&self, version: Version, stream: &mut Stream, body: &[u8]) -> Result<(), FrameError> {
        self.service.traffic(version.id(), "out", body.len());
        answer(stream, body).await
    }
}

/// Publishes one message, whatever the limits; without pubsub topic autosharding finds it.
pub async fn publish(
    publisher: &Publisher,
    pubsub_topic: Option<String>,
    message: Option<WakuMessage>,
    source: Source,
) -> Result<Published, Refused> {
    let message = message.ok_or_else(|| Refused::new(status::BAD_REQUEST, "message is missing"))?;
    let topic = match pubsub_topic {
        Some(topic) if topic.trim().is_empty() => {
            return Err(Refused::new(status::BAD_REQUEST, "topic must not be empty"));
        }
        Some(topic) => topic,
        None => autoshard(publisher.info(), &message)?,
    };
    Ok(publisher.publish(topic, message, source).await?)
}

/// The pubsub topic that autosharding gives a message by its content topic.
pub fn autoshard(info: &Info, message: &WakuMessage) -> Result<String, Refused> {
    let invalid = |reason: String| Refused::new(status::INVALID_MESSAGE, reason);
    let content_topic = message.content_topic.as_deref().unwrap_or_default();
    let parsed = content_topic.parse::<ContentTopic>();
    let parsed = parsed.map_err(|error| invalid(format!("Invalid content-topic: {error}")))?;
    match info.sharding.shard_of(info.cluster_id, &parsed) {
        Some(shard) => Ok(shard.to_string()),
        None => Err(invalid(
            "Pubsub topic must be specified when static sharding is enabled".into(),
        )),
    }
}

fn undecodable(error: &prost::DecodeError) -> Refused {
    Refused::new(status::BAD_REQUEST, format!("decoding rpc failed: {error}"))
}

fn respond(request_id: Option<String>, pushed: Result<Published, Refused>) -> LightPushResponse {
    let request_id = Some(request_id.unwrap_or_else(|| "N/A".into()));
    match pushed {
        Ok(published) => LightPushResponse {
            request_id,
            status_code: Some(status::SUCCESS),
            status_desc: None,
            relay_peer_count: Some(u32::try_from(published.relay_peers).unwrap_or(u32::MAX)),
        },
        Err(refused) => LightPushResponse {
            request_id,
            status_code: Some(refused.code),
            status_desc: Some(refused.reason),
            relay_peer_count: None,
        },
    }
}
