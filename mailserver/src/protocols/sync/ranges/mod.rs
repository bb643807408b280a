//! Ranges of message ids as reconciliation 1.0.0 exchanges them (WAKU-SYNC, "Delta Encoding"; nwaku
//! `waku_store_sync/codec.nim`, which differs from the specification: it writes no cluster, and where the first range
//! starts).
//!
//! Ranges follow one another without gaps, so only their ends are written, as differences of time; a hash is written
//! only where the time is that of the range before. So an end with a hash can only follow a start of the same time:
//! whoever makes ranges keeps to that. Everything is bounded before memory is taken for it, and what is out of order is
//! refused, so that the ids of a payload can be walked once.

use archive::MessageHash;
use thiserror::Error;

/// The longest payload that is read. An hour of ten envelopes a second is 1.3 MiB of ids.
pub const MAX_PAYLOAD_BYTES: usize = 2 << 20;
/// Ranges in one payload.
pub const MAX_RANGES: usize = 16_384;
/// Pubsub topics, and content topics, that a payload is limited to: as many as a cluster has shards.
pub const MAX_TOPICS: usize = 1024;
const MAX_TOPIC_BYTES: usize = 512;
/// 63 bits in groups of seven: times are signed 64-bit numbers on the other side.
const MAX_VARINT_BYTES: usize = 9;
const HASH_BYTES: usize = 32;

/// An envelope as sync knows it, ordered by time and then by hash; also the end of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// Nanoseconds since the Unix epoch, not negative.
    pub timestamp: i64,
    pub hash: MessageHash,
}

impl Id {
    /// Before every envelope of this time.
    pub fn at(timestamp: i64) -> Self {
        Self {
            timestamp,
            hash: MessageHash([0; HASH_BYTES]),
        }
    }

    fn is_bare(&self) -> bool {
        self.hash.0 == [0; HASH_BYTES]
    }
}

/// All hashes of a range, combined by exclusive or.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; HASH_BYTES]);

