//! A node, put together: what keeps envelopes, what serves them, what fetches them, and the swarm below. Nothing else.
//!
//! `start` returns once the ports are bound, so that a port in use is an error of the start and not a surprise later.

use libp2p::{PeerId, identity};
use prometheus_client::registry::Registry;
use thiserror::Error;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

use std::sync::Arc;

use crate::activity::Activity;
use crate::catch_up::resume::Resume;
use crate::catch_up::schedule;
use crate::intake::archivist::{Archivist, OnKept, Writer};
use crate::intake::gate::Gate;
use crate::intake::received::{Received, Source};
use crate::intake::signed::Validator;
use crate::intake::{self, Intake, Reader};
use crate::protocols::filter::push::Distributor;
use crate::protocols::publish::{PublishError, Published, Publisher};
use crate::protocols::router::Router;
use crate::protocols::{filter, light_push, metadata, peer_exchange, store, sync};
use crate::settings::{Services, Settings};
use crate::swarm::observer::{Event, Observer, Verdict};
use crate::swarm::{self, Prepared};
use crate::wire::WakuMessage;

#[derive(Debug, Error)]
pub enum StartError {
    #[error(transparent)]
    Swarm(#[from] swarm::StartError),
    #[error("opening the archive: {0}")]
    Archive(#[from] archive::Error),
}

/// What each room counts.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    pub swarm: swarm::metrics::Metrics,
    pub intake: intake::metrics::Metrics,
    pub service: crate::protocols::metrics::Metrics,
    pub store: store::metrics::Metrics,
    pub light_push: light_push::metrics::Metrics,
    pub filter: filter::metrics::Metrics,
    pub peer_exchange: peer_exchange::metrics::Metrics,
    pub sync: sync::metrics::Metrics,
}

impl Metrics {
    /// Under nwaku's prefix in one registry, and without in the other.
    pub(crate) fn register(&self, waku: &mut Registry, plain: &mut Registry) {
        self.swarm.register(waku, plain);
        self.intake.register(waku, plain);
        self.service.register(waku);
        self.store.register(waku);
        self.light_push.register(waku);
        self.filter.register(waku);
        self.peer_exchange.register(waku);
        self.sync.register(plain);
    }
}

/// The way into the running node, cheap to clone.
#[derive(Clone)]
pub struct Handle {
    swarm: swarm::Handle,
    services: Services,
    intake: Intake,
    publisher: Publisher,
    store: Option<store::server::Server>,
    filter: Option<filter::Registry>,
    filter_client: filter::client::Client,
    records: peer_exchange::Records,
    metrics: Metrics,
}

impl Handle {
    /// Peers, connections, topics and status.
    pub fn swarm(&self) -> &swarm::Handle {
        &self.swarm
    }

    /// Which protocols are served.
    pub fn services(&self) -> Services {
        self.services
    }

    /// Every envelope from now on.
    pub fn received(&self) -> broadcast::Receiver<Arc<Received>> {
        self.intake.received()
    }

    /// What publishes.
    pub fn publisher(&self) -> &Publisher {
        &self.publisher
    }

    /// Publishes on relay and stores. A `timestamp` that is absent or 0 is set to now.
    pub async fn publish(
        &self,
        topic: String,
        message: WakuMessage,
        source: Source,
    ) -> Result<Published, PublishError> {
        self.publisher.publish(topic, message, source).await
    }

    /// This node's own store, when it keeps an archive.
    pub fn store(&self) -> Option<&store::server::Server> {
        self.store.as_ref()
    }

    /// Who is subscribed to this node's filter, when it serves one.
    pub fn filter(&self) -> Option<&filter::Registry> {
        self.filter.as_ref()
    }

    /// Other nodes' filters.
    pub fn filter_client(&self) -> &filter::client::Client {
        &self.filter_client
    }

    /// The node records that peer exchange hands on.
    pub fn records(&self) -> &peer_exchange::Records {
        &self.records
    }

    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle")
            .field("swarm", &self.swarm)
            .finish_non_exhaustive()
    }
}

