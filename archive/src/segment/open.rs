//! Opening a segment that is found in the directory: what it is, and its look-ups when it is still being written.

use std::path::Path;
use std::sync::Arc;

use crate::directory::names::{SegmentName, sidecar};
use crate::error::Error;
use crate::segment::connect::open_for_writing;
use crate::segment::file::{OpenFiles, SegmentFile};
use crate::segment::live::Live;
use crate::segment::probe::{Probe, probe};
use crate::segment::sealed::{FilterBytes, Sealed, drop_log};
use crate::segment::summary::Summary;

/// What a file of a segment's name turned out to be.
pub(crate) enum Opened {
    Live(Box<Live>),
    Sealed(Arc<Sealed>),
    Newer,
    Foreign(String),
}

pub(crate) fn segment(
    dir: &Path,
    name: SegmentName,
    open_files: &Arc<OpenFiles>,
    filters: &Arc<FilterBytes>,
) -> Result<Opened, Error> {
    let file = SegmentFile::new(dir, name, open_files);
    match probe(&file.path)? {
        Probe::Newer(version) => {
            tracing::warn!(segment = %name, version, "written by a newer Pillarbox: left alone");
            Ok(Opened::Newer)
        }
        Probe::Foreign(reason) => Ok(Opened::Foreign(reason)),
        // A writer that died while it took the log away leaves a rollback journal: only a writer may undo it.
        Probe::Ours { log: false } if !sidecar(&file.path, "-journal").exists() => {
            file.completed();
            let summary = file.read("read the summary", Summary::get)?;
            Ok(Opened::Sealed(Sealed::new(file, summary, None, filters)))
        }
        Probe::Ours { .. } => {
            let writer = open_for_writing(&file.path)?;
            let summary = Summary::read(&writer, &file.path)?;
            if summary.sealed && drop_log(&writer).map_err(Error::segment("copy the log", &file.path))? {
                drop(writer);
                file.completed();
                return Ok(Opened::Sealed(Sealed::new(file, summary, None, filters)));
            }
            Live::reopen(file, writer, summary).map(|live| Opened::Live(Box::new(live)))
        }
    }
}
