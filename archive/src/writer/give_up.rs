//! What is done about segments that cannot be read, so that the rest goes on without them.
//!
//! A damaged one goes to the quarantine. One that cannot be opened though nothing says that it is damaged (no
//! permission, no room for SQLite's files beside it) is left where it is and tried again every few seconds. One in which
//! the device fails to read is asked once more, for a bus may stumble; when it fails again it goes to the quarantine.

use crate::directory::names::SegmentName;
use crate::directory::quarantine;
use crate::error::Error;
use crate::nanos::Nanos;
use crate::segment::harm::Harm;
use crate::segment::live::Pending;
use crate::segment::open;
use crate::writer::core::{Core, Writing};

/// Why a segment whose device failed is in the quarantine.
const READ_ERROR: &str = "read-error";

/// After an error in reading: whether the segment that it names is given up (removed meanwhile, or damaged and now in
/// the quarantine), so that trying again makes sense.
pub(crate) fn after(core: &Core, error: &Error) -> Result<bool, Error> {
    let (Error::Segment { path, .. } | Error::Foreign { path, .. } | Error::File { path, .. }) = error else {
        return Ok(false);
    };
    let name = path
        .file_name()
        .and_then(|name| SegmentName::parse(&name.to_string_lossy()));
    let Some(name) = name else { return Ok(false) };
    let writing = core.writing();
    if !path.exists() {
        let forgotten = {
            let mut catalogue = core.catalogue();
            catalogue.counters.removed_segments += 1;
            catalogue.forget(name)
        };
        drop(forgotten);
        return Ok(true);
    }
    match Harm::of(error) {
        Harm::Damaged => {
            tracing::error!(%error, "segment damaged");
            set_aside(&writing, name, "corrupt");
        }
        Harm::Unread => {
            tracing::error!(%error, "the device fails to read");
            suspect(&writing, name);
        }
        Harm::None => return Ok(false),
    }
    Ok(true)
}

/// Puts a damaged segment into the quarantine and takes it out of the catalogue. What it had not committed goes to a new
/// segment of the same slice.
pub(crate) fn set_aside(writing: &Writing<'_>, name: SegmentName, reason: &str) {
    let core = writing.core;
    let forgotten = {
        let mut catalogue = core.catalogue();
        let pending: Vec<Pending> = match catalogue.live(name) {
            Some(live) => live.pending.iter().cloned().collect(),
            None => Vec::new(),
        };
        let forgotten = catalogue.forget(name);
        let slice_secs = name.length_secs.max(1);
        for row in pending {
            catalogue.push(row.hash, row.envelope, name.kind, slice_secs, Nanos::MIN);
        }
        forgotten
    };
    drop(forgotten);
    match quarantine::put_aside(&core.dir, &name.path(&core.dir), reason) {
        Ok(_) => core.catalogue().counters.quarantined += 1,
        // A disk that takes no names: the rest goes on without the segment, wherever it lies.
        Err(error) => {
            tracing::error!(%error, "damaged, and not to be put aside yet");
            core.catalogue().unreadable.push(name);
        }
    }
}

/// After the device failed to read something in a segment: tried again at first, put aside the second time.
pub(crate) fn suspect(writing: &Writing<'_>, name: SegmentName) {
    let again = writing.core.catalogue().unreadable.suspect(name);
    if again {
        set_aside(writing, name, READ_ERROR);
    }
}

/// Opens a segment that could not be opened before.
pub(crate) fn read_again(core: &Core, now: Nanos) {
    let (next, open_files, filters) = {
        let mut catalogue = core.catalogue();
        let next = catalogue.unreadable.next(now);
        (next, catalogue.open_files.clone(), catalogue.filters.clone())
    };
    let Some(name) = next else { return };
    let writing = core.writing();
    match open::segment(&core.dir, name, &open_files, &filters) {
        Ok(opened) => {
            let misplaced = {
                let mut catalogue = core.catalogue();
                catalogue.unreadable.forget(name);
                catalogue.take_in(name, opened)
            };
            match misplaced {
                Some(reason) => set_aside(&writing, name, &reason),
                None => tracing::info!(segment = %name, "can be read again"),
            }
        }
        Err(error) => match Harm::of(&error) {
            Harm::Damaged => set_aside(&writing, name, "corrupt"),
            Harm::Unread => set_aside(&writing, name, READ_ERROR),
            Harm::None => {}
        },
    }
}
