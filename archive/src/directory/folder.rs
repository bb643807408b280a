//! Folders that belong to another account than the one that works in them: root removes, reads and makes files in the
//! mailserver's folders, and whoever has taken the mailserver over may put a link or a pipe wherever a file belongs.
//!
//! Nothing here follows a link or waits for a pipe. A [`Folder`] is held open, and what is done in it is done through
//! that handle (`/proc/self/fd`, proc_pid_fd(5)), so that it stays the folder that was looked at.

use std::fmt;
use std::fs::{File, FileType, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use crate::mutex::may_wait;

/// What a file is that is none, or what a folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// A symbolic link.
    Link,
    /// A named pipe.
    Pipe,
    /// A Unix socket.
    Socket,
    /// A device, or whatever else there may be.
    Device,
    /// A folder.
    Folder,
    /// A regular file.
    File,
}

impl Oddity {
    pub(crate) fn of(kind: FileType) -> Oddity {
        match kind {
            kind if kind.is_symlink() => Oddity::Link,
            kind if kind.is_fifo() => Oddity::Pipe,
            kind if kind.is_socket() => Oddity::Socket,
            kind if kind.is_dir() => Oddity::Folder,
            kind if kind.is_file() => Oddity::File,
            _ => Oddity::Device,
        }
    }
}

impl fmt::Display for Oddity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Oddity::Link => "a link",
            Oddity::Pipe => "a pipe",
            Oddity::Socket => "a socket",
            Oddity::Device => "a device",
            Oddity::Folder => "a folder",
            Oddity::File => "a file",
        })
    }
}

/// Why something was not opened. Inside an [`io::Error`], whose caller names the path.
#[derive(Debug, thiserror::Error)]
enum NotOpened {
    #[error("it is {0} where a file belongs; remove it")]
    NoFile(Oddity),
    #[error("it is {0} where a folder belongs; remove it")]
    NoFolder(Oddity),
    #[error("it is longer than {0} bytes")]
    TooLong(u64),
}

impl From<NotOpened> for io::Error {
    fn from(why: NotOpened) -> io::Error {
        io::Error::other(why)
    }
}

/// Opens a file for reading: a file and nothing else, at once.
pub fn open_file(path: &Path) -> io::Result<File> {
    open(path, OpenOptions::new().read(true))
}

/// As [`open_file`], with the options of the caller.
pub(crate) fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    may_wait();
    // A pipe or a device is opened without waiting, and let go again.
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = match options.custom_flags(flags.bits()).open(path) {
        Err(error) if error.raw_os_error() == Some(nix::libc::ELOOP) => {
            return Err(NotOpened::NoFile(Oddity::Link).into());
        }
        // What open(2) says of a socket, and of a pipe that nobody reads.
        Err(error) if error.raw_os_error() == Some(nix::libc::ENXIO) => return Err(why_not(path, error)),
        file => file?,
    };
    match file.metadata()?.file_type() {
        kind if kind.is_file() => Ok(file),
        kind => Err(NotOpened::NoFile(Oddity::of(kind)).into()),
    }
}

fn why_not(path: &Path, error: io::Error) -> io::Error {
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => NotOpened::NoFile(Oddity::of(found.file_type())).into(),
        _ => error,
    }
}

