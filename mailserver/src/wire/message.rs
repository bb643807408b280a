//! WakuMessage (RFC 14/WAKU2-MESSAGE) and its conversion to and from the archive's envelope.

use archive::Envelope;
use prost::Message;
use thiserror::Error;

/// The longest `meta` (RFC 14/WAKU2-MESSAGE, "Message attributes").
pub const MAX_META_BYTES: usize = 64;

/// Fields 1 and 2 are optional here only to see whether they were there: nwaku refuses a message without them, so they
/// are always written.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct WakuMessage {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub payload: Option<Vec<u8>>,
    #[prost(string, optional, tag = "2")]
    pub content_topic: Option<String>,
    #[prost(uint32, optional, tag = "3")]
    pub version: Option<u32>,
    /// Nanoseconds since the Unix epoch.
    #[prost(sint64, optional, tag = "10")]
    pub timestamp: Option<i64>,
    #[prost(bytes = "vec", optional, tag = "11")]
    pub meta: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "21")]
    pub rate_limit_proof: Option<Vec<u8>>,
    #[prost(bool, optional, tag = "31")]
    pub ephemeral: Option<bool>,
}

/// The same as bytes, for telling what is no text from what is no message: nwaku takes any bytes for a content topic.
#[derive(Clone, PartialEq, Eq, Message)]
struct AnyBytes {
    #[prost(bytes = "vec", optional, tag = "1")]
    payload: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "2")]
    content_topic: Option<Vec<u8>>,
    #[prost(uint32, optional, tag = "3")]
    version: Option<u32>,
    #[prost(sint64, optional, tag = "10")]
    timestamp: Option<i64>,
    #[prost(bytes = "vec", optional, tag = "11")]
    meta: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "21")]
    rate_limit_proof: Option<Vec<u8>>,
    #[prost(bool, optional, tag = "31")]
    ephemeral: Option<bool>,
}

/// Why bytes are no WakuMessage that is of use here.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Invalid {
    #[error("not a WakuMessage: {0}")]
    Protobuf(#[from] prost::DecodeError),
    #[error("the content topic is not UTF-8")]
    TopicNotText,
    #[error("WakuMessage without payload field")]
    NoPayload,
    #[error("WakuMessage without content topic field")]
    NoContentTopic,
    #[error("meta of {0} bytes, at most 64 are allowed")]
    MetaTooLong(usize),
}

impl WakuMessage {
    /// Decodes and holds the message to RFC 14's must-haves.
    pub fn decode_valid(bytes: &[u8]) -> Result<Self, Invalid> {
        let message = Self::decode(bytes).map_err(|error| match AnyBytes::decode(bytes) {
            Ok(_) => Invalid::TopicNotText,
            Err(_) => Invalid::Protobuf(error),
        })?;
        message.check()?;
        Ok(message)
    }

    pub fn check(&self) -> Result<(), Invalid> {
        if self.payload.is_none() {
            return Err(Invalid::NoPayload);
        }
        if self.content_topic.is_none() {
            return Err(Invalid::NoContentTopic);
        }
        match &self.meta {
            Some(meta) if meta.len() > MAX_META_BYTES => Err(Invalid::MetaTooLong(meta.len())),
            _ => Ok(()),
        }
    }

    pub fn is_ephemeral(&self) -> bool {
        self.ephemeral.unwrap_or(false)
    }

    /// The envelope as it came by `pubsub_topic`. Whether it was ephemeral is lost: ask before.
    pub fn into_envelope(self, pubsub_topic: String) -> Envelope {
        Envelope {
            pubsub_topic,
            content_topic: self.content_topic.unwrap_or_default(),
            payload: self.payload.unwrap_or_default(),
            version: self.version,
            timestamp: self.timestamp.unwrap_or(0),
            // An empty field hashes like an absent one and nwaku writes every field, so they are one.
            meta: self.meta.filter(|meta| !meta.is_empty()),
            rate_limit_proof: self.rate_limit_proof.filter(|proof| !proof.is_empty()),
        }
    }