/// A started node. Dropping it does not stop the node.
pub struct Running {
    task: JoinHandle<()>,
    archive: Option<(Archivist, Writer)>,
}

impl Running {
    /// Waits until the node has ended after [`swarm::Handle::stop`] and the archive is closed.
    pub async fn stopped(self) {
        if let Err(error) = self.task.await {
            tracing::error!(%error, "node task failed");
        }
        if let Some((archivist, writer)) = self.archive {
            let closed = tokio::task::spawn_blocking(move || {
                archivist.close();
                writer.join();
            });
            if let Err(error) = closed.await {
                tracing::error!(%error, "closing the archive failed");
            }
        }
    }
}

/// What the swarm tells the node.
struct Told {
    intake: Intake,
    swarm: swarm::Handle,
    metadata: metadata::server::Server,
}

impl Observer for Told {
    fn relayed(&mut self, peer: PeerId, topic: &str, data: &[u8]) -> Verdict {
        match self.intake.gate().judge_relayed(topic, data) {
            Ok(message) => {
                self.intake
                    .take_in(topic.to_owned(), message, Source::Relay(peer), None);
                Verdict::Accept
            }
            Err(refused) if refused.is_peers_fault() => Verdict::Reject(refused.reason()),
            Err(refused) => Verdict::Ignore(refused.reason()),
        }
    }

    fn happened(&mut self, event: Event) {
        match event {
            Event::Connected { peer, connection } => {
                let ask = metadata::client::ask(self.metadata.clone(), self.swarm.clone(), peer, connection);
                tokio::spawn(ask);
            }
            Event::Serving { topics, shards } => {
                self.metadata.announce(self.swarm.info().cluster_id, &shards);
                self.intake.gate().serve(topics);
            }
        }
    }
}

/// Binds the ports, starts the node and returns the way to talk to it. The key is secp256k1: the same is in the ENR.
pub async fn start(settings: &Settings, keypair: &identity::Keypair) -> Result<(Handle, Running), StartError> {
    let (metrics, activity) = (Metrics::default(), Activity::default());
    let prepared = Prepared::bind(settings, keypair, metrics.swarm.clone(), activity.clone())?;
    let topics: Vec<String> = settings.pubsub_topics().map(|topic| topic.to_string()).collect();

    let ids = settings.sync.map(|_| sync::Ids::new(topics.clone()));
    let archive = open_archive(settings, ids.clone(), &metrics)?;
    let archivist = archive.as_ref().map(|(archivist, _)| archivist.clone());
    // Before the first envelope of this run is in it.
    let newest = archivist
        .as_ref()
        .and_then(Archivist::stats)
        .and_then(|stats| stats.newest)
        .map(i64::from);
    let handle = put_together(settings, prepared.handle().clone(), archivist.clone(), metrics);
    let metadata = metadata::server::Server::new(settings.cluster_id, &settings.shards);
    let sync = match (settings.sync, &archivist, ids) {
        (Some(sync), Some(archivist), Some(ids)) => Some(sync::Server::new(
            handle.swarm.clone(),
            archivist.clone(),
            ids,
            sync,
            handle.intake.gate().clone(),
            handle.metrics.sync.clone(),
        )),
        _ => None,
    };
    let router = route(&handle, settings, metadata.clone(), sync.as_ref(), activity);
    let told = Told {
        intake: handle.intake.clone(),
        swarm: handle.swarm.clone(),
        metadata,
    };
    let (task, inbound) = prepared.start(settings, router.offered(), Box::new(told))?;
    tokio::spawn(router.run(inbound));
    if let Some(archivist) = archivist {
        catch_up(&handle, settings, archivist, topics, (newest, sync));
    }
    Ok((handle, Running { task, archive }))
}

fn open_archive(
    settings: &Settings,
    ids: Option<sync::Ids>,
    metrics: &Metrics,
) -> Result<Option<(Archivist, Writer)>, archive::Error> {
    let Some(archive) = &settings.archive else {
        return Ok(None);
    };
    let on_kept = ids.map(|ids| -> OnKept { Box::new(move |received| ids.note(&received.envelope, received.hash)) });
    Archivist::start(archive.dir.clone(), archive.retention, metrics.intake.clone(), on_kept).map(Some)
}

