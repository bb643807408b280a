//! A disk that forgets: files and names as programs see them, and what of it would be there after the power is cut.
//!
//! What `fsync` was not asked for may be lost, each write by itself, or half of it; names are as a journalling file
//! system keeps them, lost from the end of the journal backwards and never out of order. That is stricter than ext4,
//! which brings names to the disk with the first sync of any file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::workload::Random;

pub(crate) const ROOT: u64 = 1;
/// A device writes its sectors whole.
const SECTOR: usize = 512;

pub(crate) type Name = (u64, String);

#[derive(Default)]
pub(crate) struct Disk {
    pub(crate) files: BTreeMap<u64, File>,
    pub(crate) names: BTreeMap<Name, u64>,
    durable_names: BTreeMap<Name, u64>,
    journal: Vec<Renamed>,
    last_inode: u64,
    /// Operations that changed something, or synced it.
    pub(crate) operations: u64,
    fault: Fault,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Fault {
    #[default]
    None,
    /// From this operation on the power is off: nothing happens any more.
    PowerCut(u64),
    /// From this operation on there is no space for what is written or made.
    Full(u64),
}

#[derive(Default)]
pub(crate) struct File {
    pub(crate) is_dir: bool,
    pub(crate) bytes: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
    worn: Option<Worn>,
}

/// What lies here or behind cannot be read so many times.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Worn {
    pub(crate) place: usize,
    pub(crate) failures: u64,
}

enum Change {
    Write(usize, Vec<u8>),
    Resize(usize),
}

struct Renamed {
    name: Name,
    inode: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    PowerIsOff,
    NoSpace,
    NotFound,
}

impl Disk {
    pub(crate) fn new() -> Disk {
        let mut disk = Disk {
            last_inode: ROOT,
            ..Disk::default()
        };
        let root = File {
            is_dir: true,
            ..File::default()
        };
        disk.files.insert(ROOT, root);
        disk
    }

    /// Sets what goes wrong, counting from now.
    pub(crate) fn arm(&mut self, fault: Fault) {
        self.fault = match fault {
            Fault::None => Fault::None,
            Fault::PowerCut(after) => Fault::PowerCut(self.operations + after),
            Fault::Full(after) => Fault::Full(self.operations + after),
        };
    }

    /// The first file whose name begins so is worn from now on.
    pub(crate) fn wear_out(&mut self, prefix: &str, worn: Worn) -> Result<(), Refused> {
        let found = self.names.iter().find(|((_, name), _)| name.starts_with(prefix));
        let inode = *found.ok_or(Refused::NotFound)?.1;
        self.file(inode)?.worn = Some(worn);
        Ok(())
    }

    pub(crate) fn is_off(&self) -> bool {
        matches!(self.fault, Fault::PowerCut(at) if self.operations >= at)
    }

    fn step(&mut self, needs_space: bool) -> Result<(), Refused> {
        if self.is_off() {
            return Err(Refused::PowerIsOff);
        }
        self.operations += 1;
        match self.fault {
            Fault::Full(at) if needs_space && self.operations > at => Err(Refused::NoSpace),
            _ => Ok(()),
        }
    }

    fn file(&mut self, inode: u64) -> Result<&mut File, Refused> {
        self.files.get_mut(&inode).ok_or(Refused::NotFound)
    }

    pub(crate) fn write(&mut self, inode: u64, offset: usize, bytes: &[u8]) -> Result<(), Refused> {
        self.step(true)?;
        let file = self.file(inode)?;
        let change = Change::Write(offset, bytes.to_vec());
        change.apply(&mut file.bytes);
        file.unsynced.push(change);
        Ok(())
    }

    pub(crate) fn resize(&mut self, inode: u64, size: usize) -> Result<(), Refused> {
        let grows = self.file(inode)?.bytes.len() < size;
        self.step(grows)?;
        let file = self.file(inode)?;
        let change = Change::Resize(size);
        change.apply(&mut file.bytes);
        file.unsynced.push(change);
        Ok(())
    }

    pub(crate) fn sync(&mut self, inode: u64) -> Result<(), Refused> {
        self.step(false)?;
        if self.file(inode)?.is_dir {
            for Renamed { name, inode } in self.journal.drain(..) {
                set(&mut self.durable_names, name, inode);
            }
            return Ok(());
        }
        let file = self.file(inode)?;
        for change in file.unsynced.drain(..) {
            change.apply(&mut file.durable);
        }
        Ok(())
    }

    pub(crate) fn make(&mut self, name: Name, is_dir: bool) -> Result<u64, Refused> {
        self.step(true)?;
        self.last_inode += 1;
        let inode = self.last_inode;
        let file = File {
            is_dir,
            ..File::default()
        };
        self.files.insert(inode, file);
        self.rename_to(name, Some(inode));
        Ok(inode)
    }

    pub(crate) fn remove(&mut self, name: Name) -> Result<(), Refused> {
        self.step(false)?;
        if !self.names.contains_key(&name) {
            return Err(Refused::NotFound);
        }
        // The file itself stays: someone may have it open, and its name may come back.
        self.rename_to(name, None);
        Ok(())
    }

    pub(crate) fn rename(&mut self, from: Name, to: Name) -> Result<(), Refused> {
        self.step(false)?;
        let inode = *self.names.get(&from).ok_or(Refused::NotFound)?;
        self.rename_to(to, Some(inode));
        self.rename_to(from, None);
        Ok(())
    }

