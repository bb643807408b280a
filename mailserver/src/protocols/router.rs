//! Which protocols are served, and by whom: what is offered to peers is what was registered here.
//!
//! One request, one answer, close. A stream that is slow, malformed or oversized ends alone and is counted.

use std::collections::HashMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use libp2p::{Stream, StreamProtocol};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tokio::sync::mpsc;

use super::request::{Budgets, Caller};
use crate::activity::Activity;
use crate::labels::{Kind, count};
use crate::swarm::streams::Inbound;
use crate::wire::framing::FrameError;

type Serve = Arc<dyn Fn(Caller, Stream) -> BoxFuture<'static, Result<(), FrameError>> + Send + Sync>;

/// The table of protocols.
pub(crate) struct Router {
    served: HashMap<StreamProtocol, Serve>,
    budgets: Budgets,
    activity: Activity,
    /// Streams that ended badly.
    refused: Family<Kind, Counter>,
}

impl Router {
    /// Serves nothing yet. Requests in service are `activity`.
    pub(crate) fn new(activity: Activity, refused: Family<Kind, Counter>) -> Self {
        Self {
            served: HashMap::new(),
            budgets: Budgets::default(),
            activity,
            refused,
        }
    }

    /// Registers who serves the streams of a protocol.
    pub(crate) fn accept<Serving>(
        &mut self,
        protocol: StreamProtocol,
        serve: impl Fn(Caller, Stream) -> Serving + Send + Sync + 'static,
    ) where
        Serving: Future<Output = Result<(), FrameError>> + Send + 'static,
    {
        let serve: Serve = Arc::new(move |caller, stream| Box::pin(serve(caller, stream)));
        self.served.insert(protocol, serve);
    }

    /// What peers are offered.
    pub(crate) fn offered(&self) -> Vec<StreamProtocol> {
        self.served.keys().cloned().collect()
    }

    /// Serves each stream in a task of its own; how many there are is bounded where they are accepted.
    pub(crate) async fn run(self, mut inbound: mpsc::Receiver<Inbound>) {
        while let Some(inbound) = inbound.recv().await {
            self.serve(inbound);
        }
    }

    fn serve(&self, inbound: Inbound) {
        let Inbound {
            peer,
            host,
            protocol,
            stream,
            room,
        } = inbound;
        // The swarm accepts what is offered and nothing else.
        let Some(serve) = self.served.get(&protocol) else {
            return;
        };
        let caller = Caller::new(peer, host, &self.budgets, &self.activity);
        let serving = serve(caller, stream);
        let refused = self.refused.clone();
        tokio::spawn(async move {
            let served = serving.await;
            drop(room);
            if let Err(error) = served {
                count(&refused, reason(&error));
                tracing::debug!(%peer, %protocol, %error, "stream ended");
            }
        });
    }
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
