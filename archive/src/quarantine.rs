//! Putting aside what cannot be read: the file keeps its name, gets the reason behind it, and bothers nobody again.

use std::path::{Path, PathBuf};

use crate::Error;
use crate::layout::{self, Kind, QUARANTINE, SIDECARS, SegmentName};

/// A file that was put aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Its name in the quarantine directory.
    pub file: String,
    pub reason: String,
}

/// Moves `path`, and what SQLite keeps beside it, into the quarantine. Returns where it is now.
pub(crate) fn put_aside(dir: &Path, path: &Path, reason: &str) -> Result<PathBuf, Error> {
    let quarantine = dir.join(QUARANTINE);
    std::fs::create_dir_all(&quarantine)
        .and_then(|()| std::fs::File::open(&quarantine))
        .and_then(|made| layout::give_to_owner(dir, &made))
        .map_err(Error::file("create", &quarantine))?;
    let name = path
        .file_name()
        .map_or_else(|| "unnamed".into(), |name| name.to_string_lossy().into_owned());
    let reason = slug(reason);
    let free = (0u32..).find_map(|again| {
        let suffix = if again == 0 { String::new() } else { format!("-{again}") };
        let place = quarantine.join(format!("{name}.{reason}{suffix}"));
        (!place.exists()).then_some(place)
    });
    let place = free.unwrap_or_else(|| quarantine.join(&name));
    std::fs::rename(path, &place).map_err(Error::file("move into the quarantine", path))?;
    for suffix in SIDECARS {
        let beside = layout::sidecar(path, suffix);
        if beside.exists() {
            let target = layout::sidecar(&place, suffix);
            std::fs::rename(&beside, &target).map_err(Error::file("move into the quarantine", &beside))?;
        }
    }
    layout::sync_dir(&quarantine)?;
    layout::sync_dir(dir)?;
    tracing::error!(file = %name, %reason, "put aside into the quarantine");
    Ok(place)
}

/// What lies in the quarantine.
pub(crate) fn list(dir: &Path) -> Result<Vec<Quarantined>, Error> {
    let quarantine = dir.join(QUARANTINE);
    let entries = match std::fs::read_dir(&quarantine) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::file("list", &quarantine)(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(Error::file("list", &quarantine))?;
        let file = entry.file_name().to_string_lossy().into_owned();
        if SIDECARS.iter().any(|suffix| file.ends_with(suffix)) {
            continue;
        }
        let reason = file.rsplit_once('.').map_or("unknown", |(_, reason)| reason).to_owned();
        found.push(Quarantined { file, reason });
    }
    found.sort_by(|one, other| one.file.cmp(&other.file));
    Ok(found)
}

/// Removes the quarantined segments whose slice ended before `cutoff`: what is forgotten is forgotten there too. Other
/// files are the operator's to judge. Returns how many went, their bytes on disk, and the first error.
pub(crate) fn remove_expired(dir: &Path, cutoff: i64) -> Result<(u64, u64, Result<(), Error>), Error> {
    let (mut files, mut bytes, mut outcome) = (0, 0, Ok(()));
    for quarantined in list(dir)? {
        let Some((name, _)) = quarantined.file.rsplit_once('.') else {
            continue;
        };
        let path = dir.join(QUARANTINE).join(&quarantined.file);
        if SegmentName::parse(name).is_some_and(|name| is_expired(name, &path, cutoff)) {
            match crate::retention::remove_with_sidecars(&path) {
                Ok(freed) => {
                    files += 1;
                    bytes += freed;
                }
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
    }
    Ok((files, bytes, outcome))
}

/// A provisional segment's name says nothing of its time: it goes by when it was written last. The clock of then was
/// not trusted; one that was behind forgets too early what nothing could read anyway.
fn is_expired(name: SegmentName, path: &Path, cutoff: i64) -> bool {
    use std::os::unix::fs::MetadataExt;
    match name.kind {
        Kind::Provisional => {
            std::fs::metadata(path).is_ok_and(|meta| meta.mtime().saturating_mul(layout::NANOS) < cutoff)
        }
        Kind::Main | Kind::Overflow => name.end() <= cutoff,
    }
}

fn slug(reason: &str) -> String {
    let text: String = reason
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .take(60)
        .collect();
    let text = text.trim_matches('-').to_owned();
    if text.is_empty() { "unreadable".into() } else { text }
}
