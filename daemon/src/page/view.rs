//! All that the page is made of, gathered by HTTP for one browser and drawn by HTML. It knows neither.

use std::time::Duration;

use super::history::HOURS;
use super::lock::Lock;
use crate::log::Entry;
use crate::snapshot::Snapshot;
use crate::wording::Wording;

pub(super) struct View<'a> {
    pub(super) words: &'static Wording,
    pub(super) snapshot: &'a Snapshot,
    /// How long the supervisor has been silent, when that is too long.
    pub(super) silent: Option<Duration>,
    /// Envelopes by the hour, and the archive's size by time before now.
    pub(super) hours: [Option<u64>; HOURS],
    pub(super) sizes: Vec<(Duration, u64)>,
    pub(super) seen_for: Duration,
    /// Seconds since the Unix epoch.
    pub(super) now: i64,
    pub(super) host: &'a str,
    pub(super) lock: Lock<'a>,
    /// The last lines, oldest first.
    pub(super) log: Vec<Entry>,
    /// What was just done, from the page's own address.
    pub(super) done: Option<&'static str>,
    /// Whether the machine can be restarted and powered off from here.
    pub(super) switches: bool,
    /// Whether an access code unlocks the page, too.
    pub(super) has_code: bool,
}
