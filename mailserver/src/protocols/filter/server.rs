//! Filter as a server: who asks is written into the registry, and gets a queue of its own.

use std::collections::HashSet;
use std::time::Instant;

use libp2p::{PeerId, Stream};
use prost::Message;

use super::metrics::Metrics;
use super::push;
use super::queue::Entrance;
use super::registry::Registry;
use super::subscriptions::{Criterion, Refused};
use super::wire::{
    FILTER_SUBSCRIBE, FILTER_SUBSCRIBE_ID, FilterSubscribeRequest, FilterSubscribeResponse, FilterSubscribeType, status,
};
use crate::labels::{Kind, count};
use crate::protocols::answer::answer;
use crate::protocols::limits::rate::PeerLimiter;
use crate::protocols::metrics::Metrics as ServiceMetrics;
use crate::protocols::request::{Caller, read_request};
use crate::protocols::router::Router;
use crate::settings::RateLimit;
use crate::swarm::Handle;
use crate::wire::framing::FrameError;

/// nwaku's `MaxContentTopicsPerRequest`.
const MAX_TOPICS_PER_REQUEST: usize = 100;
const MAX_REQUEST_BYTES: usize = 64 * 1024;

#[derive(Clone)]
pub(crate) struct Server {
    swarm: Handle,
    registry: Registry,
    limiter: PeerLimiter,
    service: ServiceMetrics,
    metrics: Metrics,
}

impl Server {
    /// A server, and the task that forgets silent subscribers.
    pub(crate) fn start(
        swarm: Handle,
        registry: Registry,
        limit: Option<RateLimit>,
        service: ServiceMetrics,
        metrics: Metrics,
    ) -> Self {
        tokio::spawn(push::sweep(swarm.clone(), registry.clone(), metrics.clone()));
        Self {
            swarm,
            registry,
            limiter: PeerLimiter::new(limit),
            service,
            metrics,
        }
    }

    pub(crate) fn register(self, router: &mut Router) {
        router.accept(FILTER_SUBSCRIBE, move |caller, stream| {
            self.clone().serve(caller, stream)
        });
    }

    async fn serve(self, caller: Caller, mut stream: Stream) -> Result<(), FrameError> {
        let peer = caller.peer;
        let Some(request) = read_request(&mut stream, &caller, MAX_REQUEST_BYTES).await? else {
            return Ok(());
        };
        self.service.traffic(FILTER_SUBSCRIBE_ID, "in", request.bytes().len());
        let began = Instant::now();
        let allowed = self.limiter.allows(peer);
        let (request_id, result) = if allowed {
            match FilterSubscribeRequest::decode(request.bytes()) {
                Ok(request) => {
                    let (request_id, kind) = (request.request_id.clone(), kind_label(&request));
                    let result = self.handle_request(peer, request);
                    count(&self.metrics.requests, kind);
                    let seconds = self.metrics.seconds.get_or_create(&Kind { r#type: kind });
                    seconds.observe(began.elapsed().as_secs_f64());
                    (request_id, result)
                }
                Err(error) => (
                    None,
                    Err((status::BAD_REQUEST, format!("decoding rpc failed: {error}"))),
                ),
            }
        } else {
            let reason = "filter request rejected due rate limit exceeded";
            (None, Err((status::TOO_MANY_REQUESTS, reason.to_owned())))
        };
        if let Err((code, _)) = &result {
            count(&self.metrics.errors, label(*code));
        }
        let (code, reason) = match result {
            Ok(()) => (status::OK, "OK".to_owned()),
            Err(refused) => refused,
        };
        let response = FilterSubscribeResponse {
            request_id: Some(request_id.unwrap_or_else(|| "N/A".into())),
            status_code: Some(code),
            status_desc: Some(reason),
        };
        let body = response.encode_to_vec();
        self.service.traffic(FILTER_SUBSCRIBE_ID, "out", body.len());
        answer(&mut stream, &body).await?;
        if allowed {
            self.service.served(FILTER_SUBSCRIBE_ID, began.elapsed());
        } else {
            self.service.rejected(FILTER_SUBSCRIBE_ID);
        }
        Ok(())
    }

    fn handle_request(&self, peer: PeerId, request: FilterSubscribeRequest) -> Result<(), (u32, String)> {
        let bad = |reason: &str| (status::BAD_REQUEST, reason.to_owned());
        let kind = FilterSubscribeType::try_from(request.filter_subscribe_type.unwrap_or(0))
            .map_err(|_| bad("unknown filter subscribe type"))?;
        let now = Instant::now();
        let done = match kind {
            FilterSubscribeType::SubscriberPing => self.registry.book().ping(peer, now),
            FilterSubscribeType::UnsubscribeAll => self.registry.book().remove(peer),
            FilterSubscribeType::Subscribe | FilterSubscribeType::Unsubscribe => {
                let topic = request.pubsub_topic.filter(|topic| !topic.is_empty());
                let (Some(topic), false) = (topic, request.content_topics.is_empty()) else {
                    return Err(bad("pubsubTopic and contentTopics must be specified"));
                };
                if request.content_topics.len() > MAX_TOPICS_PER_REQUEST {
                    return Err(bad("exceeds maximum content topics: 100"));
                }
                let criteria: HashSet<Criterion> = request
                    .content_topics
                    .into_iter()
                    .map(|content| (topic.clone(), content))
                    .collect();
                let mut book = self.registry.book();
                if kind == FilterSubscribeType::Subscribe {
                    book.subscribe(peer, criteria, now, || self.open_queue(peer))
                } else {
                    book.unsubscribe(peer, &criteria, now)
                }
            }
        };
        self.metrics.subscribers(self.registry.book().len());
        done.map_err(|refused| match refused {
            Refused::NotSubscribed => (status::NOT_FOUND, "peer has no subscriptions".to_owned()),
            Refused::TopicTooLong => bad("topic is too long"),
            Refused::TooManyCriteria => (
                status::SERVICE_UNAVAILABLE,
                "peer has reached maximum number of filter criteria".to_owned(),
            ),
            Refused::TooManySubscribers => (
                status::SERVICE_UNAVAILABLE,
                "node has reached maximum number of subscriptions".to_owned(),
            ),
        })
    }

    fn open_queue(&self, peer: PeerId) -> Entrance {
        let queue = self.registry.queues.open();
        tokio::spawn(push::deliver(
            self.swarm.clone(),
            self.registry.clone(),
            peer,
            queue.clone(),
            (self.service.clone(), self.metrics.clone()),
        ));
        Entrance(queue)
    }
}

/// What a request asks for, as nwaku writes it.
fn kind_label(request: &FilterSubscribeRequest) -> &'static str {
    match FilterSubscribeType::try_from(request.filter_subscribe_type.unwrap_or(0)) {
        Ok(FilterSubscribeType::SubscriberPing) => "SUBSCRIBER_PING",
        Ok(FilterSubscribeType::Subscribe) => "SUBSCRIBE",
        Ok(FilterSubscribeType::Unsubscribe) => "UNSUBSCRIBE",
        Ok(FilterSubscribeType::UnsubscribeAll) => "UNSUBSCRIBE_ALL",
        Err(_) => "unknown",
    }
}

fn label(code: u32) -> &'static str {
    match code {
        status::BAD_REQUEST => "bad_request",
        status::NOT_FOUND => "not_found",
        status::TOO_MANY_REQUESTS => "too_many_requests",
        _ => "service_unavailable",
    }
}
