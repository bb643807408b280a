//! Power cuts on a model of a disk. It is as unkind as POSIX allows: of what was not synced each write and each name may
//! have reached the disk or not, in any combination, and content that was not synced may be torn.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::*;

const OLD: &[u8] = b"the old content";
const NEW: &[u8] = b"the new one, longer than the old";

type Names = BTreeMap<OsString, usize>;

#[derive(Clone, Default)]
struct Inode {
    content: Vec<u8>,
    synced: Vec<u8>,
}

/// Files by number, and two views of the names: what programs see, and each change that the disk has not been told to
/// keep yet.
#[derive(Clone, Default)]
struct Model {
    inodes: Vec<Inode>,
    names: Names,
    synced: Names,
    changes: Vec<Change>,
    /// Operations until the power goes, or until one fails.
    left: Option<usize>,
    fails: bool,
}

#[derive(Clone, Debug)]
enum Change {
    Add(OsString, usize),
    Remove(OsString),
    /// Atomic, as rename(2) has it.
    Rename(OsString, OsString, usize),
}

impl Model {
    fn with_old() -> Model {
        let file = Inode {
            content: OLD.to_vec(),
            synced: OLD.to_vec(),
        };
        let names = Names::from([("file".into(), 0)]);
        Model {
            inodes: vec![file],
            synced: names.clone(),
            names,
            ..Model::default()
        }
    }

