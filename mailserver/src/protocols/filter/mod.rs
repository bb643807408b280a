//! Filter 2.0.0-beta1 (RFC 12/WAKU2-FILTER): subscribers get the envelopes they asked for as they come.

pub mod client;
mod push;
mod queue;
mod subscriptions;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use libp2p::{PeerId, Stream};
use prost::Message;

use self::queue::{Entrance, Queue, Queues};
use self::subscriptions::{Refused, Subscriptions};
use super::rate::PeerLimiter;
use super::{Caller, answer, id, read_request};
use crate::counters::{Counters, Kind};
use crate::node::Handle;
use crate::node::settings::{FilterLimits, RateLimit};
use crate::wire::filter::{FilterSubscribeRequest, FilterSubscribeResponse, FilterSubscribeType};
use crate::wire::framing::FrameError;

pub(crate) use self::push::Distributor;
pub use self::subscriptions::Criterion;

/// nwaku's `MaxContentTopicsPerRequest`.
const MAX_TOPICS_PER_REQUEST: usize = 100;
const MAX_REQUEST_BYTES: usize = 64 * 1024;

/// Status codes of filter (nwaku `waku_filter_v2/common.nim`).
pub mod status {
    pub const OK: u32 = 200;
    pub const BAD_REQUEST: u32 = 400;
    pub const NOT_FOUND: u32 = 404;
    pub const TOO_MANY_REQUESTS: u32 = 429;
    pub const SERVICE_UNAVAILABLE: u32 = 503;
}

/// The subscriptions, shared by those who ask and those who deliver. Its lock is never held across an await.
#[derive(Clone)]
pub struct Registry {
    book: Arc<Mutex<Subscriptions<Entrance>>>,
    queues: Queues,
}

impl Registry {
    pub(crate) fn new(limits: FilterLimits) -> Self {
        Self {
            book: Arc::new(Mutex::new(Subscriptions::new(limits))),
            queues: Queues::default(),
        }
    }

    /// Every subscriber and what it asked for.
    pub fn list(&self) -> Vec<(PeerId, Vec<Criterion>)> {
        self.book().list()
    }

    fn book(&self) -> MutexGuard<'_, Subscriptions<Entrance>> {
        self.book.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn find(&self, pubsub: &str, content: &str, now: Instant) -> Vec<Arc<Queue>> {
        self.book()
            .find(pubsub, content, now)
            .map(|(_, Entrance(queue))| queue.clone())
            .collect()
    }

    /// Forgets a subscriber whose queue this is: it has ended. One that came back has another.
    fn forget(&self, peer: PeerId, queue: &Arc<Queue>) -> usize {
        let mut book = self.book();
        if book.queue(peer).is_some_and(|Entrance(open)| Arc::ptr_eq(open, queue)) {
            let _ = book.remove(peer);
        }
        book.len()
    }

    fn sweep(&self) -> usize {
        let mut book = self.book();
        book.sweep(Instant::now());
        book.len()
    }
}

#[derive(Clone)]
pub(crate) struct Server {
    handle: Handle,
    registry: Registry,
    limiter: PeerLimiter,
}

impl Server {
    /// A server, and the task that forgets silent subscribers.
    pub(crate) fn start(handle: Handle, registry: Registry, limit: Option<RateLimit>) -> Self {
        tokio::spawn(push::sweep(handle.clone(), registry.clone()));
        Self {
            handle,
            registry,
            limiter: PeerLimiter::new(limit),
        }
    }

    pub(crate) async fn serve(&self, caller: &Caller, mut stream: Stream) -> Result<(), FrameError> {
        let peer = caller.peer;
        let counters = self.handle.counters();
        let Some(request) = read_request(&mut stream, caller, MAX_REQUEST_BYTES, counters).await? else {
            return Ok(());
        };
        counters.service_traffic(id::FILTER_SUBSCRIBE, "in", request.bytes().len());
        let began = Instant::now();
        let allowed = self.limiter.allows(peer);
        let (request_id, result) = if allowed {
            match FilterSubscribeRequest::decode(request.bytes()) {
                Ok(request) => {
                    let (request_id, kind) = (request.request_id.clone(), kind_label(&request));
                    let result = self.handle_request(peer, request);
                    Counters::count(&counters.filter_requests, kind);
                    let seconds = counters.filter_seconds.get_or_create(&Kind { r#type: kind });
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
            Counters::count(&counters.filter_errors, label(*code));
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
        counters.service_traffic(id::FILTER_SUBSCRIBE, "out", body.len());
        answer(&mut stream, &body).await?;
        if allowed {
            counters.served(id::FILTER_SUBSCRIBE, began.elapsed());
        } else {
            counters.rejected(id::FILTER_SUBSCRIBE);
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
        self.handle
            .counters()
            .filter_subscriptions
            .set(i64::try_from(self.registry.book().len()).unwrap_or(i64::MAX));
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
            self.handle.clone(),
            self.registry.clone(),
            peer,
            queue.clone(),
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
