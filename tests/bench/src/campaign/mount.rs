//! [`Disk`] as a file system that real processes write to, by FUSE. Needs /dev/fuse, and to be root in some user
//! namespace.

use std::ffi::OsStr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner,
    OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyStatfs,
    ReplyWrite, Request, TimeOrNow, WriteFlags,
};

use serde::{Deserialize, Serialize};

use super::disk::{Disk, File, Name, ROOT, Refused};

/// The longest that an operation is held. Whoever waits for one can neither go on nor end: nobody must wait for ever.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The kernel asks again each time: names and sizes change under it only by itself, but nothing here needs speed.
const TTL: Duration = Duration::ZERO;
const BLOCK: u32 = 4096;

/// The disk, and the gate that its operations pass, as its file system and whoever gives it orders have them in common.
#[derive(Clone)]
pub(crate) struct Mounted {
    disk: Arc<Mutex<Disk>>,
    pub(crate) gate: Arc<Gate>,
}

impl Mounted {
    pub(crate) fn new() -> Mounted {
        Mounted {
            disk: Arc::new(Mutex::new(Disk::new())),
            gate: Arc::default(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Gate::pass_file`], by the file's number.
    fn pass_inode(&self, inode: INodeNo) {
        let called = {
            let disk = self.lock();
            let mut names = disk.names.iter();
            names
                .find(|(_, named)| **named == inode.0)
                .map(|((_, name), _)| name.clone())
        };
        if let Some(called) = called {
            self.gate.pass_file(&called);
        }
    }
}

/// What a card takes its time for. While it does, it answers nothing else either.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Held {
    #[default]
    Nothing,
    Syncs,
    /// Looking for a file whose name begins so, or into it.
    Files(String),
}

/// Where every operation that can be held passes.
#[derive(Default)]
pub(crate) struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    held: Held,
    waiting: bool,
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, GateState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn hold(&self, held: Held) {
        self.state().held = held;
        self.changed.notify_all();
    }

    /// Whether an operation stands before it.
    pub(crate) fn has_waiter(&self) -> bool {
        self.state().waiting
    }

    /// Waits while what `is_it` says of is held.
    fn pass(&self, is_it: impl Fn(&Held) -> bool) {
        let mut state = self.state();
        state.waiting = is_it(&state.held);
        let opened = self
            .changed
            .wait_timeout_while(state, LONGEST_WAIT, |state| is_it(&state.held));
        opened.unwrap_or_else(PoisonError::into_inner).0.waiting = false;
    }

    fn pass_file(&self, called: &str) {
        self.pass(|held| matches!(held, Held::Files(prefix) if called.starts_with(prefix)));
    }
}

impl From<Refused> for Errno {
    fn from(refused: Refused) -> Errno {
        match refused {
            Refused::PowerIsOff => Errno::EIO,
            Refused::NoSpace => Errno::ENOSPC,
            Refused::NotFound => Errno::ENOENT,
        }
    }
}

fn attributes(inode: u64, file: &File) -> FileAttr {
    FileAttr {
        ino: INodeNo(inode),
        size: file.bytes.len() as u64,
        blocks: file.bytes.len().div_ceil(512) as u64,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: if file.is_dir {
            FileType::Directory
        } else {
            FileType::RegularFile
        },
        perm: if file.is_dir { 0o755 } else { 0o644 },
        nlink: 1,
        uid: nix::unistd::getuid().as_raw(),
        gid: nix::unistd::getgid().as_raw(),
        rdev: 0,
        blksize: BLOCK,
        flags: 0,
    }
}

fn name(parent: INodeNo, name: &OsStr) -> Name {
    (parent.0, name.to_string_lossy().into_owned())
}

fn done(outcome: Result<(), Refused>, reply: ReplyEmpty) {
    match outcome {
        Ok(()) => reply.ok(),
        Err(refused) => reply.error(refused.into()),
    }
}

impl Filesystem for Mounted {
    fn lookup(&self, _: &Request, parent: INodeNo, called: &OsStr, reply: ReplyEntry) {
        self.gate.pass_file(&called.to_string_lossy());
        let disk = self.lock();
        let inode = disk.names.get(&name(parent, called)).copied();
        match inode.and_then(|inode| Some((inode, disk.files.get(&inode)?))) {
            Some((inode, file)) => reply.entry(&TTL, &attributes(inode, file), Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        self.pass_inode(inode);
        match self.lock().files.get(&inode.0) {
            Some(file) => reply.attr(&TTL, &attributes(inode.0, file)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        inode: INodeNo,
        _: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<std::time::SystemTime>,
        _: Option<FileHandle>,
        _: Option<std::time::SystemTime>,
        _: Option<std::time::SystemTime>,
        _: Option<std::time::SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let mut disk = self.lock();
        let resized = size.map_or(Ok(()), |size| disk.resize(inode.0, size as usize));
        match (resized, disk.files.get(&inode.0)) {
            (Ok(()), Some(file)) => reply.attr(&TTL, &attributes(inode.0, file)),
            (Ok(()), None) => reply.error(Errno::ENOENT),
            (Err(refused), _) => reply.error(refused.into()),
        }
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, called: &OsStr, _: u32, _: u32, reply: ReplyEntry) {
        let mut disk = self.lock();
        match disk.make(name(parent, called), true) {
            Ok(inode) => reply.entry(&TTL, &attributes(inode, &disk.files[&inode]), Generation(0)),
            Err(refused) => reply.error(refused.into()),
        }
    }

    fn create(&self, _: &Request, parent: INodeNo, called: &OsStr, _: u32, _: u32, _: i32, reply: ReplyCreate) {
        let mut disk = self.lock();
        match disk.make(name(parent, called), false) {
            Ok(inode) => reply.created(
                &TTL,
                &attributes(inode, &disk.files[&inode]),
                Generation(0),
                FileHandle(0),
                FopenFlags::empty(),
            ),
            Err(refused) => reply.error(refused.into()),
        }
    }

    fn unlink(&self, _: &Request, parent: INodeNo, called: &OsStr, reply: ReplyEmpty) {
        done(self.lock().remove(name(parent, called)), reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        called: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        _: RenameFlags,
        reply: ReplyEmpty,
    ) {
        done(
            self.lock().rename(name(parent, called), name(new_parent, new_name)),
            reply,
        );
    }

    fn read(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.pass_inode(inode);
        match self.lock().files.get_mut(&inode.0) {
            Some(file) => {
                let start = (offset as usize).min(file.bytes.len());
                let end = (start + size as usize).min(file.bytes.len());
                if file.fails_to_read(end) {
                    return reply.error(Errno::EIO);
                }
                reply.data(&file.bytes[start..end]);
            }
            None => reply.error(Errno::EIO),
        }
    }

    fn write(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        bytes: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.lock().write(inode.0, offset as usize, bytes) {
            Ok(()) => reply.written(bytes.len() as u32),
            Err(refused) => reply.error(refused.into()),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, inode: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.gate.pass(|held| *held == Held::Syncs);
        done(self.lock().sync(inode.0), reply);
    }

    fn fsyncdir(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        done(self.lock().sync(ROOT), reply);
    }

    fn readdir(&self, _: &Request, inode: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let disk = self.lock();
        let entries = disk.names.iter().filter(|((parent, _), _)| *parent == inode.0);
        for (at, ((_, called), child)) in (1..).zip(entries).skip(offset as usize) {
            let is_dir = disk.files.get(child).is_some_and(|file| file.is_dir);
            let kind = if is_dir {
                FileType::Directory
            } else {
                FileType::RegularFile
            };
            if reply.add(INodeNo(*child), at, kind, called) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let blocks = 1 << 20;
        reply.statfs(blocks, blocks, blocks, blocks, blocks, BLOCK, 255, BLOCK);
    }
}