    /// The power may go before the operation, which then fails like all that come after it.
    fn step(&mut self) -> io::Result<()> {
        match &mut self.left {
            Some(0) if self.fails => {
                self.left = None;
                Err(io::ErrorKind::StorageFull.into())
            }
            Some(0) => Err(io::Error::other("no power")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn read(&self, name: &str) -> Option<&[u8]> {
        let inode = self.names.get(OsStr::new(name))?;
        Some(&self.inodes[*inode].content)
    }

    /// Every disk that may be found after the power is back.
    fn after_a_power_cut(&self) -> Vec<Model> {
        let mut found = Vec::new();
        for kept in 0..1_usize << self.changes.len() {
            let mut names = self.synced.clone();
            for (number, change) in self.changes.iter().enumerate() {
                if kept & (1 << number) == 0 {
                    continue;
                }
                match change.clone() {
                    Change::Add(name, inode) => {
                        names.insert(name, inode);
                    }
                    Change::Remove(name) => {
                        names.remove(&name);
                    }
                    Change::Rename(from, to, inode) => {
                        names.remove(&from);
                        names.insert(to, inode);
                    }
                }
            }
            for how in 0..3 {
                let inodes: Vec<Inode> = self.inodes.iter().map(|inode| torn(inode, how)).collect();
                found.push(Model {
                    inodes,
                    synced: names.clone(),
                    names: names.clone(),
                    ..Model::default()
                });
            }
        }
        found
    }
}

/// A file that is synced is what it was; of one that is not, all, nothing or a part has reached the disk.
fn torn(inode: &Inode, how: usize) -> Inode {
    let content = match how {
        _ if inode.content == inode.synced => inode.content.clone(),
        0 => inode.synced.clone(),
        1 => inode.content[..inode.content.len() / 2].to_vec(),
        _ => inode.content.clone(),
    };
    Inode {
        synced: content.clone(),
        content,
    }
}

impl Disk for Model {
    type File = usize;

    fn create(&mut self, name: &OsStr) -> io::Result<usize> {
        self.step()?;
        if self.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.inodes.push(Inode::default());
        let inode = self.inodes.len() - 1;
        self.names.insert(name.to_owned(), inode);
        self.changes.push(Change::Add(name.to_owned(), inode));
        Ok(inode)
    }

    fn write(&mut self, file: &mut usize, content: &[u8]) -> io::Result<()> {
        self.step()?;
        self.inodes[*file].content.extend_from_slice(content);
        Ok(())
    }

    fn sync(&mut self, file: &usize) -> io::Result<()> {
        self.step()?;
        let inode = &mut self.inodes[*file];
        inode.synced = inode.content.clone();
        Ok(())
    }

    fn rename(&mut self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        self.step()?;
        let inode = self.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        self.names.insert(to.to_owned(), inode);
        self.changes.push(Change::Rename(from.to_owned(), to.to_owned(), inode));
        Ok(())
    }

    fn remove(&mut self, name: &OsStr) -> io::Result<()> {
        self.step()?;
        self.names.remove(name).ok_or(io::ErrorKind::NotFound)?;
        self.changes.push(Change::Remove(name.to_owned()));
        Ok(())
    }

    fn sync_names(&mut self) -> io::Result<()> {
        self.step()?;
        self.synced = self.names.clone();
        self.changes.clear();
        Ok(())
    }
}

fn put(disk: &mut Model, content: &[u8]) -> Result<(), Failed> {
    replace(disk, OsStr::new("file"), OsStr::new("file.new"), content)
}

/// Power cuts before each operation, and all that may be found then.
#[test]
fn a_power_cut_leaves_the_old_content_or_the_new_one() {
    let (mut found, mut olds, mut news) = (0, 0, 0);
    for left in 0.. {
        let mut disk = Model::with_old();
        disk.left = Some(left);
        let done = put(&mut disk, NEW).is_ok();
        for after in disk.after_a_power_cut() {
            let content = after.read("file").expect("the file is never missing");
            assert!(content == OLD || content == NEW, "after {left} operations: {content:?}");
            assert!(!done || content == NEW, "what was promised is there");
            (found, olds, news) = (
                found + 1,
                olds + usize::from(content == OLD),
                news + usize::from(content == NEW),
            );
            again(after);
        }
        if done {
            break;
        }
    }
    assert!(found > 20 && olds > 0 && news > 0, "{found} disks, {olds} {news}");
}

/// The next replacement works from whatever is there, and leaves nothing beside the file.
fn again(mut disk: Model) {
    put(&mut disk, b"third").unwrap();
    assert_eq!(disk.read("file"), Some(&b"third"[..]));
    assert_eq!(disk.names.len(), 1, "{:?}", disk.names);
}

/// The model finds it when a step is missing: without this, the test above could not fail.
#[test]
fn the_model_tells_a_wrong_order_from_the_right_one() {
    let torn = |disk: &Model| {
        let after = disk.after_a_power_cut();
        after.iter().any(|after| {
            after
                .read("file")
                .is_none_or(|content| content != OLD && content != NEW)
        })
    };
    let lost = |disk: &Model| {
        disk.after_a_power_cut()
            .iter()
            .any(|after| after.read("file") != Some(NEW))
    };
    let [file, temporary] = ["file", "file.new"].map(OsStr::new);
    // As it was done once: no sync at all.
    let mut disk = Model::with_old();
    let mut fresh = disk.create(temporary).unwrap();
    disk.write(&mut fresh, NEW).unwrap();
    disk.rename(temporary, file).unwrap();
    assert!(torn(&disk) && lost(&disk));
    // The file alone.
    let mut disk = Model::with_old();
    let mut fresh = disk.create(temporary).unwrap();
    disk.write(&mut fresh, NEW).unwrap();
    disk.sync(&fresh).unwrap();
    disk.rename(temporary, file).unwrap();
    assert!(!torn(&disk) && lost(&disk), "whole, but it may be the old one");
    disk.sync_names().unwrap();
    assert!(!lost(&disk));
    // Written over in place.
    let mut disk = Model::with_old();
    disk.inodes[0].content = NEW.to_vec();
    assert!(torn(&disk));
}

#[test]
fn a_step_that_fails_changes_nothing_and_leaves_nothing() {
    let steps = [
        Step::RemoveLeftover,
        Step::Create,
        Step::Write,
        Step::Sync,
        Step::Rename,
        Step::SyncFolder,
    ];
    for (left, step) in steps.into_iter().enumerate() {
        let mut disk = Model::with_old();
        (disk.left, disk.fails) = (Some(left), true);
        let (failed, _) = put(&mut disk, NEW).unwrap_err();
        assert_eq!(failed, step);
        let expected = if step == Step::SyncFolder { NEW } else { OLD };
        assert_eq!(disk.read("file"), Some(expected), "{step:?}");
        assert_eq!(disk.names.len(), 1, "{step:?} leaves {:?}", disk.names);
    }
}

#[test]
fn what_was_removed_stays_away() {
    let [file, temporary] = ["file", "file.new"].map(OsStr::new);
    let mut disk = Model::with_old();
    disk.create(temporary).unwrap();
    remove(&mut disk, file, temporary).unwrap();
    assert!(disk.after_a_power_cut().iter().all(|after| after.names.is_empty()));
    remove(&mut disk, file, temporary).unwrap();
}