    pub fn from_envelope(envelope: Envelope, ephemeral: bool) -> Self {
        Self {
            payload: Some(envelope.payload),
            content_topic: Some(envelope.content_topic),
            version: envelope.version,
            timestamp: (envelope.timestamp != 0).then_some(envelope.timestamp),
            meta: envelope.meta,
            rate_limit_proof: envelope.rate_limit_proof,
            ephemeral: ephemeral.then_some(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> WakuMessage {
        WakuMessage {
            payload: Some(vec![1, 2, 3]),
            content_topic: Some("/app/1/name/proto".into()),
            timestamp: Some(-1),
            ..Default::default()
        }
    }

    #[test]
    fn fields_one_and_two_are_written_even_when_empty() {
        let empty = WakuMessage {
            payload: Some(vec![]),
            content_topic: Some(String::new()),
            ..Default::default()
        };
        assert_eq!(empty.encode_to_vec(), [0x0a, 0, 0x12, 0]);
    }

    #[test]
    fn timestamp_is_a_zigzag_varint_in_field_ten() {
        let encoded = message().encode_to_vec();
        assert_eq!(encoded[encoded.len() - 2..], [10 << 3, 1]);
    }

    #[test]
    fn what_is_refused() {
        let no_payload = WakuMessage {
            payload: None,
            ..message()
        };
        let no_topic = WakuMessage {
            content_topic: None,
            ..message()
        };
        let long_meta = WakuMessage {
            meta: Some(vec![0; 67]),
            ..message()
        };
        let full_meta = WakuMessage {
            meta: Some(vec![0; 64]),
            ..message()
        };
        assert_eq!(
            WakuMessage::decode_valid(&no_payload.encode_to_vec()),
            Err(Invalid::NoPayload)
        );
        assert_eq!(
            WakuMessage::decode_valid(&no_topic.encode_to_vec()),
            Err(Invalid::NoContentTopic)
        );
        // go-waku's vector: a meta of 67 bytes does not decode.
        assert_eq!(
            WakuMessage::decode_valid(&long_meta.encode_to_vec()),
            Err(Invalid::MetaTooLong(67))
        );
        assert_eq!(WakuMessage::decode_valid(&full_meta.encode_to_vec()), Ok(full_meta));
        assert!(matches!(WakuMessage::decode_valid(&[0xff]), Err(Invalid::Protobuf(_))));
        // Content topics are text, though not for nwaku.
        assert_eq!(
            WakuMessage::decode_valid(&[0x0a, 0, 0x12, 1, 0xff]),
            Err(Invalid::TopicNotText)
        );
    }

    /// nwaku `tests/waku_core/test_message_digest.nim`, and go-waku `waku/v2/protocol/pb/utils_test.go`, as their messages
    /// come from the wire; RFC 14's own are in the archive's tests.
    #[test]
    fn deterministic_hashes_of_nwaku_and_go_waku() {
        let payload: &[u8] = &[1, 2, 3, 4, 0x54, 0x45, 0x53, 0x54, 5, 6, 7, 8];
        let full: Vec<u8> = (0..64).collect();
        let short: &[u8] = b"super-secret";
        let nwaku = ("/waku/2/rs/0/0", "/waku/2/default-content/proto", 0x1757_89bf_a23f_8400);
        let go_waku = ("test", "ContentTopic", 0);
        for ((pubsub_topic, content_topic, timestamp), payload, meta, expected) in [
            (
                nwaku,
                payload,
                Some(short),
                "b9b4852f9d8c489846e8bfc6c5ca6a1a8d460a40d28832a966e029eb39619199",
            ),
            (
                nwaku,
                payload,
                Some(&full[..]),
                "653460d04f66c5b11814d235152f4f246e6f03ef80a305a825913636fbafd0ba",
            ),
            (
                nwaku,
                payload,
                None,
                "cccab07fed94181c83937c8ca8340c9108492b7ede354a6d95421ad34141fd37",
            ),
            (
                nwaku,
                &[],
                Some(short),
                "0f6448cc23b2db6c696aa6ab4b693eff4cf3549ff346fe1dbeb281697396a09f",
            ),
            (
                go_waku,
                &[],
                None,
                "9100e4a5cff71927498166b3dfc7a631f087c729b42883b95c31253303c90795",
            ),
        ] {
            let sent = WakuMessage {
                payload: Some(payload.to_vec()),
                content_topic: Some(content_topic.into()),
                timestamp: Some(timestamp),
                meta: meta.map(<[u8]>::to_vec),
                ..Default::default()
            };
            let received = WakuMessage::decode_valid(&sent.encode_to_vec()).unwrap();
            assert_eq!(received.into_envelope(pubsub_topic.into()).hash().to_string(), expected);
        }
    }

    #[test]
    fn envelope_round_trip_keeps_the_hash() {
        let message = WakuMessage {
            meta: Some(vec![]),
            version: Some(1),
            ..message()
        };
        let envelope = message.into_envelope("/waku/2/rs/16/32".into());
        let again = WakuMessage::from_envelope(envelope.clone(), false).into_envelope("/waku/2/rs/16/32".into());
        assert_eq!(envelope.hash(), again.hash());
        assert_eq!(envelope, again);
    }
}
