//! One side of a session: what to answer to a payload, and which envelopes the other side lacks.

use std::collections::HashSet;

use archive::MessageHash;

use super::split::{MAX_PARTS, split};
use super::{IdSet, Scope};
use crate::protocols::sync::ranges::{Content, Fingerprint, Id, MAX_RANGES, Payload, Range};

/// A range with so few of our ids is sent as its ids.
const ITEMS: usize = 32;
/// Bytes of a fingerprint's range, at most: time, hash and type around it.
const FINGERPRINT_BYTES: usize = 9 + 33 + 1 + 32;
/// Bytes of an id, at most.
const ID_BYTES: usize = 9 + 32;
/// Ranges in an answer that splits; the rest of what is allowed is for those that are put off.
const SPLIT_RANGES: usize = MAX_RANGES / 2;

/// Below it a range could be put off for ever.
pub const MIN_ANSWER_BYTES: usize = MAX_PARTS * FINGERPRINT_BYTES + ITEMS * ID_BYTES;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// An answer puts off what would make it longer than about this; not less than a split takes, [`MIN_ANSWER_BYTES`].
    pub answer_bytes: usize,
    /// Envelopes handed over in a session; what is left over waits for the next one.
    pub envelopes: usize,
    /// Payloads read in a session.
    pub rounds: u32,
}

/// One side of a session.
#[derive(Debug)]
pub struct Session {
    limits: Limits,
    /// Nothing before it is compared, whatever the set still holds.
    floor: i64,
    rounds: u32,
    handed_over: HashSet<MessageHash>,
    lacking: usize,
    cut_short: bool,
}

/// What to do with a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What to send; nothing when the other side has finished.
    pub payload: Option<Payload>,
    /// What the other side lacks and is to be sent.
    pub hand_over: Vec<MessageHash>,
    /// Whether the session is over once the payload is sent.
    pub last: bool,
}

impl Session {
    /// Compares nothing older than `floor`.
    pub fn new(floor: i64, limits: Limits) -> Self {
        let answer_bytes = limits.answer_bytes.max(MIN_ANSWER_BYTES);
        Self {
            limits: Limits { answer_bytes, ..limits },
            floor,
            rounds: 0,
            handed_over: HashSet::new(),
            lacking: 0,
            cut_short: false,
        }
    }

    /// What whoever starts the session sends first: everything up to `end`. `None` when there is no such time.
    pub fn open(&self, set: &IdSet, end: i64) -> Option<Payload> {
        let (start, end) = (Id::at(self.floor.max(set.floor())), Id::at(end));
        if start >= end {
            return None;
        }
        let scope = set.scope(&[], &[])?;
        let (fingerprint, _) = set.fingerprint(start, end, &scope);
        Some(Payload {
            pubsub_topics: set.pubsub_topics().to_vec(),
            content_topics: Vec::new(),
            start: start.timestamp,
            ranges: vec![Range {
                end,
                content: Content::Fingerprint(fingerprint),
            }],
        })
    }

    /// What to make of what the other side sent.
    pub fn answer(&mut self, set: &IdSet, payload: &Payload) -> Answer {
        self.rounds += 1;
        let mut answer = Answer {
            payload: None,
            hand_over: Vec::new(),
            last: true,
        };
        if payload.is_finished() {
            return answer;
        }
        let Some(scope) = set.scope(&payload.pubsub_topics, &payload.content_topics) else {
            answer.payload = Some(Payload::default());
            return answer;
        };
        if self.rounds > self.limits.rounds {
            self.cut_short = true;
            answer.payload = Some(Payload::default());
            return answer;
        }
        let mut writer = Writer::new(self.limits.answer_bytes);
        let mut start = Id::at(payload.start);
        for (index, range) in payload.ranges.iter().enumerate() {
            writer.still_to_come = payload.ranges.len() - index - 1;
            self.compare(set, &scope, start, range, &mut writer, &mut answer.hand_over);
            start = range.end;
        }
        let mut reply = Payload {
            pubsub_topics: set.pubsub_topics().to_vec(),
            content_topics: Vec::new(),
            start: payload.start,
            ranges: writer.ranges,
        };
        if reply.is_finished() {
            reply = Payload::default();
        }
        answer.last = reply.ranges.is_empty();
        answer.payload = Some(reply);
        answer
    }

