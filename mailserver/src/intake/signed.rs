//! Protected shards: only envelopes signed by the shard's key are let through (formerly RFC 57/STATUS-SIMPLE-SCALING,
//! nwaku `factory/validator_signed.nim`).
//!
//! The signature is in `meta`: 64 bytes of compact secp256k1 ECDSA over SHA-256 of pubsub topic, payload, content topic,
//! timestamp as eight little-endian bytes, and one byte for ephemeral.

use std::collections::HashMap;

use k256::ecdsa::signature::hazmat::PrehashVerifier;
use k256::ecdsa::{Signature, VerifyingKey};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::settings::ProtectedShard;
use crate::topics::Shard;
use crate::wire::WakuMessage;

/// How far a signed envelope's time may be from now (nwaku's `MessageWindowInSec`).
const MAX_DRIFT_NANOS: u64 = 5 * 60 * 1_000_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unsigned {
    #[error("its time is missing or not within five minutes of now")]
    Time,
    #[error("no valid signature of the shard's key")]
    Signature,
}

/// Which pubsub topics are protected, and by which key.
#[derive(Clone, Debug, Default)]
pub struct Validator {
    keys: HashMap<String, VerifyingKey>,
}

impl Validator {
    pub fn new(cluster_id: u16, protected: &[ProtectedShard]) -> Self {
        let key = |protected: &ProtectedShard| {
            let topic = Shard::new(cluster_id, protected.shard).to_string();
            (topic, protected.public_key)
        };
        Self {
            keys: protected.iter().map(key).collect(),
        }
    }

    /// Lets everything through on topics that are not protected. The time is held against the envelope only by a clock
    /// that can be trusted.
    pub fn judge(&self, topic: &str, message: &WakuMessage, now: i64, clock_trusted: bool) -> Result<(), Unsigned> {
        let Some(key) = self.keys.get(topic) else { return Ok(()) };
        let timestamp = message.timestamp.unwrap_or(0);
        if timestamp == 0 || (clock_trusted && now.abs_diff(timestamp) >= MAX_DRIFT_NANOS) {
            return Err(Unsigned::Time);
        }
        let meta = message.meta.as_deref().unwrap_or_default();
        let signature = Signature::from_slice(meta).map_err(|_| Unsigned::Signature)?;
        key.verify_prehash(&digest(topic, message), &signature)
            .map_err(|_| Unsigned::Signature)
    }

    pub fn protects(&self, topic: &str) -> bool {
        self.keys.contains_key(topic)
    }
}

fn digest(topic: &str, message: &WakuMessage) -> [u8; 32] {
    let mut sha = Sha256::new();
    sha.update(topic.as_bytes());
    sha.update(message.payload.as_deref().unwrap_or_default());
    sha.update(message.content_topic.as_deref().unwrap_or_default().as_bytes());
    sha.update(message.timestamp.unwrap_or(0).to_le_bytes());
    sha.update([u8::from(message.is_ephemeral())]);
    sha.finalize().into()
}

#[cfg(test)]
mod tests {
    use k256::ecdsa::SigningKey;
    use k256::ecdsa::signature::hazmat::PrehashSigner;

    use super::*;

    const TOPIC: &str = "pubsub-topic";
    const TIMESTAMP: i64 = 1_683_208_172_339_052_800;
    const MINUTE: i64 = 60 * 1_000_000_000;

