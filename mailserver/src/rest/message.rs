//! An envelope in JSON, as nwaku's REST reads and writes it (`rest_api/endpoint/relay/types.nim`, `store/types.nim`).

use archive::Envelope;
use base64::{DecodeError, Engine, engine::general_purpose::STANDARD, prelude::BASE64_STANDARD_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::{intake::received::Received, wire::WakuMessage};

/// An envelope in a request.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GivenMessage {
    payload: Option<String>,
    content_topic: Option<String>,
    version: Option<u32>,
    timestamp: Option<i64>,
    meta: Option<String>,
    ephemeral: Option<bool>,
    proof: Option<String>,
}

/// Why what was given is no message, in nwaku's words.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    #[error("Field `{0}` is missing or empty")]
    Missing(&'static str),
    #[error("Invalid content body, could not decode: failed to decode base64: {0}")]
    Base64(#[from] DecodeError),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl GivenMessage {
    /// The message to publish. A timestamp that is absent or 0 is set by whoever publishes it.
    pub(super) fn into_message(self) -> Result<WakuMessage, MessageError> {
        let required = |value: Option<String>, name| {
            value
                .filter(|text| !text.trim().is_empty())
                .ok_or(MessageError::Missing(name))
        };
        let optional = |value: Option<String>| match value {
            None => Ok(None),
            Some(text) => decode(&text).map(|bytes| Some(bytes).filter(|bytes| !bytes.is_empty())),
        };
        Ok(WakuMessage {
            payload: Some(decode(&required(self.payload, "payload")?)?),
            content_topic: Some(required(self.content_topic, "contentTopic")?),
            version: Some(self.version.unwrap_or(0)),
            timestamp: self.timestamp.filter(|timestamp| *timestamp != 0),
            meta: optional(self.meta)?,
            rate_limit_proof: optional(self.proof)?,
            ephemeral: self.ephemeral,
        })
    }
}

/// Reads an envelope to publish from the JSON of a request's body.
pub fn read_message(json: &[u8]) -> Result<WakuMessage, MessageError> {
    let given: GivenMessage = serde_json::from_slice(json)?;
    given.into_message()
}

fn decode(text: &str) -> Result<Vec<u8>, DecodeError> {
    BASE64_STANDARD_NO_PAD.decode(text.trim_end_matches('='))
}

/// An envelope in an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownMessage {
    payload: String,
    content_topic: String,
    version: u32,
    timestamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<String>,
    ephemeral: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<String>,
}

impl ShownMessage {
    /// As relay's messages are shown: always with a proof, be it empty.
    pub(super) fn relayed(received: &Received) -> Self {
        let shown = Self::of(&received.envelope, received.ephemeral);
        Self {
            proof: Some(shown.proof.unwrap_or_default()),
            ..shown
        }
    }

    /// As the filter's messages are shown: never with a proof.
    pub(super) fn filtered(received: &Received) -> Self {
        Self {
            proof: None,
            ..Self::of(&received.envelope, received.ephemeral)
        }
    }

    /// As stored messages are shown: with a proof if there is one.
    pub(super) fn of(envelope: &Envelope, ephemeral: bool) -> Self {
        let shown = |bytes: &Option<Vec<u8>>| {
            bytes
                .as_ref()
                .filter(|bytes| !bytes.is_empty())
                .map(|bytes| STANDARD.encode(bytes))
        };
        Self {
            payload: STANDARD.encode(&envelope.payload),
            content_topic: envelope.content_topic.clone(),
            version: envelope.version.unwrap_or(0),
            timestamp: envelope.timestamp,
            meta: shown(&envelope.meta),
            ephemeral,
            proof: shown(&envelope.rate_limit_proof),
        }
    }
}
