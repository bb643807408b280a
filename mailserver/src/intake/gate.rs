//! The one gate: whichever way an envelope comes, it is judged here.
//!
//! | way | size and form | topic | signature of a protected shard | ephemeral |
//! |---|---|---|---|---|
//! | relay | yes | what relay is subscribed to | made within five minutes of now | taken |
//! | publish (light push, REST) | yes | served | made within five minutes of now | taken |
//! | filter push | yes | what was asked for | made within five minutes of now | taken |
//! | resume | yes | what was asked for | of any age | refused: a store has none |
//! | sync | yes | served | of any age | refused: a store has none |

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use prost::Message;

use super::admission::{self, Refused};
use super::archivist::Archivist;
use super::metrics::{Judgement, Metrics};
use super::signed::Validator;
use crate::clock;
use crate::wire::WakuMessage;

/// How an envelope comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Relay,
    Publish,
    FilterPush,
    Resume,
    Sync,
}

/// How old a signature may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signature {
    /// It was made just now.
    Live,
    /// It was judged by its age when it was made: what bounds it now is what was asked for.
    Stored,
}

/// What a way is held to, besides size and form.
struct Checks {
    served: bool,
    signature: Signature,
    ephemeral: bool,
}

impl Way {
    const fn checks(self) -> Checks {
        let (served, signature, ephemeral) = match self {
            Self::Relay | Self::FilterPush => (false, Signature::Live, true),
            Self::Publish => (true, Signature::Live, true),
            Self::Resume => (false, Signature::Stored, false),
            Self::Sync => (true, Signature::Stored, false),
        };
        Checks {
            served,
            signature,
            ephemeral,
        }
    }
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Gate {
    max_bytes: usize,
    signed: Arc<Validator>,
    /// For the clock that it believes.
    archivist: Option<Archivist>,
    served: Arc<RwLock<BTreeSet<String>>>,
    metrics: Metrics,
}

impl Gate {
    pub(crate) fn new(max_bytes: usize, signed: Validator, archivist: Option<Archivist>, metrics: Metrics) -> Self {
        Self {
            max_bytes,
            signed: Arc::new(signed),
            archivist,
            served: Arc::default(),
            metrics,
        }
    }

    /// The topics that are served from now on.
    pub(crate) fn serve(&self, topics: Vec<String>) {
        *self.served.write().unwrap_or_else(PoisonError::into_inner) = topics.into_iter().collect();
    }

    /// Judges a message that a peer relayed, as bytes.
    pub(crate) fn judge_relayed(&self, topic: &str, data: &[u8]) -> Result<WakuMessage, Refused> {
        let message = admission::judge_relayed(data, self.max_bytes)?;
        self.judge_rest(Way::Relay, topic, &message)?;
        Ok(message)
    }

    /// Judges a message that came another way.
    pub(crate) fn judge(&self, way: Way, topic: &str, message: &WakuMessage) -> Result<(), Refused> {
        admission::judge_published(message, message.encoded_len(), self.max_bytes)?;
        self.judge_rest(way, topic, message)
    }

    fn judge_rest(&self, way: Way, topic: &str, message: &WakuMessage) -> Result<(), Refused> {
        let checks = way.checks();
        let served = self.served.read().unwrap_or_else(PoisonError::into_inner);
        if checks.served && !served.contains(topic) {
            return Err(Refused::NotServed);
        }
        drop(served);
        if message.is_ephemeral() && !checks.ephemeral {
            return Err(Refused::Ephemeral);
        }
        if !self.signed.protects(topic) {
            return Ok(());
        }
        let (now, held_against) = match checks.signature {
            Signature::Live => {
                let trusted = self.archivist.as_ref().is_none_or(Archivist::clock_trusted);
                (clock::now_nanos(), trusted)
            }
            Signature::Stored => (message.timestamp.unwrap_or(0), false),
        };
        let judged = self.signed.judge(topic, message, now, held_against);
        let result = if judged.is_ok() { "Accept" } else { "Reject" };
        self.metrics.signed_outcome.get_or_create(&Judgement { result }).inc();
        judged.map_err(Refused::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVED: &str = "/waku/2/rs/16/32";
    const OTHER: &str = "/waku/2/rs/16/33";

    fn message(ephemeral: bool) -> WakuMessage {
        WakuMessage {
            payload: Some(vec![7; 100]),
            content_topic: Some("/app/1/name/proto".into()),
            timestamp: Some(clock::now_nanos()),
            ephemeral: Some(ephemeral),
            ..Default::default()
        }
    }

    fn gate() -> Gate {
        let gate = Gate::new(500, Validator::default(), None, Metrics::new());
        gate.serve(vec![SERVED.to_owned()]);
        gate
    }

    #[test]
    fn each_way_has_its_checks() {
        let gate = gate();
        for (way, other_topic, ephemeral) in [
            (Way::Relay, Ok(()), Ok(())),
            (Way::Publish, Err(Refused::NotServed), Ok(())),
            (Way::FilterPush, Ok(()), Ok(())),
            (Way::Resume, Ok(()), Err(Refused::Ephemeral)),
            (Way::Sync, Err(Refused::NotServed), Err(Refused::Ephemeral)),
        ] {
            assert_eq!(gate.judge(way, SERVED, &message(false)), Ok(()), "{way:?}");
            assert_eq!(gate.judge(way, OTHER, &message(false)), other_topic, "{way:?}");
            assert_eq!(gate.judge(way, SERVED, &message(true)), ephemeral, "{way:?}");
            let large = WakuMessage {
                payload: Some(vec![7; 1000]),
                ..message(false)
            };
            let refused = gate.judge(way, SERVED, &large);
            assert!(matches!(refused, Err(Refused::TooLarge { .. })), "{way:?}: {refused:?}");
        }
    }

    #[test]
    fn a_topic_is_served_as_long_as_it_says() {
        let gate = gate();
        gate.serve(vec![OTHER.to_owned()]);
        assert_eq!(gate.judge(Way::Publish, OTHER, &message(false)), Ok(()));
        assert_eq!(
            gate.judge(Way::Publish, SERVED, &message(false)),
            Err(Refused::NotServed)
        );
    }
}
