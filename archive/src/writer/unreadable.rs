//! Segments that cannot be read though nothing says that they are damaged: no permission, no room for SQLite's files
//! beside them, a device that fails. The rest goes on without them.
//!
//! One that cannot be opened is left where it is and tried again every few seconds. One in which the device fails to
//! read is asked once more, for a bus may stumble; when it fails again the segment is put into the quarantine.

use crate::directory::names::SegmentName;
use crate::mutex::lock;
use crate::nanos::NANOS;
use crate::segment::harm::Harm;
use crate::segment::open;
use crate::segment::sealed::Sealed;
use crate::writer::archive::Archive;
use crate::writer::catalogue::Catalogue;

/// Between two tries, each of one segment.
const AGAIN_NS: i64 = 5 * NANOS;
/// Why a segment whose device failed is in the quarantine.
const REASON: &str = "read-error";

#[derive(Default)]
pub(crate) struct Unreadable {
    /// The next to be tried first.
    names: std::collections::VecDeque<SegmentName>,
    tried_at: Option<i64>,
    /// The device failed to read something in these, once.
    suspects: Vec<SegmentName>,
}

impl Unreadable {
    pub(crate) fn names(&self) -> impl Iterator<Item = &SegmentName> {
        self.names.iter()
    }

    pub(crate) fn push(&mut self, name: SegmentName) {
        self.names.push_back(name);
    }

    pub(crate) fn forget(&mut self, name: SegmentName) {
        self.names.retain(|other| *other != name);
        self.suspects.retain(|other| *other != name);
    }

    /// Which one's turn it is.
    fn next(&mut self, now: i64) -> Option<SegmentName> {
        let since = self.tried_at.map(|at| now.saturating_sub(at));
        if self.names.is_empty() || since.is_some_and(|since| (0..AGAIN_NS).contains(&since)) {
            return None;
        }
        self.tried_at = Some(now);
        let next = self.names.pop_front();
        self.names.extend(next);
        next
    }
}

impl Archive {
    /// Opens a segment that could not be opened before.
    pub(crate) fn read_again(&self, now: i64) {
        let Some(name) = lock(&self.catalogue).unreadable.next(now) else {
            return;
        };
        let _committing = lock(&self.committer);
        let opened = open::segment(&self.dir, name, &self.open_files);
        let mut catalogue = lock(&self.catalogue);
        match opened {
            Ok(opened) => {
                catalogue.unreadable.forget(name);
                match catalogue.take_in(name, opened) {
                    Some(reason) => {
                        drop(catalogue);
                        self.set_aside(name, &reason);
                    }
                    None => tracing::info!(segment = %name, "can be read again"),
                }
            }
            Err(error) => {
                drop(catalogue);
                match Harm::of(&error) {
                    Harm::Damaged => self.set_aside(name, "corrupt"),
                    Harm::Unread => self.set_aside(name, REASON),
                    Harm::None => {}
                }
            }
        }
    }

    /// After the device failed to read something in a segment: tried again at first, put aside the second time. The
    /// committer's lock is held by the caller.
    pub(crate) fn suspect(&self, name: SegmentName) {
        {
            let mut catalogue = lock(&self.catalogue);
            let suspects = &mut catalogue.unreadable.suspects;
            if !suspects.contains(&name) {
                suspects.push(name);
                return;
            }
        }
        self.set_aside(name, REASON);
    }
}

impl Catalogue {
    /// Takes an opened segment in; the reason why it belongs into the quarantine when it is none.
    pub(crate) fn take_in(&mut self, name: SegmentName, opened: open::Opened) -> Option<String> {
        match opened {
            open::Opened::Live(live) => {
                self.count(&live.summary);
                self.live.push(*live);
            }
            open::Opened::Sealed(file, summary) => {
                self.count(&summary);
                let sealed = Sealed::new(file, summary, None, &self.filters);
                self.sealed.push(sealed);
            }
            open::Opened::Newer => self.newer.push(name),
            open::Opened::Foreign(reason) => return Some(reason),
        }
        None
    }
}
