//! The steps as system calls, all relative to one open folder, so that they all mean the same one.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::order::Disk;

pub(crate) struct Folder<'a> {
    pub(crate) handle: &'a File,
    /// Of the files that are created.
    pub(crate) mode: u32,
}

impl Folder<'_> {
    pub(crate) fn open(path: &Path) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .custom_flags(OFlag::O_DIRECTORY.bits())
            .open(path)
    }
}

impl Disk for Folder<'_> {
    type File = File;

    fn create(&mut self, name: &OsStr) -> io::Result<File> {
        // O_EXCL follows no link, not even one that leads nowhere (open(2)).
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
        // For nobody else until its permissions are set.
        let file = File::from(openat(self.handle, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)?);
        file.set_permissions(Permissions::from_mode(self.mode))?;
        Ok(file)
    }

    fn write(&mut self, file: &mut File, content: &[u8]) -> io::Result<()> {
        file.write_all(content)
    }

    fn sync(&mut self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn rename(&mut self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(renameat(self.handle, from, self.handle, to)?)
    }

    fn remove(&mut self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(self.handle, name, UnlinkatFlags::NoRemoveDir)?)
    }

    fn sync_names(&mut self) -> io::Result<()> {
        self.handle.sync_all()
    }
}
