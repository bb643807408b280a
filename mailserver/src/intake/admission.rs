//! Which envelopes are let through relay, and which of those are kept.
//!
//! Three verdicts: a message that no honest node forwards is rejected and costs the peer score; one that some
//! implementation forwards in good faith, but that means nothing here, is ignored; the rest is relayed. What is relayed is stored unless it is ephemeral or its time is
//! more than 20 s from now, as in nwaku (`waku_archive/archive.nim`).

use thiserror::Error;

use super::signed::Unsigned;
use crate::wire::message::{Invalid, WakuMessage};

/// How far from now what is stored may be dated.
pub const MAX_DRIFT_NANOS: i64 = archive::MAX_DRIFT.as_nanos() as i64;

/// Why a message goes no further.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    #[error("{bytes} bytes, at most {max_bytes} are allowed")]
    TooLarge { bytes: usize, max_bytes: usize },
    #[error(transparent)]
    Invalid(#[from] Invalid),
    #[error("empty content topic")]
    EmptyContentTopic,
    #[error("protected shard: {0}")]
    Unsigned(#[from] Unsigned),
    #[error("its topic is not served")]
    NotServed,
    #[error("an ephemeral envelope from a store")]
    Ephemeral,
}

impl Refused {
    /// The label it is counted under.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too_large",
            Self::Invalid(Invalid::Protobuf(_)) => "undecodable",
            Self::Invalid(Invalid::TopicNotText) => "topic_not_text",
            Self::Invalid(Invalid::NoPayload) => "no_payload",
            Self::Invalid(Invalid::NoContentTopic) | Self::EmptyContentTopic => "no_content_topic",
            Self::Invalid(Invalid::MetaTooLong(_)) => "meta_too_long",
            Self::Unsigned(_) => "unsigned",
            Self::NotServed => "other_shard",
            Self::Ephemeral => "ephemeral",
        }
    }

    /// Whether every implementation refuses it, so that forwarding it is a fault. nwaku forwards an empty topic, one that
    /// is not UTF-8, and what is larger than a limit of ours. It refuses what lacks a field or has a long meta; whether
    /// go-waku's relay does is not known, so that costs nothing either. A protected shard's key is known to all its members.
    pub fn is_peers_fault(&self) -> bool {
        matches!(self, Self::Invalid(Invalid::Protobuf(_)) | Self::Unsigned(_))
    }
}

/// Judges the bytes of a relayed message.
pub fn judge_relayed(data: &[u8], max_bytes: usize) -> Result<WakuMessage, Refused> {
    if data.len() > max_bytes {
        return Err(Refused::TooLarge {
            bytes: data.len(),
            max_bytes,
        });
    }
    let message = WakuMessage::decode_valid(data)?;
    judge_topic(&message)?;
    Ok(message)
}

/// Judges a message that a client wants published, `encoded_bytes` long.
pub fn judge_published(message: &WakuMessage, encoded_bytes: usize, max_bytes: usize) -> Result<(), Refused> {
    if encoded_bytes > max_bytes {
        return Err(Refused::TooLarge {
            bytes: encoded_bytes,
            max_bytes,
        });
    }
    message.check()?;
    judge_topic(message)
}

fn judge_topic(message: &WakuMessage) -> Result<(), Refused> {
    match message.content_topic.as_deref() {
        Some("") => Err(Refused::EmptyContentTopic),
        _ => Ok(()),
    }
}

/// Why a message that is relayed is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotKept {
    #[error("ephemeral")]
    Ephemeral,
    #[error("its time is more than 20 s ago")]
    TooOld,
    #[error("its time is more than 20 s ahead")]
    FromFuture,
}

impl NotKept {
    /// The label it is counted under: nwaku's where it has one.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Ephemeral => "ephemeral",
            Self::TooOld => "invalid_message_too_old",
            Self::FromFuture => "invalid_message_future_timestamp",
        }
    }
}