/// Nothing, or a file: for who hands the path to a library that opens it by itself.
pub(crate) fn check_file(path: &Path) -> io::Result<()> {
    may_wait();
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => Err(NotOpened::NoFile(Oddity::of(found.file_type())).into()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// An open folder.
pub struct Folder {
    handle: File,
    /// The folder, whatever is at its path by now.
    base: PathBuf,
}

impl Folder {
    /// A link is followed only where root or this account itself has put it: a person may have moved the folder to
    /// another disk.
    pub fn open(path: &Path) -> io::Result<Folder> {
        let found = std::fs::symlink_metadata(path)?;
        let trusted = [0, nix::unistd::geteuid().as_raw()].contains(&found.uid());
        Folder::open_as(path, found.is_symlink() && trusted)
    }

    /// A folder in this one, which is no link.
    pub fn below(&self, name: &str) -> io::Result<Folder> {
        Folder::open_as(&self.at(name), false)
    }

    fn open_as(path: &Path, follow: bool) -> io::Result<Folder> {
        may_wait();
        let mut flags = OFlag::O_DIRECTORY;
        flags.set(OFlag::O_NOFOLLOW, !follow);
        let opened = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path);
        let handle = opened.map_err(|error| match std::fs::symlink_metadata(path) {
            Ok(found) if !found.is_dir() => NotOpened::NoFolder(Oddity::of(found.file_type())).into(),
            _ => error,
        })?;
        let by_handle = PathBuf::from(format!("/proc/self/fd/{}", handle.as_raw_fd()));
        // A container may have no /proc.
        let base = if by_handle.is_dir() { by_handle } else { path.to_owned() };
        Ok(Folder { handle, base })
    }

    /// The path of a name in it, good while the folder is open.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.base.join(name)
    }

    pub(crate) fn handle(&self) -> &File {
        &self.handle
    }

    /// The metadata of the folder itself.
    pub fn metadata(&self) -> io::Result<Metadata> {
        self.handle.metadata()
    }

    /// Gives the folder itself away.
    pub fn give(&self, uid: u32, gid: u32) -> io::Result<()> {
        fchown(&self.handle, Some(uid), Some(gid))
    }

    /// What is called so, links not followed; nothing if there is nothing.
    pub fn look(&self, name: &str) -> io::Result<Option<Metadata>> {
        match std::fs::symlink_metadata(self.at(name)) {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn entries(&self) -> io::Result<std::fs::ReadDir> {
        std::fs::read_dir(&self.base)
    }

    /// A file's content, of at most so many bytes, and whose it is.
    pub fn read(&self, name: &str, most: u64) -> io::Result<(Vec<u8>, Metadata)> {
        let file = open_file(&self.at(name))?;
        let metadata = file.metadata()?;
        let mut content = Vec::new();
        file.take(most.saturating_add(1)).read_to_end(&mut content)?;
        if content.len() as u64 > most {
            return Err(NotOpened::TooLong(most).into());
        }
        Ok((content, metadata))
    }

    /// A new file, in place of whatever had the name: that is unlinked, not written to.
    pub fn create(&self, name: &str, mode: u32) -> io::Result<File> {
        self.unlink(name)?;
        // O_EXCL: neither a link that is there again by now nor its target is opened (open(2)).
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(self.at(name))
    }

    /// Whether there was something to unlink.
    pub fn unlink(&self, name: &str) -> io::Result<bool> {
        match std::fs::remove_file(self.at(name)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes what was created, renamed or removed in it last.
    pub fn sync(&self) -> io::Result<()> {
        self.handle.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    #[test]
    fn only_files_are_opened_and_nothing_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("file"), "text").unwrap();
        symlink(at("file"), at("link")).unwrap();
        symlink(at("absent"), at("dangling")).unwrap();
        mkfifo(&at("pipe"), Mode::S_IRWXU).unwrap();
        std::fs::create_dir(at("folder")).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        let open = Folder::open(folder.path()).unwrap();
        assert_eq!(open.read("file", 4).unwrap().0, b"text");
        assert!(open.read("file", 3).unwrap_err().to_string().contains("longer than 3"));
        for (name, wanted) in [
            ("link", "a link"),
            ("dangling", "a link"),
            ("pipe", "a pipe"),
            ("folder", "a folder"),
            ("socket", "a socket"),
        ] {
            let wanted = format!("it is {wanted} where a file belongs; remove it");
            assert_eq!(open_file(&at(name)).unwrap_err().to_string(), wanted);
            assert_eq!(check_file(&at(name)).unwrap_err().to_string(), wanted);
            assert_eq!(open.read(name, 10).unwrap_err().to_string(), wanted);
        }
        check_file(&at("file")).unwrap();
        check_file(&at("absent")).unwrap();
        // What is in the way of a new file goes, and what it led to stays.
        for name in ["link", "dangling", "pipe", "socket"] {
            std::io::Write::write_all(&mut open.create(name, 0o600).unwrap(), b"new").unwrap();
            assert_eq!(open.read(name, 3).unwrap().0, b"new", "{name}");
        }
        assert_eq!(std::fs::read(at("file")).unwrap(), b"text");
        assert!(!at("absent").exists());
    }

    #[test]
    fn a_folder_is_the_one_that_was_opened() {
        let outer = tempfile::tempdir().unwrap();
        let at = |name: &str| outer.path().join(name);
        std::fs::create_dir(at("mine")).unwrap();
        std::fs::create_dir(at("theirs")).unwrap();
        symlink(at("theirs"), at("link")).unwrap();
        let open = Folder::open(outer.path()).unwrap();
        let refused = open.below("link").err().unwrap().to_string();
        assert_eq!(refused, "it is a link where a folder belongs; remove it");
        // One that this account made itself is its own wish.
        Folder::open(&at("link")).unwrap();
        let mine = open.below("mine").unwrap();
        std::fs::rename(at("mine"), at("moved")).unwrap();
        symlink(at("theirs"), at("mine")).unwrap();
        mine.create("new", 0o600).unwrap();
        assert!(at("moved/new").exists() && !at("theirs/new").exists());
    }

    /// Only root can give a link away.
    #[test]
    fn a_strangers_link_is_not_followed() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let outer = tempfile::tempdir().unwrap();
        let link = outer.path().join("link");
        symlink(outer.path(), &link).unwrap();
        std::os::unix::fs::lchown(&link, Some(54_321), None).unwrap();
        let refused = Folder::open(&link).err().unwrap().to_string();
        assert_eq!(refused, "it is a link where a folder belongs; remove it");
    }
}