    fn rename_to(&mut self, name: Name, inode: Option<u64>) {
        set(&mut self.names, name.clone(), inode);
        self.journal.push(Renamed { name, inode });
    }

    /// What is left when the power comes back. Some cuts lose everything that was not synced, some hardly anything.
    pub(crate) fn after_power_cut(&mut self, random: &mut Random) {
        let keeps = [0, 30, 70, 95][random.below(4) as usize];
        let kept = random.below(self.journal.len() as u64 + 1) as usize;
        for Renamed { name, inode } in self.journal.drain(..).take(kept) {
            set(&mut self.durable_names, name, inode);
        }
        self.names = self.durable_names.clone();
        let reachable: std::collections::BTreeSet<u64> = self.names.values().copied().chain([ROOT]).collect();
        self.files.retain(|inode, _| reachable.contains(inode));
        for file in self.files.values_mut() {
            for change in file.unsynced.drain(..) {
                if random.below(100) >= keeps {
                    continue;
                }
                match change {
                    Change::Write(offset, bytes) if random.below(3) == 0 => {
                        tear(offset, &bytes, random).for_each(|part| part.apply(&mut file.durable));
                    }
                    whole => whole.apply(&mut file.durable),
                }
            }
            file.bytes.clone_from(&file.durable);
        }
        self.fault = Fault::None;
    }
}

impl File {
    /// Whether this read up to `end` fails.
    pub(crate) fn fails_to_read(&mut self, end: usize) -> bool {
        match &mut self.worn {
            Some(worn) if end > worn.place && worn.failures > 0 => {
                worn.failures -= 1;
                true
            }
            _ => false,
        }
    }
}

fn set(names: &mut BTreeMap<Name, u64>, name: Name, inode: Option<u64>) {
    match inode {
        Some(inode) => names.insert(name, inode),
        None => names.remove(&name),
    };
}

/// Some of a write's sectors.
fn tear(offset: usize, bytes: &[u8], random: &mut Random) -> impl Iterator<Item = Change> {
    let mut parts = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let length = (SECTOR - (offset + at) % SECTOR).min(bytes.len() - at);
        if random.below(2) == 0 {
            parts.push(Change::Write(offset + at, bytes[at..at + length].to_vec()));
        }
        at += length;
    }
    parts.into_iter()
}

impl Change {
    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Change::Resize(size) => file.resize(*size, 0),
            Change::Write(offset, bytes) => {
                let end = offset + bytes.len();
                if file.len() < end {
                    file.resize(end, 0);
                }
                file[*offset..end].copy_from_slice(bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> Name {
        (ROOT, name.into())
    }

    #[test]
    fn what_is_synced_stays_and_what_is_not_may_go() {
        let mut lost = 0;
        for seed in 0..50 {
            let mut random = Random::new(seed);
            let mut disk = Disk::new();
            let file = disk.make(name("a"), false).unwrap();
            disk.sync(ROOT).unwrap();
            disk.write(file, 0, &[1; 2000]).unwrap();
            disk.sync(file).unwrap();
            disk.write(file, 1000, &[2; 3000]).unwrap();
            disk.make(name("b"), false).unwrap();
            disk.arm(Fault::PowerCut(0));
            assert_eq!(disk.write(file, 0, &[3; 10]), Err(Refused::PowerIsOff));
            disk.after_power_cut(&mut random);
            let bytes = &disk.files[&file].bytes;
            assert_eq!(bytes[..1000], [1; 1000]);
            assert!(bytes[1000..2000].iter().all(|byte| [1, 2].contains(byte)));
            lost += usize::from(!bytes.contains(&2));
            assert!(disk.write(file, 0, &[3; 10]).is_ok());
        }
        assert!(lost > 5 && lost < 45, "{lost}");
    }

    #[test]
    fn names_go_from_the_end() {
        for seed in 0..50 {
            let mut disk = Disk::new();
            for file in ["a", "b", "c"] {
                disk.make(name(file), false).unwrap();
            }
            disk.rename(name("a"), name("d")).unwrap();
            disk.after_power_cut(&mut Random::new(seed));
            let left: Vec<&str> = disk.names.keys().map(|(_, name)| name.as_str()).collect();
            let possible: [&[&str]; 6] = [
                &[],
                &["a"],
                &["a", "b"],
                &["a", "b", "c"],
                &["a", "b", "c", "d"],
                &["b", "c", "d"],
            ];
            assert!(possible.contains(&&left[..]), "{left:?}");
        }
    }

    #[test]
    fn a_full_disk_refuses_writes_alone() {
        let mut disk = Disk::new();
        let file = disk.make(name("a"), false).unwrap();
        disk.arm(Fault::Full(1));
        disk.write(file, 0, b"fits").unwrap();
        assert_eq!(disk.write(file, 4, b"not"), Err(Refused::NoSpace));
        disk.resize(file, 2).unwrap();
        disk.sync(file).unwrap();
        disk.remove(name("a")).unwrap();
        assert_eq!(disk.make(name("b"), false), Err(Refused::NoSpace));
        disk.arm(Fault::None);
        disk.make(name("b"), false).unwrap();
    }
}
