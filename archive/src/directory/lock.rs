//! The writer's lock: one writer an archive, however it was started. The kernel releases it when the process dies.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;

use nix::fcntl::{Flock, FlockArg};

use crate::directory::files::give_to_owner;
use crate::directory::folder;
use crate::directory::names::LOCK;
use crate::error::Error;

pub(crate) struct WriterLock(#[expect(dead_code, reason = "held, not read")] Flock<File>);

impl WriterLock {
    pub(crate) fn take(dir: &Path) -> Result<WriterLock, Error> {
        let path = dir.join(LOCK);
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        let file = folder::open(&path, &mut options)
            .and_then(|file| give_to_owner(dir, &file).map(|()| file))
            .map_err(Error::file("open the writer's lock", &path))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut lock) => {
                let mut note = || -> std::io::Result<()> {
                    lock.set_len(0)?;
                    lock.rewind()?;
                    write!(lock, "{}", std::process::id())
                };
                // Only for the message to a second writer; on a full disk the lock holds without it.
                if let Err(error) = note() {
                    tracing::debug!(%error, "the writer's lock carries no process id");
                }
                Ok(WriterLock(lock))
            }
            Err((mut file, nix::errno::Errno::EWOULDBLOCK)) => {
                let mut holder = String::new();
                let holder = match file.read_to_string(&mut holder) {
                    Ok(length) if length > 0 => format!(" (process {})", holder.trim()),
                    _ => String::new(),
                };
                Err(Error::Locked {
                    dir: dir.to_path_buf(),
                    holder,
                })
            }
            Err((_, errno)) => Err(Error::file("take the writer's lock", &path)(errno.into())),
        }
    }
}
