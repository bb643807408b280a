//! Publishing what a client or an operator hands in: through the gate, to relay, and into the archive.

use std::time::Duration;

use archive::MessageHash;
use prost::Message;
use thiserror::Error;
use tokio::sync::oneshot;

use crate::clock;
use crate::intake::Intake;
use crate::intake::admission::Refused;
use crate::intake::archivist::{NotStored, Outcome};
use crate::intake::gate::Way;
use crate::intake::received::Source;
use crate::swarm::{Handle, Info, RelayError, Stopped};
use crate::wire::WakuMessage;

/// How long a publisher waits to hear from the archive; a client gives up after ten seconds.
const ARCHIVE_PATIENCE: Duration = Duration::from_secs(5);

/// An envelope that was taken: by so many relay peers, into the archive, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    pub hash: MessageHash,
    /// Peers subscribed to the topic when it was handed to relay; 0 when there were none.
    pub relay_peers: usize,
    pub stored: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PublishError {
    #[error("not subscribed to pubsub topic {0}")]
    UnknownTopic(String),
    #[error("message size exceeded maximum of {max_bytes} bytes")]
    TooLarge { bytes: usize, max_bytes: usize },
    #[error("invalid message: {0}")]
    Invalid(String),
    /// Neither a relay peer nor the archive took it.
    #[error("no peers for topic, and not stored: {not_stored}")]
    NoPeers { not_stored: NotStored },
    #[error("relay is not mounted")]
    NoRelay,
    #[error("relay queues to all peers are full")]
    Busy,
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Publisher {
    swarm: Handle,
    intake: Intake,
}

impl Publisher {
    pub(crate) fn new(swarm: Handle, intake: Intake) -> Self {
        Self { swarm, intake }
    }

    pub(crate) fn info(&self) -> &Info {
        self.swarm.info()
    }

    /// Publishes on relay and stores. A `timestamp` that is absent or 0 is set to now.
    pub async fn publish(
        &self,
        topic: String,
        mut message: WakuMessage,
        source: Source,
    ) -> Result<Published, PublishError> {
        if message.timestamp.unwrap_or(0) == 0 {
            message.timestamp = Some(clock::now_nanos());
        }
        self.judge(&topic, &message)?;
        // What is relayed is kept, too, whether or not the caller waits for it: a client may hang up.
        let taken = tokio::spawn(self.clone().take(topic, message, source));
        // It ends early with the runtime alone.
        taken.await.unwrap_or(Err(PublishError::Stopped(Stopped)))
    }

    async fn take(self, topic: String, message: WakuMessage, source: Source) -> Result<Published, PublishError> {
        let relay_peers = self.relay(&topic, &message).await?;
        let (done, kept) = oneshot::channel();
        let hash = self.intake.take_in(topic, message, source, Some(done)).hash;
        match outcome(kept).await {
            Outcome::NotStored(not_stored) if relay_peers == 0 => Err(PublishError::NoPeers { not_stored }),
            outcome => Ok(Published {
                hash,
                relay_peers,
                stored: outcome.is_kept(),
            }),
        }
    }

    fn judge(&self, topic: &str, message: &WakuMessage) -> Result<(), PublishError> {
        let judged = self.intake.gate().judge(Way::Publish, topic, message);
        judged.map_err(|refused| match refused {
            Refused::TooLarge { bytes, max_bytes } => PublishError::TooLarge { bytes, max_bytes },
            Refused::NotServed => PublishError::UnknownTopic(topic.to_owned()),
            other => PublishError::Invalid(other.to_string()),
        })
    }

    async fn relay(&self, topic: &str, message: &WakuMessage) -> Result<usize, PublishError> {
        let data = message.encode_to_vec();
        let bytes = data.len();
        let relayed = self.swarm.relay(topic.to_owned(), data).await;
        relayed.map_err(|error| match error {
            RelayError::NotMounted => PublishError::NoRelay,
            RelayError::Busy => PublishError::Busy,
            RelayError::TooLarge => PublishError::TooLarge {
                bytes,
                max_bytes: self.info().max_message_bytes,
            },
            RelayError::Failed(reason) => PublishError::Invalid(reason),
            RelayError::Stopped(stopped) => PublishError::Stopped(stopped),
        })
    }
}

async fn outcome(kept: oneshot::Receiver<Outcome>) -> Outcome {
    match tokio::time::timeout(ARCHIVE_PATIENCE, kept).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Outcome::NotStored(NotStored::Closed),
        Err(_) => Outcome::NotStored(NotStored::NoAnswer),
    }
}