/// Whether a live message is kept. Without a clock that can be trusted its time is not held against it: the archive
/// puts it aside until the clock is.
pub fn may_keep(message: &WakuMessage, now: i64, clock_trusted: bool) -> Result<(), NotKept> {
    if message.is_ephemeral() {
        return Err(NotKept::Ephemeral);
    }
    let timestamp = message.timestamp.unwrap_or(0);
    if !clock_trusted {
        return Ok(());
    }
    if timestamp < now.saturating_sub(MAX_DRIFT_NANOS) {
        return Err(NotKept::TooOld);
    }
    if timestamp > now.saturating_add(MAX_DRIFT_NANOS) {
        return Err(NotKept::FromFuture);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    const NOW: i64 = 1_700_000_000_000_000_000;

    fn message() -> WakuMessage {
        WakuMessage {
            payload: Some(vec![7; 100]),
            content_topic: Some("/app/1/name/proto".into()),
            timestamp: Some(NOW),
            ..Default::default()
        }
    }

    #[test]
    fn what_relay_lets_through() {
        let meta = |len| WakuMessage {
            meta: Some(vec![1; len]),
            ..message()
        };
        let cases = [
            ("plain", message(), None),
            (
                "empty payload",
                WakuMessage {
                    payload: Some(vec![]),
                    ..message()
                },
                None,
            ),
            ("full meta", meta(64), None),
            (
                "ephemeral",
                WakuMessage {
                    ephemeral: Some(true),
                    ..message()
                },
                None,
            ),
            (
                "ancient",
                WakuMessage {
                    timestamp: Some(0),
                    ..message()
                },
                None,
            ),
            ("long meta", meta(65), Some(("meta_too_long", false))),
            (
                "no payload",
                WakuMessage {
                    payload: None,
                    ..message()
                },
                Some(("no_payload", false)),
            ),
            (
                "no topic",
                WakuMessage {
                    content_topic: None,
                    ..message()
                },
                Some(("no_content_topic", false)),
            ),
            (
                "empty topic",
                WakuMessage {
                    content_topic: Some("".into()),
                    ..message()
                },
                Some(("no_content_topic", false)),
            ),
            (
                "large",
                WakuMessage {
                    payload: Some(vec![0; 1000]),
                    ..message()
                },
                Some(("too_large", false)),
            ),
        ];
        for (name, message, expected) in cases {
            let refused = judge_relayed(&message.encode_to_vec(), 500).err();
            assert_eq!(
                refused.as_ref().map(|r| (r.reason(), r.is_peers_fault())),
                expected,
                "{name}"
            );
            let published = judge_published(&message, message.encoded_len(), 500).err();
            assert_eq!(
                published.map(|r| r.reason()),
                expected.map(|e| e.0),
                "{name}, published"
            );
        }
        for (bytes, reason, fault) in [
            (&[0xff, 0xff][..], "undecodable", true),
            (&[0x0a, 0, 0x12, 1, 0xff], "topic_not_text", false),
        ] {
            let refused = judge_relayed(bytes, 500).unwrap_err();
            assert_eq!((refused.reason(), refused.is_peers_fault()), (reason, fault));
        }
    }

    #[test]
    fn what_is_kept() {
        let at = |offset: i64| WakuMessage {
            timestamp: Some(NOW + offset),
            ..message()
        };
        let cases = [
            ("now", at(0), Ok(())),
            ("just old enough", at(-MAX_DRIFT_NANOS), Ok(())),
            ("too old", at(-MAX_DRIFT_NANOS - 1), Err(NotKept::TooOld)),
            ("just young enough", at(MAX_DRIFT_NANOS), Ok(())),
            ("from the future", at(MAX_DRIFT_NANOS + 1), Err(NotKept::FromFuture)),
            (
                "no time",
                WakuMessage {
                    timestamp: None,
                    ..message()
                },
                Err(NotKept::TooOld),
            ),
            (
                "least",
                WakuMessage {
                    timestamp: Some(i64::MIN),
                    ..message()
                },
                Err(NotKept::TooOld),
            ),
            (
                "greatest",
                WakuMessage {
                    timestamp: Some(i64::MAX),
                    ..message()
                },
                Err(NotKept::FromFuture),
            ),
            (
                "ephemeral",
                WakuMessage {
                    ephemeral: Some(true),
                    ..message()
                },
                Err(NotKept::Ephemeral),
            ),
        ];
        for (name, message, expected) in cases {
            assert_eq!(may_keep(&message, NOW, true), expected, "{name}");
            let untrusted = if message.is_ephemeral() {
                Err(NotKept::Ephemeral)
            } else {
                Ok(())
            };
            assert_eq!(may_keep(&message, NOW, false), untrusted, "{name}, clock not trusted");
        }
    }
}
