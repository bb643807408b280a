//! A payload of reconciliation from a peer: what decodes encodes to what decodes to the same, and its answer keeps to
//! the limits and decodes too.
use std::sync::LazyLock;

use archive::MessageHash;
use pillarbox_mailserver::protocols::sync::ranges::{Id, MAX_PAYLOAD_BYTES, Payload};
use pillarbox_mailserver::protocols::sync::reconcile::{IdSet, Limits, Session};

const TOPIC: &str = "/waku/2/rs/16/32";
const LIMITS: Limits = Limits {
    answer_bytes: 64 << 10,
    envelopes: 100,
    rounds: 32,
};

static SET: LazyLock<IdSet> = LazyLock::new(|| {
    let mut set = IdSet::new(vec![TOPIC.into()], 1000);
    for n in 0..500u16 {
        let byte = u8::try_from(n % 251).expect("less than 251");
        let id = Id {
            timestamp: i64::from(n / 3),
            hash: MessageHash([byte; 32]),
        };
        set.insert(id, TOPIC, "/fuzz/1/name/proto");
    }
    set
});

pub(crate) fn run(data: &[u8]) {
    let Ok(payload) = Payload::decode(data) else {
        return;
    };
    assert_eq!(Payload::decode(&payload.encode()).as_ref(), Ok(&payload));
    let answer = Session::new(0, LIMITS).answer(&SET, &payload);
    assert!(answer.hand_over.len() <= LIMITS.envelopes);
    if let Some(reply) = answer.payload {
        let encoded = reply.encode();
        assert!(encoded.len() <= MAX_PAYLOAD_BYTES);
        assert!(Payload::decode(&encoded).is_ok());
    }
}
