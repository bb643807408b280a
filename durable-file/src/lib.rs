//! Replaces a file with one promise: after [`replace`] has returned, the new content is on the disk; before that, whatever
//! happens (a full disk, a kill, a power cut), the file has its old content or its new one, whole.
//!
//! The order makes it so ([`order`]): a fresh file beside the old one is written and synced, takes the old one's name, and
//! then the folder is synced, because a name is kept in the folder and not in the file. File systems that happen to do
//! without one of the steps (ext4 with `auto_da_alloc`) are no reason to leave it out: the box may run on others.
//!
//! No link is followed: neither one at the file's own name, which is replaced like any file, nor one in place of the
//! temporary file, which is removed first. The folder itself may be a link, since a person may have moved it to another
//! disk; who has to be stricter opens the folder and calls [`replace_in`].
//!
//! The temporary file is `NAME.new`. A kill or a power cut can leave it behind; the next replacement removes it. Threads
//! of one process take turns at a file. Two processes must not replace the same file at once; each caller has a lock or
//! an account of its own that rules it out.

#![warn(missing_docs)]

mod folder;
mod order;
mod turn;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use folder::Folder;

/// What the temporary file is called: the file's own name with this after it.
pub const SUFFIX: &str = ".new";

/// What was tried, and on what.
#[derive(Debug, thiserror::Error)]
#[error("cannot {step} {}: {source}", path.display())]
pub struct Error {
    /// What was tried.
    pub step: Step,
    /// On which file or folder.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// One step on the way to a new content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make the folder.
    MakeFolder,
    /// Open the folder.
    OpenFolder,
    /// Remove what an earlier, interrupted replacement has left.
    RemoveLeftover,
    /// Create the temporary file.
    Create,
    /// Write to it.
    Write,
    /// Have the disk keep its content.
    Sync,
    /// Give it the file's name.
    Rename,
    /// Remove the file.
    Remove,
    /// Have the disk keep the folder's names.
    SyncFolder,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::MakeFolder => "make the folder",
            Step::OpenFolder => "open the folder",
            Step::RemoveLeftover | Step::Remove => "remove",
            Step::Create => "create",
            Step::Write => "write",
            Step::Sync => "sync",
            Step::Rename => "replace",
            Step::SyncFolder => "sync the folder",
        })
    }
}

/// Replaces the file at `path`, or creates it: its content is `content`, its permissions are `mode`, whatever they were
/// before and whatever the process's umask is.
///
/// # Errors
/// The file has its old content then; only after a failed [`Step::SyncFolder`] it may have the new one.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> Result<(), Error> {
    let (folder, name) = split(path)?;
    let handle = open(folder)?;
    replace_in(&handle, folder, name, content, mode)
}

/// As [`replace`], in a folder that the caller holds open; `at` is its path, for messages.
///
/// # Errors
/// As [`replace`].
pub fn replace_in(folder: &File, at: &Path, name: &OsStr, content: &[u8], mode: u32) -> Result<(), Error> {
    let path = at.join(name);
    let _turn = turn::take(&path);
    let temporary = temporary(name);
    let mut disk = Folder { handle: folder, mode };
    order::replace(&mut disk, name, &temporary, content).map_err(|(step, source)| {
        let path = match step {
            Step::SyncFolder => at.to_owned(),
            Step::Rename => path,
            _ => at.join(&temporary),
        };
        Error { step, path, source }
    })
}

/// Removes the file at `path`, and what an interrupted replacement has left of it. A file that is not there is no error.
///
/// # Errors
/// The file may be there still, or come back with the next power cut.
pub fn remove(path: &Path) -> Result<(), Error> {
    let (folder, name) = split(path)?;
    let handle = open(folder)?;
    let _turn = turn::take(&folder.join(name));
    let temporary = temporary(name);
    let mut disk = Folder {
        handle: &handle,
        mode: 0,
    };
    order::remove(&mut disk, name, &temporary).map_err(|(step, source)| {
        let path = match step {
            Step::SyncFolder => folder.to_owned(),
            Step::RemoveLeftover => folder.join(&temporary),
            _ => path.to_owned(),
        };
        Error { step, path, source }
    })
}

/// Makes the folder and those above it that are missing, with `mode` less the umask, and has the disk keep each one's
/// name. A folder that is there is left as it is.
///
/// # Errors
/// Some of the missing folders may have been made.
pub fn make_folder(path: &Path, mode: u32) -> Result<(), Error> {
    if path.is_dir() {
        return Ok(());
    }
    let above = parent(path);
    make_folder(above, mode)?;
    let failed = |step, path: &Path| {
        let path = path.to_owned();
        move |source| Error { step, path, source }
    };
    match DirBuilder::new().mode(mode).create(path) {
        // Somebody else was faster.
        Err(_) if path.is_dir() => return Ok(()),
        made => made.map_err(failed(Step::MakeFolder, path))?,
    }
    open(above)?.sync_all().map_err(failed(Step::SyncFolder, above))
}

fn temporary(name: &OsStr) -> OsString {
    let mut temporary = name.to_owned();
    temporary.push(SUFFIX);
    temporary
}

fn split(path: &Path) -> Result<(&Path, &OsStr), Error> {
    let name = path.file_name().ok_or_else(|| Error {
        step: Step::Create,
        path: path.to_owned(),
        source: io::Error::new(io::ErrorKind::InvalidInput, "it ends in no file's name"),
    })?;
    Ok((parent(path), name))
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        // `/` is always there, and a bare name is in the present folder.
        _ => Path::new(if path.has_root() { "/" } else { "." }),
    }
}

fn open(folder: &Path) -> Result<File, Error> {
    Folder::open(folder).map_err(|source| Error {
        step: Step::OpenFolder,
        path: folder.to_owned(),
        source,
    })
}
