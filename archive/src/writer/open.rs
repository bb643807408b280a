//! Rebuilding the catalogue from the files, after a clean end and after a crash alike.

use std::path::Path;
use std::sync::Arc;

use crate::directory::files::remove_if_there;
use crate::directory::listing::list;
use crate::directory::names::Kind;
use crate::directory::quarantine;
use crate::error::Error;
use crate::segment::harm::Harm;
use crate::segment::open::segment;
use crate::segment::probe::{Probe, probe};
use crate::segment::sealed::Sealed;
use crate::writer::catalogue::Catalogue;
use crate::writer::options::Options;

/// A segment that cannot be opened keeps nothing else from being opened.
pub(crate) fn catalogue(dir: &Path, options: Options) -> Result<Catalogue, Error> {
    let listing = list(dir)?;
    let orphans = listing.orphans.iter().map(|(_, path)| path);
    let mut catalogue = Catalogue::new(dir, options, listing.next_number());
    for path in listing.unfinished.iter().chain(orphans) {
        remove_if_there(path)?;
    }
    for path in &listing.strangers {
        if let Some(reason) = stranger(path) {
            quarantine::put_aside(dir, path, &reason)?;
            catalogue.counters.quarantined += 1;
        }
    }
    let (open_files, filters) = (Arc::clone(&catalogue.open_files), Arc::clone(&catalogue.filters));
    for name in listing.segments {
        let path = name.path(dir);
        let reason = match segment(dir, name, &open_files, &filters) {
            Ok(opened) => match catalogue.take_in(name, opened) {
                Some(reason) => reason,
                None => continue,
            },
            Err(_) if !path.exists() => continue,
            Err(error) if Harm::of(&error) == Harm::Damaged => {
                tracing::error!(%error, "segment damaged");
                "corrupt".into()
            }
            Err(error) => {
                tracing::error!(%error, "segment not to be read: left where it is, and tried again");
                catalogue.unreadable.push(name);
                continue;
            }
        };
        quarantine::put_aside(dir, &path, &reason)?;
        catalogue.counters.quarantined += 1;
    }
    recall_topics(&mut catalogue);
    tracing::info!(
        live = catalogue.live.len(),
        sealed = catalogue.sealed.len(),
        newer = catalogue.newer.len(),
        unreadable = catalogue.unreadable.names().count(),
        quarantined = catalogue.counters.quarantined,
        "archive open"
    );
    Ok(catalogue)
}

/// The topics that the last sealed segments kept are no newcomers.
fn recall_topics(catalogue: &mut Catalogue) {
    let main = |sealed: &&Arc<Sealed>| sealed.file.name.kind == Kind::Main;
    let mut last: Vec<Arc<Sealed>> = catalogue.sealed.iter().filter(main).cloned().collect();
    last.sort_by_key(|sealed| std::cmp::Reverse(sealed.file.name));
    for sealed in last.iter().take(RECALLED_SEGMENTS) {
        match sealed.largest_topics(RECALLED_TOPICS) {
            Ok(topics) => topics.iter().for_each(|topic| catalogue.shares.know(topic)),
            // Whoever queries the segment next finds out whether it is damaged.
            Err(error) => tracing::warn!(%error, "topics not recalled"),
        }
    }
}

/// How far back, and how many topics of each segment.
const RECALLED_SEGMENTS: usize = 3;
const RECALLED_TOPICS: u32 = 2048;

/// Why a file that is none of the archive's is in the way; `None` for one that may lie there (a note, say).
fn stranger(path: &Path) -> Option<String> {
    let extension = path
        .extension()
        .map(|extension| extension.to_string_lossy().into_owned());
    let named_like_a_database = extension.is_some_and(|extension| {
        let base = extension.split('-').next().unwrap_or_default();
        ["sqlite", "sqlite3", "db"].contains(&base)
    });
    match probe(path) {
        Ok(Probe::Ours { .. }) => Some("segment-of-another-name".into()),
        Ok(Probe::Newer(version)) => Some(format!("newer-version-{version}")),
        Ok(Probe::Foreign(reason)) if reason != "not-sqlite" => Some(reason),
        Ok(Probe::Foreign(reason)) if named_like_a_database => Some(reason),
        _ => None,
    }
}
