//! The order of the steps, apart from the system calls: this is what the promise rests on, so it runs in tests on a disk
//! that loses whatever it was not told to keep ([`tests`]).

use std::ffi::OsStr;
use std::io;

use super::Step;

/// What a replacement asks of the folder that it is in.
pub(crate) trait Disk {
    type File;

    /// A new file; an error when there is anything of that name.
    fn create(&mut self, name: &OsStr) -> io::Result<Self::File>;
    fn write(&mut self, file: &mut Self::File, content: &[u8]) -> io::Result<()>;
    /// Content and length are on the disk when this returns.
    fn sync(&mut self, file: &Self::File) -> io::Result<()>;
    /// Over whatever has the other name.
    fn rename(&mut self, from: &OsStr, to: &OsStr) -> io::Result<()>;
    fn remove(&mut self, name: &OsStr) -> io::Result<()>;
    /// Names are on the disk when this returns.
    fn sync_names(&mut self) -> io::Result<()>;
}

pub(crate) type Failed = (Step, io::Error);

pub(crate) fn replace<D: Disk>(disk: &mut D, name: &OsStr, temporary: &OsStr, content: &[u8]) -> Result<(), Failed> {
    absent(disk.remove(temporary)).map_err(at(Step::RemoveLeftover))?;
    let mut file = disk.create(temporary).map_err(at(Step::Create))?;
    let done = disk
        .write(&mut file, content)
        .map_err(at(Step::Write))
        .and_then(|()| disk.sync(&file).map_err(at(Step::Sync)))
        .and_then(|()| disk.rename(temporary, name).map_err(at(Step::Rename)));
    if let Err(failed) = done {
        // The first failure is the one to tell.
        let _ = disk.remove(temporary);
        return Err(failed);
    }
    disk.sync_names().map_err(at(Step::SyncFolder))
}

pub(crate) fn remove<D: Disk>(disk: &mut D, name: &OsStr, temporary: &OsStr) -> Result<(), Failed> {
    absent(disk.remove(temporary)).map_err(at(Step::RemoveLeftover))?;
    absent(disk.remove(name)).map_err(at(Step::Remove))?;
    disk.sync_names().map_err(at(Step::SyncFolder))
}

fn absent(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn at(step: Step) -> impl Fn(io::Error) -> Failed {
    move |error| (step, error)
}

#[cfg(test)]
mod tests;