impl Fingerprint {
    pub fn add(&mut self, hash: &MessageHash) {
        for (sum, byte) in self.0.iter_mut().zip(hash.0) {
            *sum ^= byte;
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing more to say.
    Skip,
    Fingerprint(Fingerprint),
    /// Ascending, each once. Resolved ones are compared and not answered.
    Items {
        ids: Vec<Id>,
        resolved: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// Exclusive; the next range starts here.
    pub end: Id,
    pub content: Content,
}

/// One message of a session. Without ranges it says that there is nothing left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payload {
    /// Empty means all, for both.
    pub pubsub_topics: Vec<String>,
    pub content_topics: Vec<String>,
    /// Where the first range starts, nanoseconds since the Unix epoch.
    pub start: i64,
    pub ranges: Vec<Range>,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    #[error("payload of {bytes} bytes, at most {MAX_PAYLOAD_BYTES} are read")]
    TooLong { bytes: usize },
    #[error("payload ends inside {0}")]
    Truncated(&'static str),
    #[error("{0} is no varint of at most nine bytes, or not a minimal one")]
    Varint(&'static str),
    #[error("more than {max} {what}")]
    TooMany { what: &'static str, max: usize },
    #[error("topic of more than {MAX_TOPIC_BYTES} bytes or not text")]
    Topic,
    #[error("hash of {0} bytes")]
    HashLength(u8),
    #[error("a time beyond 64 bits")]
    Time,
    #[error("a range that does not end after its start")]
    Empty,
    #[error("ids that do not ascend")]
    Unsorted,
    #[error("no range is of type {0}")]
    RangeType(u8),
    #[error("resolved is {0}, not 0 or 1")]
    Resolved(u8),
}

impl Payload {
    /// Whether nothing in it wants an answer.
    pub fn is_finished(&self) -> bool {
        self.ranges.iter().all(|range| range.content == Content::Skip)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > MAX_PAYLOAD_BYTES {
            return Err(Malformed::TooLong { bytes: bytes.len() });
        }
        // nwaku ends with one zero byte, or with nothing when no topic is common.
        if bytes.len() <= 1 {
            return Ok(Self::default());
        }
        let mut rest = Reader(bytes);
        let mut payload = Self {
            pubsub_topics: rest.topics("pubsub topics")?,
            content_topics: rest.topics("content topics")?,
            start: rest.time(0, "start")?,
            ranges: Vec::new(),
        };
        let mut last = Id::at(payload.start);
        while !rest.0.is_empty() {
            if payload.ranges.len() == MAX_RANGES {
                return Err(Malformed::TooMany {
                    what: "ranges",
                    max: MAX_RANGES,
                });
            }
            let end = rest.end(last)?;
            if end <= last {
                return Err(Malformed::Empty);
            }
            let content = rest.content()?;
            payload.ranges.push(Range { end, content });
            last = end;
        }
        // Without ranges nothing else in it means anything.
        Ok(if payload.ranges.is_empty() {
            Self::default()
        } else {
            payload
        })
    }

    pub fn encode(&self) -> Vec<u8> {
        if self.ranges.is_empty() {
            return vec![0];
        }
        let mut bytes = Vec::new();
        for topics in [&self.pubsub_topics, &self.content_topics] {
            put_varint(&mut bytes, topics.len() as u64);
            for topic in topics {
                put_varint(&mut bytes, topic.len() as u64);
                bytes.extend_from_slice(topic.as_bytes());
            }
        }
        put_time(&mut bytes, 0, self.start);
        let mut last = Id::at(self.start);
        for range in &self.ranges {
            if range.end.timestamp > last.timestamp && !range.end.is_bare() {
                // A merged skip: a hash cannot be written behind another time.
                let between = Id::at(range.end.timestamp);
                put_end(&mut bytes, last, between);
                bytes.push(0);
                last = between;
            }
            put_end(&mut bytes, last, range.end);
            last = range.end;
            put_content(&mut bytes, &range.content);
        }
        bytes
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take(&mut self, count: usize, what: &'static str) -> Result<&[u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed::Truncated(what))?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self, what: &'static str) -> Result<u8, Malformed> {
        Ok(self.take(1, what)?[0])
    }

    /// Little-endian base 128, minimal (WAKU-SYNC, "Varints").
    fn varint(&mut self, what: &'static str) -> Result<u64, Malformed> {
        let mut value = 0;
        for index in 0..MAX_VARINT_BYTES {
            let byte = self.byte(what)?;
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                let minimal = byte != 0 || index == 0;
                return if minimal {
                    Ok(value)
                } else {
                    Err(Malformed::Varint(what))
                };
            }
        }
        Err(Malformed::Varint(what))
    }

    fn count(&mut self, what: &'static str, max: usize) -> Result<usize, Malformed> {
        let count = usize::try_from(self.varint(what)?).unwrap_or(usize::MAX);
        if count > max {
            return Err(Malformed::TooMany { what, max });
        }
        Ok(count)
    }

    fn topics(&mut self, what: &'static str) -> Result<Vec<String>, Malformed> {
        let count = self.count(what, MAX_TOPICS)?;
        let mut topics = Vec::new();
        for _ in 0..count {
            let length = self.varint(what)?;
            let length = usize::try_from(length)
                .ok()
                .filter(|length| *length <= MAX_TOPIC_BYTES)
                .ok_or(Malformed::Topic)?;
            let text = std::str::from_utf8(self.take(length, what)?).map_err(|_| Malformed::Topic)?;
            topics.push(text.to_owned());
        }
        Ok(topics)
    }

    fn time(&mut self, last: i64, what: &'static str) -> Result<i64, Malformed> {
        let difference = i64::try_from(self.varint(what)?).map_err(|_| Malformed::Time)?;
        last.checked_add(difference).ok_or(Malformed::Time)
    }

    fn hash(&mut self, what: &'static str) -> Result<[u8; HASH_BYTES], Malformed> {
        let mut hash = [0; HASH_BYTES];
        hash.copy_from_slice(self.take(HASH_BYTES, what)?);
        Ok(hash)
    }

    fn end(&mut self, last: Id) -> Result<Id, Malformed> {
        let timestamp = self.time(last.timestamp, "end of a range")?;
        let mut end = Id::at(timestamp);
        if timestamp == last.timestamp {
            let length = self.byte("end of a range")?;
            if usize::from(length) > HASH_BYTES {
                return Err(Malformed::HashLength(length));
            }
            let prefix = self.take(usize::from(length), "end of a range")?;
            end.hash.0[..prefix.len()].copy_from_slice(prefix);
        }
        Ok(end)
    }

    fn content(&mut self) -> Result<Content, Malformed> {
        match self.byte("type of a range")? {
            0 => Ok(Content::Skip),
            1 => Ok(Content::Fingerprint(Fingerprint(self.hash("fingerprint")?))),
            2 => self.items(),
            other => Err(Malformed::RangeType(other)),
        }
    }

    fn items(&mut self) -> Result<Content, Malformed> {
        // Each takes at least a byte of time and its hash: more than that is a lie, found before memory is taken.
        let count = self.count("ids", self.0.len() / (HASH_BYTES + 1))?;
        let mut ids = Vec::with_capacity(count);
        let mut last: Option<Id> = None;
        for _ in 0..count {
            let timestamp = self.time(last.map_or(0, |last| last.timestamp), "time of an id")?;
            let hash = MessageHash(self.hash("hash of an id")?);
            let id = Id { timestamp, hash };
            if last.is_some_and(|last| id <= last) {
                return Err(Malformed::Unsorted);
            }
            ids.push(id);
            last = Some(id);
        }
        let resolved = match self.byte("resolved")? {
            0 => false,
            1 => true,
            other => return Err(Malformed::Resolved(other)),
        };
        Ok(Content::Items { ids, resolved })
    }
}

fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(u8::try_from(value & 0x7f).expect("seven bits") | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).expect("seven bits"));
}

fn put_time(bytes: &mut Vec<u8>, last: i64, timestamp: i64) {
    // Made by whoever keeps the order, so it is never negative.
    put_varint(bytes, u64::try_from(timestamp.saturating_sub(last)).unwrap_or(0));
}

fn put_end(bytes: &mut Vec<u8>, last: Id, end: Id) {
    put_time(bytes, last.timestamp, end.timestamp);
    if end.timestamp == last.timestamp {
        let zeros = end.hash.0.iter().rev().take_while(|byte| **byte == 0).count();
        let prefix = &end.hash.0[..HASH_BYTES - zeros];
        bytes.push(u8::try_from(prefix.len()).expect("at most 32"));
        bytes.extend_from_slice(prefix);
    }
}

fn put_content(bytes: &mut Vec<u8>, content: &Content) {
    match content {
        Content::Skip => bytes.push(0),
        Content::Fingerprint(fingerprint) => {
            bytes.push(1);
            bytes.extend_from_slice(&fingerprint.0);
        }
        Content::Items { ids, resolved } => {
            bytes.push(2);
            put_varint(bytes, ids.len() as u64);
            let mut last = 0;
            for id in ids {
                put_time(bytes, last, id.timestamp);
                bytes.extend_from_slice(&id.hash.0);
                last = id.timestamp;
            }
            bytes.push(u8::from(*resolved));
        }
    }
}

#[cfg(test)]
mod tests;
