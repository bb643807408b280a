//! The traffic of a community: 14 envelopes a second of 2,050 bytes on a hundred content topics, the busiest of which
//! has a tenth of it. The same seed gives the same envelopes.

use archive::Envelope;

pub(crate) const PAYLOAD_BYTES: usize = 2050;
pub(crate) const RATE: i64 = 14;
pub(crate) const SECOND: i64 = 1_000_000_000;
pub(crate) const HOUR: i64 = 3600 * SECOND;
pub(crate) const TOPICS: u64 = 100;
/// When simulated time begins: a multiple of an hour.
pub(crate) const START: i64 = 498_600 * HOUR;
/// 24 hours of it.
pub(crate) const FULL: u64 = 24 * 3600 * RATE as u64;

/// xorshift64*: enough for a workload.
#[derive(Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count + 8);
        while bytes.len() < count {
            bytes.extend(self.next().to_le_bytes());
        }
        bytes.truncate(count);
        bytes
    }
}

pub(crate) fn topic(number: u64) -> String {
    format!(
        "/waku/1/0x{:08x}/rfc26",
        number.wrapping_mul(2_654_435_761) & 0xffff_ffff
    )
}

/// The `number`th envelope, and when it arrives; spread over `hours` hours for `count` in all.
pub(crate) fn envelope(number: u64, step_ns: i64) -> Envelope {
    let mut random = Random::new(number + 1);
    random.next();
    // Squaring makes some topics much busier than others.
    let pick = random.below(1000);
    let topic_number = pick * pick * TOPICS / 1_000_000;
    Envelope {
        pubsub_topic: if topic_number.is_multiple_of(3) {
            "/waku/2/rs/16/64"
        } else {
            "/waku/2/rs/16/32"
        }
        .into(),
        content_topic: topic(topic_number),
        payload: random.bytes(PAYLOAD_BYTES),
        version: Some(1),
        timestamp: START + number.cast_signed() * step_ns,
        meta: None,
        rate_limit_proof: None,
    }
}
