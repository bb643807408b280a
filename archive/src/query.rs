//! What can be asked of the archive: the filters, cursor, direction and page of Waku store 3.0.0 (RFC 13/WAKU2-STORE).

use crate::{Envelope, MessageHash};

/// The largest page (nwaku's `MaxPageSize`).
pub const MAX_PAGE: usize = 100;

/// A query. All filters that are set must hold. Order is (timestamp, hash) in both directions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
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
    pub direction: Direction,
    /// Clamped to 1..=[`MAX_PAGE`].
    pub limit: usize,
    /// Whether entries carry their envelopes.
    pub include_data: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    Forward,
    /// The default of store 3.0.0: newest page first, ascending inside the page.
    #[default]
    Backward,
}

/// One page, ascending in (timestamp, hash) whatever the direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    pub entries: Vec<Entry>,
    /// Set when there is more: the last entry's hash (forward) or the first's (backward).
    pub cursor: Option<MessageHash>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub hash: MessageHash,
    /// Present when [`Query::include_data`] was set.
    pub envelope: Option<Envelope>,
}