    fn compare(
        &mut self,
        set: &IdSet,
        scope: &Scope,
        start: Id,
        range: &Range,
        writer: &mut Writer,
        hand_over: &mut Vec<MessageHash>,
    ) {
        let floor = Id::at(self.floor.max(set.floor()));
        let end = range.end;
        if range.content == Content::Skip || end <= floor {
            return writer.skip(end);
        }
        let clipped = start < floor;
        let start = start.max(floor);
        if clipped {
            writer.skip(start);
        }
        match &range.content {
            Content::Skip => writer.skip(end),
            Content::Fingerprint(theirs) => {
                let (ours, count) = set.fingerprint(start, end, scope);
                if !clipped && ours == *theirs {
                    writer.skip(end);
                } else if !writer.has_room(MAX_PARTS, MIN_ANSWER_BYTES) {
                    writer.put_off(end, ours);
                } else if count <= ITEMS {
                    let ids: Vec<Id> = set.range(start, end, scope).collect();
                    let resolved = ids.is_empty();
                    writer.push(end, Content::Items { ids, resolved });
                } else {
                    for part in split(set, start, end, scope, count) {
                        writer.push(part.end, part.content);
                    }
                }
            }
            Content::Items { ids, resolved } => {
                let theirs = within(ids, start, end);
                let bytes = theirs.len() * ID_BYTES;
                let too_many = bytes > self.limits.answer_bytes;
                if !resolved && !too_many && !writer.has_room(1, bytes) {
                    return writer.put_off(end, set.fingerprint(start, end, scope).0);
                }
                let common = self.difference(set.range(start, end, scope), theirs, hand_over);
                self.lacking += theirs.len() - common.len();
                if *resolved || common.len() == theirs.len() {
                    writer.skip(end);
                } else if too_many {
                    self.cut_short = true;
                    writer.skip(end);
                } else {
                    // Of what both have the other side learns what we lack; what it lacks is on its way anyhow.
                    let (ids, resolved) = (common, true);
                    writer.push(end, Content::Items { ids, resolved });
                }
            }
        }
    }

    /// Returns what both have; what only we have is handed over.
    fn difference(
        &mut self,
        ours: impl Iterator<Item = Id>,
        theirs: &[Id],
        hand_over: &mut Vec<MessageHash>,
    ) -> Vec<Id> {
        let mut common = Vec::new();
        let mut theirs = theirs.iter().peekable();
        for id in ours {
            while theirs.next_if(|their| **their < id).is_some() {}
            if theirs.next_if(|their| **their == id).is_some() {
                common.push(id);
            } else if self.handed_over.len() >= self.limits.envelopes {
                self.cut_short = true;
            } else if self.handed_over.insert(id.hash) {
                hand_over.push(id.hash);
            }
        }
        common
    }

    /// Payloads read so far.
    pub fn rounds(&self) -> u32 {
        self.rounds
    }

    /// Differences found so far, both ways.
    pub fn differences(&self) -> usize {
        self.lacking + self.handed_over.len()
    }

    /// Whether a limit left something for another session.
    pub fn is_cut_short(&self) -> bool {
        self.cut_short
    }
}

/// What of ascending ids lies in a range; a peer's ids outside of it mean nothing.
fn within(ids: &[Id], start: Id, end: Id) -> &[Id] {
    let from = ids.partition_point(|id| *id < start);
    let to = ids.partition_point(|id| *id < end);
    &ids[from..to.max(from)]
}

/// The ranges of an answer; consecutive skips are one.
struct Writer {
    ranges: Vec<Range>,
    bytes: usize,
    max_bytes: usize,
    /// Ranges of the other side that are not answered yet: each needs a place.
    still_to_come: usize,
}

impl Writer {
    fn new(max_bytes: usize) -> Self {
        Self {
            ranges: Vec::new(),
            bytes: 0,
            max_bytes,
            still_to_come: 0,
        }
    }

    fn has_room(&self, ranges: usize, bytes: usize) -> bool {
        self.ranges.len() + self.still_to_come + ranges <= SPLIT_RANGES && self.bytes + bytes <= self.max_bytes
    }

    fn push(&mut self, end: Id, content: Content) {
        self.bytes += match &content {
            Content::Skip => 0,
            Content::Fingerprint(_) => FINGERPRINT_BYTES,
            Content::Items { ids, .. } => FINGERPRINT_BYTES + ids.len() * ID_BYTES,
        };
        self.ranges.push(Range { end, content });
    }

    fn skip(&mut self, end: Id) {
        match self.ranges.last_mut() {
            Some(Range {
                end: last,
                content: Content::Skip,
            }) => *last = end,
            _ => self.push(end, Content::Skip),
        }
    }

    /// The same range again, by our fingerprint, for the next round. A payload of more ranges than that is left.
    fn put_off(&mut self, end: Id, ours: Fingerprint) {
        // Two places each: a merged skip may be written as two.
        if 2 * self.ranges.len() + self.still_to_come < MAX_RANGES {
            self.push(end, Content::Fingerprint(ours));
        } else {
            self.skip(end);
        }
    }
}