/// Intake, and what those who talk to the node are given.
fn put_together(settings: &Settings, swarm: swarm::Handle, archivist: Option<Archivist>, metrics: Metrics) -> Handle {
    let signed = Validator::new(settings.cluster_id, &settings.protected_shards);
    let gate = Gate::new(
        settings.max_message_bytes,
        signed,
        archivist.clone(),
        metrics.intake.clone(),
    );
    let services = settings.services;
    let filter = services.filter.then(|| filter::Registry::new(settings.limits.filter));
    let reader = filter.clone().map(|registry| reader(registry, &metrics));
    let intake = Intake::new(gate.clone(), archivist.clone(), reader, metrics.intake.clone());
    let limit = settings.rate_limits.store;
    let store = |archivist| {
        let (service, metrics) = (metrics.service.clone(), metrics.store.clone());
        store::server::Server::new(archivist, limit, service, metrics)
    };
    Handle {
        services,
        publisher: Publisher::new(swarm.clone(), intake.clone()),
        store: archivist.map(store),
        filter,
        filter_client: filter::client::Client::new(swarm.clone(), gate),
        records: peer_exchange::Records::default(),
        metrics,
        intake,
        swarm,
    }
}

fn reader(registry: filter::Registry, metrics: &Metrics) -> Reader {
    let mut distributor = Distributor::new(registry, metrics.filter.clone());
    Box::new(move |received| distributor.distribute(received))
}

/// What is served: each protocol registers.
fn route(
    handle: &Handle,
    settings: &Settings,
    metadata: metadata::server::Server,
    sync: Option<&sync::Server>,
    activity: Activity,
) -> Router {
    let (services, limits, metrics) = (settings.services, settings.rate_limits, &handle.metrics);
    let mut router = Router::new(activity, metrics.swarm.streams_refused.clone());
    metadata.register(&mut router);
    handle.filter_client.clone().register(&mut router);
    if let Some(store) = &handle.store {
        if services.store {
            store.clone().register(&mut router);
        }
        if services.legacy_store {
            store::legacy::Server::new(store.clone()).register(&mut router);
        }
    }
    if services.light_push {
        light_push::server::Server::new(
            handle.publisher.clone(),
            limits.light_push,
            metrics.service.clone(),
            metrics.light_push.clone(),
        )
        .register(&mut router);
    }
    if let Some(registry) = &handle.filter {
        filter::server::Server::start(
            handle.swarm.clone(),
            registry.clone(),
            limits.filter,
            metrics.service.clone(),
            metrics.filter.clone(),
        )
        .register(&mut router);
    }
    if services.peer_exchange {
        peer_exchange::server::Server::new(
            handle.records.clone(),
            limits.peer_exchange,
            metrics.service.clone(),
            metrics.peer_exchange.clone(),
        )
        .register(&mut router);
    }
    if let Some(sync) = sync {
        sync::register(sync, &mut router);
    }
    router
}

/// Starts what fetches from other stores. `newest` is the time of the newest envelope that the archive had at the start.
fn catch_up(
    handle: &Handle,
    settings: &Settings,
    archivist: Archivist,
    topics: Vec<String>,
    (newest, sync): (Option<i64>, Option<sync::Server>),
) {
    if let (Some(server), Some(sync)) = (sync, settings.sync) {
        let (swarm, archivist) = (handle.swarm.clone(), archivist.clone());
        tokio::spawn(schedule::run(swarm, archivist, server, topics.clone(), sync.interval));
    }
    if let (true, Some(archive)) = (settings.services.store_resume, &settings.archive) {
        let resume = Resume::new(
            handle.swarm.clone(),
            archivist,
            handle.intake.gate().clone(),
            handle.metrics.intake.clone(),
            topics,
            (&archive.dir, archive.retention),
        );
        tokio::spawn(resume.run(newest));
    }
}
