//! How envelopes come in: judged at the one [`gate`], offered to the archive, shown to everybody who reads along.
//!
//! What is fetched from other stores (resume, sync) goes past the readers: it is no news.

pub mod admission;
pub mod archivist;
pub mod gate;
pub mod metrics;
pub mod received;
pub mod signed;

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{broadcast, oneshot};

use self::archivist::{Archivist, NotStored, Outcome};
use self::gate::Gate;
use self::metrics::Metrics;
use self::received::{Received, Source};
use crate::clock;
use crate::labels::count;
use crate::wire::WakuMessage;

/// Envelopes a slow reader may lag behind before it loses the oldest.
const RECEIVED_QUEUE: usize = 1024;

/// Sees each envelope as it comes in. It is called by one thread at a time and must not wait.
pub(crate) type Reader = Box<dyn FnMut(&Arc<Received>) + Send>;

/// What judged envelopes are handed to. Cheap to clone.
#[derive(Clone)]
pub struct Intake {
    gate: Gate,
    archivist: Option<Archivist>,
    received: broadcast::Sender<Arc<Received>>,
    /// Filter, where it is served.
    reader: Arc<Mutex<Option<Reader>>>,
    metrics: Metrics,
}

impl Intake {
    /// Without an archive nothing is kept.
    pub(crate) fn new(gate: Gate, archivist: Option<Archivist>, reader: Option<Reader>, metrics: Metrics) -> Self {
        Self {
            gate,
            archivist,
            received: broadcast::channel(RECEIVED_QUEUE).0,
            reader: Arc::new(Mutex::new(reader)),
            metrics,
        }
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Every envelope from now on. A reader that falls behind loses the oldest and is told how many
    /// (`broadcast::error::RecvError::Lagged`).
    pub fn received(&self) -> broadcast::Receiver<Arc<Received>> {
        self.received.subscribe()
    }

    /// Takes in an envelope that the gate let through; `done` hears what the archive did with it. Never waits.
    pub(crate) fn take_in(
        &self,
        topic: String,
        message: WakuMessage,
        source: Source,
        done: Option<oneshot::Sender<Outcome>>,
    ) -> Arc<Received> {
        let way = match source {
            Source::Relay(_) => "relay",
            _ => "publish",
        };
        count(&self.metrics.node_messages, way);
        let admitted = match &self.archivist {
            Some(archivist) => admission::may_keep(&message, clock::now_nanos(), archivist.clock_trusted())
                .map(|()| archivist)
                .map_err(NotStored::NotKept),
            None => Err(NotStored::NoArchive),
        };
        let ephemeral = message.is_ephemeral();
        let envelope = message.into_envelope(topic);
        let hash = envelope.hash();
        let received = Arc::new(Received {
            envelope,
            hash,
            ephemeral,
            source,
        });
        match admitted {
            Ok(archivist) => archivist.offer(received.clone(), done),
            Err(reason) => {
                if let NotStored::NotKept(reason) = reason {
                    count(&self.metrics.archive_errors, reason.reason());
                }
                if let Some(done) = done {
                    let _ = done.send(Outcome::NotStored(reason));
                }
            }
        }
        self.show(&received);
        received
    }

    fn show(&self, received: &Arc<Received>) {
        let bytes = received.envelope.payload.len();
        // nwaku counts payloads in units of 1,000 bytes.
        self.metrics.message_kilobytes.observe(bytes as f64 / 1000.0);
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        self.metrics.sizes.observe(&received.envelope.pubsub_topic, bytes);
        if let Some(reader) = reader.as_mut() {
            reader(received);
        }
        drop(reader);
        // Nobody listening is no error.
        let _ = self.received.send(received.clone());
    }
}