    /// nwaku `tests/wakunode2/test_validators.nim`, go-waku `waku/v2/protocol/relay/validators_test.go`.
    fn vector() -> (Validator, WakuMessage) {
        let key = "049c5fac802da41e07e6cdf51c3b9a6351ad5e65921527f2df5b7d59fd9b56ab02bab736cdcfc37f25095e78127500da371947217a8cd5186ab890ea866211c3f6";
        let key = VerifyingKey::from_sec1_bytes(&hex::decode(key).unwrap()).unwrap();
        let payload = "1A12E077D0E89F9CAC11FBBB6A676C86120B5AD3E248B1F180E98F15EE43D2DFCF62F00C92737B2FF6F59B3ABA02773314B991C41DC19ADB0AD8C17C8E26757B";
        let meta = "127FA211B2514F0E974A055392946DC1A14052182A6ABEFB8A6CD7C51DA1BF2E40595D28EF1A9488797C297EED3AAC45430005FB3A7F037BDD9FC4BD99F59E63";
        let message = WakuMessage {
            payload: Some(hex::decode(payload).unwrap()),
            content_topic: Some("content-topic".into()),
            timestamp: Some(TIMESTAMP),
            ephemeral: Some(true),
            meta: Some(hex::decode(meta).unwrap()),
            ..Default::default()
        };
        (
            Validator {
                keys: HashMap::from([(TOPIC.to_owned(), key)]),
            },
            message,
        )
    }

    fn sign(message: &WakuMessage, secret: &str) -> WakuMessage {
        let key = SigningKey::from_slice(&hex::decode(secret).unwrap()).unwrap();
        let signature: Signature = key.sign_prehash(&digest(TOPIC, message)).unwrap();
        WakuMessage {
            meta: Some(signature.to_bytes().to_vec()),
            ..message.clone()
        }
    }

    #[test]
    fn digest_and_signature_vectors() {
        let (validator, message) = vector();
        assert_eq!(
            hex::encode_upper(digest(TOPIC, &message)),
            "662F8C20A335F170BD60ABC1F02AD66F0C6A6EE285DA2A53C95259E7937C0AE9"
        );
        assert_eq!(validator.judge(TOPIC, &message, TIMESTAMP, true), Ok(()));
        let ours = sign(
            &message,
            "5526a8990317c9b7b58d07843d270f9cd1d9aaee129294c1c478abf7261dd9e6",
        );
        assert_eq!(ours.meta, message.meta, "deterministic signatures (RFC 6979) are equal");
    }

    #[test]
    fn what_is_not_let_through() {
        let (validator, good) = vector();
        let other_key = "32ad0cc8edeb9f8a3e8635c5fe5bd200b9247a33da5e7171bd012691805151f3";
        let mut flipped = good.clone();
        flipped.payload.as_mut().unwrap()[0] ^= 1;
        let cases = [
            ("other key", sign(&good, other_key), TIMESTAMP, Unsigned::Signature),
            ("changed payload", flipped, TIMESTAMP, Unsigned::Signature),
            (
                "no meta",
                WakuMessage {
                    meta: None,
                    ..good.clone()
                },
                TIMESTAMP,
                Unsigned::Signature,
            ),
            (
                "short meta",
                WakuMessage {
                    meta: Some(vec![1; 63]),
                    ..good.clone()
                },
                TIMESTAMP,
                Unsigned::Signature,
            ),
            (
                "zeroes",
                WakuMessage {
                    meta: Some(vec![0; 64]),
                    ..good.clone()
                },
                TIMESTAMP,
                Unsigned::Signature,
            ),
            (
                "no time",
                WakuMessage {
                    timestamp: None,
                    ..good.clone()
                },
                TIMESTAMP,
                Unsigned::Time,
            ),
            (
                "five minutes late",
                good.clone(),
                TIMESTAMP + 5 * MINUTE,
                Unsigned::Time,
            ),
            (
                "five minutes early",
                good.clone(),
                TIMESTAMP - 5 * MINUTE,
                Unsigned::Time,
            ),
        ];
        for (name, message, now, expected) in cases {
            assert_eq!(validator.judge(TOPIC, &message, now, true), Err(expected), "{name}");
            assert_eq!(validator.judge("another topic", &message, now, true), Ok(()), "{name}");
        }
        assert_eq!(validator.judge(TOPIC, &good, TIMESTAMP + 5 * MINUTE - 1, true), Ok(()));
        assert_eq!(
            validator.judge(TOPIC, &good, 0, false),
            Ok(()),
            "a clock that is not trusted judges nothing"
        );
    }
}
