//! Putting aside what cannot be read: the file keeps its name, gets the reason behind it, and bothers nobody again.

use std::path::{Path, PathBuf};

use crate::directory::expiry::Over;
use crate::directory::files::{give_to_owner, remove_with_sidecars, sync_dir};
use crate::directory::folder::Folder;
use crate::directory::names::{Kind, QUARANTINE, SIDECARS, SegmentName, sidecar};
use crate::error::Error;
use crate::nanos::Nanos;

/// A file that was put aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Its name in the quarantine directory.
    pub file: String,
    /// Why, as it stands at the end of the name.
    pub reason: String,
}

/// Moves `path`, and what SQLite keeps beside it, into the quarantine. Returns where it is now.
pub(crate) fn put_aside(dir: &Path, path: &Path, reason: &str) -> Result<PathBuf, Error> {
    let quarantine = dir.join(QUARANTINE);
    std::fs::create_dir_all(&quarantine)
        .and_then(|()| open(dir))
        .and_then(|made| give_to_owner(dir, made.handle()))
        .map_err(Error::file("create", &quarantine))?;
    let name = path
        .file_name()
        .map_or_else(|| "unnamed".into(), |name| name.to_string_lossy().into_owned());
    let reason = slug(reason);
    let free = (0u32..).find_map(|again| {
        let suffix = if again == 0 { String::new() } else { format!("-{again}") };
        let place = quarantine.join(format!("{name}.{reason}{suffix}"));
        place.symlink_metadata().is_err().then_some(place)
    });
    let place = free.unwrap_or_else(|| quarantine.join(&name));
    std::fs::rename(path, &place).map_err(Error::file("move into the quarantine", path))?;
    for suffix in SIDECARS {
        let beside = sidecar(path, suffix);
        if beside.exists() {
            let target = sidecar(&place, suffix);
            std::fs::rename(&beside, &target).map_err(Error::file("move into the quarantine", &beside))?;
        }
    }
    sync_dir(&quarantine)?;
    sync_dir(dir)?;
    tracing::error!(file = %name, %reason, "put aside into the quarantine");
    Ok(place)
}

/// Never what a link leads to.
fn open(dir: &Path) -> std::io::Result<Folder> {
    Folder::open(dir)?.below(QUARANTINE)
}

/// What lies in the quarantine. Something else in its place holds nothing of the archive's, and is told as an
/// [`Obstacle`](crate::directory::listing::Obstacle).
pub(crate) fn list(dir: &Path) -> Result<Vec<Quarantined>, Error> {
    let quarantine = dir.join(QUARANTINE);
    let unlisted = Error::file("list", &quarantine);
    match quarantine.symlink_metadata() {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Ok(Vec::new()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unlisted(error)),
    }
    let folder = open(dir).map_err(unlisted)?;
    let mut found = Vec::new();
    for entry in folder.entries().map_err(Error::file("list", &quarantine))? {
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

/// Removes the quarantined segments whose slice is over: what is forgotten is forgotten there too. Other
/// files are the operator's to judge. Returns how many went, their bytes on disk, and the first error.
pub(crate) fn remove_expired(dir: &Path, over: &Over) -> Result<(u64, u64, Result<(), Error>), Error> {
    let (mut files, mut bytes, mut outcome) = (0, 0, Ok(()));
    let found = list(dir)?;
    if found.is_empty() {
        return Ok((files, bytes, outcome));
    }
    let quarantine = dir.join(QUARANTINE);
    let folder = open(dir).map_err(Error::file("open", &quarantine))?;
    for quarantined in found {
        let Some((name, _)) = quarantined.file.rsplit_once('.') else {
            continue;
        };
        let path = folder.at(&quarantined.file);
        if SegmentName::parse(name).is_some_and(|name| is_expired(name, &path, over)) {
            match remove_with_sidecars(&path) {
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
fn is_expired(name: SegmentName, path: &Path, over: &Over) -> bool {
    use std::os::unix::fs::MetadataExt;
    match name.kind {
        Kind::Provisional => path.symlink_metadata().is_ok_and(|meta| {
            let written = Nanos::from_secs(meta.mtime());
            over.holds(written, written.next())
        }),
        Kind::Main | Kind::Overflow => over.holds(name.start(), name.end()),
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
