//! The archive's files on the disk: how much they take, how they go, whose they are, and what makes their names last.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::directory::names::{SIDECARS, sidecar};
use crate::error::Error;
use crate::mutex::may_wait;

/// Whether there was something to remove.
pub(crate) fn remove_if_there(path: &Path) -> Result<bool, Error> {
    may_wait();
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::file("remove", path)(error)),
    }
}

/// Removes a file and SQLite's beside it; returns the bytes on disk. The segment goes first: what is left by an
/// interruption then is an orphan, which the next removal finds.
pub(crate) fn remove_with_sidecars(path: &Path) -> Result<u64, Error> {
    let bytes = size_with_sidecars(path);
    remove_if_there(path)?;
    for suffix in SIDECARS {
        remove_if_there(&sidecar(path, suffix))?;
    }
    Ok(bytes)
}

pub(crate) fn size_with_sidecars(path: &Path) -> u64 {
    let beside = SIDECARS.iter().map(|suffix| size(&sidecar(path, suffix)));
    size(path) + beside.sum::<u64>()
}

/// Bytes on disk; 0 for what is not there.
pub(crate) fn size(path: &Path) -> u64 {
    may_wait();
    // A block of st_blocks is 512 bytes whatever the file system (stat(2)).
    path.symlink_metadata().map_or(0, |meta| meta.blocks() * 512)
}

/// What root makes in the archive of another account (by an import, say) is that account's: its mailserver must be able
/// to write it.
pub(crate) fn give_to_owner(dir: &Path, file: &std::fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let (dir, file_now) = (std::fs::metadata(dir)?, file.metadata()?);
    if (dir.uid(), dir.gid()) == (file_now.uid(), file_now.gid()) || !nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    fchown(file, Some(dir.uid()), Some(dir.gid()))
}

/// Makes what was created, renamed or removed in `dir` last.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), Error> {
    may_wait();
    std::fs::File::open(dir)
        .and_then(|handle| handle.sync_all())
        .map_err(Error::file("sync the directory", dir))
}
