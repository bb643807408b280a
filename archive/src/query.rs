//! What can be asked of the archive: the filters, cursor, direction and page of Waku store 3.0.0 (RFC 13/WAKU2-STORE).

use crate::envelope::{Envelope, MessageHash};

/// The largest page (nwaku's `MaxPageSize`).
pub const MAX_PAGE: usize = 100;

/// A page ends before it is heavier than this, with a cursor, but never before its first envelope: a hundred of the
/// largest envelopes (1 MiB in the Status network) would be a hundred MiB, for each of those who ask.
pub const MAX_PAGE_BYTES: usize = 4 << 20;

/// A query. All filters that are set must hold. Order is (timestamp, hash) in both directions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Only of this shard.
    pub pubsub_topic: Option<String>,
    /// Any of these; empty means every content topic.
    pub content_topics: Vec<String>,
    /// Nanoseconds since the Unix epoch, inclusive.
    pub time_start: Option<i64>,
    /// Nanoseconds since the Unix epoch, inclusive as in nwaku.
    pub time_end: Option<i64>,
    /// Any of these; empty means every hash.
    pub hashes: Vec<MessageHash>,
    /// Exclusive: what comes after it (forward) or before it (backward).
    pub cursor: Option<MessageHash>,
    /// Which end of the order the page is taken from.
    pub direction: Direction,
    /// Clamped to 1..=[`MAX_PAGE`]; a page of envelopes also ends at [`MAX_PAGE_BYTES`].
    pub limit: usize,
    /// Whether entries carry their envelopes.
    pub include_data: bool,
}

/// Which end of the order a page is taken from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// The oldest first.
    Forward,
    /// The default of store 3.0.0: newest page first, ascending inside the page.
    #[default]
    Backward,
}

impl Query {
    /// Whether it asks for envelopes of these topics.
    pub(crate) fn wants(&self, pubsub_topic: &str, content_topic: &str) -> bool {
        self.pubsub_topic.as_ref().is_none_or(|wanted| wanted == pubsub_topic)
            && (self.content_topics.is_empty() || self.content_topics.iter().any(|wanted| wanted == content_topic))
    }
}

/// One page, ascending in (timestamp, hash) whatever the direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// In (timestamp, hash) order.
    pub entries: Vec<Entry>,
    /// Set when there is more: the last entry's hash (forward) or the first's (backward).
    pub cursor: Option<MessageHash>,
}

/// One envelope of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its hash, which is also its cursor.
    pub hash: MessageHash,
    /// Present when [`Query::include_data`] was set.
    pub envelope: Option<Envelope>,
}
