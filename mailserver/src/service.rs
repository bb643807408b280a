//! The whole program but for its process: node, REST and metrics, started from a configuration and ended in order.
//!
//! Ports are taken first, so that a port in use is told before anything else happens; then the node starts, and REST
//! and metrics on top of it. The end goes the other way round.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
    task::JoinHandle,
};

use crate::{
    config::{Config, Metrics as MetricsSettings, Rest},
    discovery::{self, Discovery, Told},
    http,
    key::KeyError,
    metrics::Metrics,
    node::{self, Handle, Running, StartError},
    ports::BindError,
    rest::{self, Api, SetLogLevel},
    swarm::{self, Phase, TransportError},
};

/// How long the node may take to end before the process ends without it.
const NODE_DRAIN: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error(transparent)]
    Discovery(#[from] discovery::Error),
    #[error(transparent)]
    Node(#[from] StartError),
}

impl Error {
    /// Whether starting again without another configuration would fail again.
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Key(error) => matches!(error, KeyError::NotAKey { .. }),
            Self::Discovery(error) => error.is_configuration(),
            Self::Node(StartError::Swarm(swarm::StartError::Transport(TransportError::Tls(_)))) => true,
            Self::Bind(_) | Self::Node(_) => false,
        }
    }
}

/// A server of ours that runs until it is told to end.
struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    fn start(listener: TcpListener, router: axum::Router) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(http::serve(listener, router, async {
            // A sender that is gone without a word means the end too.
            let _ = stopped.await;
        }));
        Ok(Self { address, stop, task })
    }

    async fn end(self) {
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

/// A running mailserver.
pub struct Service {
    node: Handle,
    running: Running,
    rest: Option<Server>,
    metrics: Option<Server>,
    collector: Option<JoinHandle<()>>,
    discovery: Discovery,
}

impl Service {
    /// Starts everything. Returns once all ports are taken; [`Handle::status`] tells when the node listens.
    pub async fn start(config: &Config, set_log_level: SetLogLevel) -> Result<Self, Error> {
        let keypair = config.identity.keypair()?;
        let rest = match &config.rest {
            Some(rest) => Some((rest, http::bind("rest-port", rest.address, rest.port).await?)),
            None => None,
        };
        let metrics = match &config.metrics {
            Some(metrics) => Some((
                metrics,
                http::bind("metrics-server-port", metrics.address, metrics.port).await?,
            )),
            None => None,
        };
        let prepared = discovery::prepare(config, &keypair).await?;
        let counters = discovery::Counters::default();
        let (node, running) = node::start(&config.node, &keypair).await?;
        let discovery = prepared
            .start(config, node.swarm().clone(), node.records().clone(), counters.clone())
            .await?;
        let enr = discovery.enr();
        let mut service = Self {
            node,
            running,
            rest: None,
            metrics: None,
            collector: None,
            discovery,
        };
        if let Some((settings, listener)) = rest {
            service.serve_rest(config, settings, listener, enr, set_log_level)?;
        }
        if let Some((settings, listener)) = metrics {
            service.serve_metrics(settings, listener, &counters)?;
        }
        Ok(service)
    }

    fn serve_rest(
        &mut self,
        config: &Config,
        settings: &Rest,
        listener: TcpListener,
        enr: watch::Receiver<Told>,
        set_log_level: SetLogLevel,
    ) -> Result<(), BindError> {
        let api = Api::new(self.node.clone(), config, settings, enr, set_log_level);
        self.collector = Some(tokio::spawn(Arc::clone(&api).collect()));
        let server = Server::start(listener, rest::router(&api)).map_err(|source| BindError::Other {
            flag: "rest-port",
            address: settings.address,
            port: settings.port,
            source,
        })?;
        tracing::info!(address = %server.address, admin = settings.admin, "REST listening");
        self.rest = Some(server);
        Ok(())
    }

    fn serve_metrics(
        &mut self,
        settings: &MetricsSettings,
        listener: TcpListener,
        discovery: &discovery::Counters,
    ) -> Result<(), BindError> {
        let metrics = Metrics::new(self.node.clone(), discovery, settings.prefix);
        let server = Server::start(listener, metrics.router()).map_err(|source| BindError::Other {
            flag: "metrics-server-port",
            address: settings.address,
            port: settings.port,
            source,
        })?;
        tracing::info!(address = %server.address, "metrics listening");
        self.metrics = Some(server);
        Ok(())
    }

    pub fn node(&self) -> &Handle {
        &self.node
    }

    /// The own node record as text.
    pub fn enr(&self) -> String {
        self.discovery.enr().borrow().text.clone()
    }

    /// Where REST listens, if it does.
    pub fn rest_address(&self) -> Option<SocketAddr> {
        self.rest.as_ref().map(|server| server.address)
    }

    /// Where metrics are, if anywhere.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|server| server.address)
    }

    /// Waits until the node listens on all its addresses.
    pub async fn listening(&self) {
        let mut status = self.node.swarm().status();
        // An error is the node's end, which its own task tells.
        let _ = status.wait_for(|status| status.phase != Phase::Starting).await;
    }

    /// Ends REST and metrics, then the node; true if all of it ended in time.
    pub async fn stop(self) -> bool {
        for server in [self.rest, self.metrics].into_iter().flatten() {
            server.end().await;
        }
        if let Some(collector) = self.collector {
            collector.abort();
        }
        drop(self.discovery);
        self.node.swarm().stop().await;
        tokio::time::timeout(NODE_DRAIN, self.running.stopped()).await.is_ok()
    }
}
