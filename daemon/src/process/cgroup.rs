//! Bounds on a service's memory and processor time by control groups, version 2 (kernel.org,
//! admin-guide/cgroup-v2), where the machine lets the daemon have its own part of the tree: systemd's `Delegate=yes`,
//! or the tree's root in a container. What cannot be had is said once, and services run without.
//!
//! A group may either hold processes or pass controllers on to groups below it. So the daemon first moves itself into
//! [`OWN`] below its group; each run of a service gets a group beside that, which ends with it.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::config::service::Limits;

const OWN: &str = "pillarboxd.own";
/// What groups of runs begin with.
const RUN: &str = "pillarbox-";
const MIB: u64 = 1024 * 1024;
/// `cpu.max`: so many microseconds in each period of these.
const PERIOD_US: u64 = 100_000;

/// Why services run without limits, or why one of them could not be given its own.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("control groups of version 2 are not mounted")]
    NotMounted,
    #[error("this process is in no control group of version 2")]
    NotInOne,
    #[error(
        "the control group has no {controller} controller; give the service Delegate=yes, and the kernel \
         cgroup_enable={controller}"
    )]
    NoController { controller: &'static str },
    #[error("the control group is not ours: {0}")]
    NotOurs(io::Error),
    #[error("cannot move within the control group: {0}")]
    Move(io::Error),
    #[error("the control group is shared with other processes ({0}); give the daemon its own by Delegate=yes")]
    Shared(io::Error),
    #[error("cannot make {}: {source}", path.display())]
    Make { path: PathBuf, source: io::Error },
    #[error("cannot write {value} into {}: {source}", path.display())]
    Write {
        value: String,
        path: PathBuf,
        source: io::Error,
    },
}

/// The daemon's part of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    base: PathBuf,
}

impl Tree {
    /// Takes possession of the group that this process is in; `Err` says why that cannot be. `root` is `/` but in tests.
    pub fn claim(root: &Path) -> Result<Tree, Error> {
        let mounts = fs::read_to_string(root.join("proc/self/mountinfo")).unwrap_or_default();
        let mount = mount_point(&mounts).ok_or(Error::NotMounted)?;
        let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
        let group = groups.lines().find_map(|line| line.strip_prefix("0::/"));
        let group = group.ok_or(Error::NotInOne)?;
        let mount = root.join(mount.strip_prefix("/").unwrap_or(mount));
        let mut base = mount.join(group);
        // A daemon that started itself anew is where it moved itself to.
        if base.file_name().is_some_and(|name| name == OWN) {
            base.pop();
        }
        let tree = Tree { base };
        tree.take_over()?;
        tree.forget_runs();
        Ok(tree)
    }

    fn take_over(&self) -> Result<(), Error> {
        let controllers = fs::read_to_string(self.base.join("cgroup.controllers")).unwrap_or_default();
        let missing = ["memory", "cpu"].map(|name| (name, controllers.split_whitespace().any(|one| one == name)));
        if let Some((controller, _)) = missing.into_iter().find(|(_, there)| !there) {
            return Err(Error::NoController { controller });
        }
        if self.pass_on().is_ok() {
            return Ok(());
        }
        let own = self.base.join(OWN);
        fs::create_dir_all(&own).map_err(Error::NotOurs)?;
        fs::write(own.join("cgroup.procs"), std::process::id().to_string()).map_err(Error::Move)?;
        self.pass_on().map_err(|error| {
            // Back to where systemd expects it.
            let _ = fs::write(self.base.join("cgroup.procs"), std::process::id().to_string());
            let _ = fs::remove_dir(&own);
            Error::Shared(error)
        })
    }

    fn pass_on(&self) -> std::io::Result<()> {
        fs::write(self.base.join("cgroup.subtree_control"), "+memory +cpu")
    }

    /// Groups of a daemon before this one; one with a process in it stays.
    fn forget_runs(&self) {
        for entry in fs::read_dir(&self.base).into_iter().flatten().flatten() {
            if entry.file_name().as_encoded_bytes().starts_with(RUN.as_bytes()) {
                let _ = fs::remove_dir(entry.path());
            }
        }
    }

    /// A group for one run, in which these limits hold.
    pub(super) fn group(&self, name: &str, run: u64, limits: Limits) -> Result<Group, Error> {
        let path = self.base.join(format!("{RUN}{name}-{run}"));
        if let Err(source) = fs::create_dir(&path) {
            return Err(Error::Make { path, source });
        }
        let group = Group { path, limits };
        group.bind()?;
        Ok(group)
    }
}

/// The control group of one run; removed when dropped, for then nothing is left in it.
#[derive(Debug)]
pub(super) struct Group {
    path: PathBuf,
    limits: Limits,
}

impl Group {
    fn bind(&self) -> Result<(), Error> {
        if let Some(mib) = self.limits.memory_mib {
            self.put("memory.max", &(u64::from(mib.get()) * MIB).to_string())?;
            // All of the service ends together, and starts anew whole.
            self.put("memory.oom.group", "1")?;
            // Where there is swap (zram), it would only put off the end; without, the file is not there.
            if self.path.join("memory.swap.max").exists() {
                self.put("memory.swap.max", "0")?;
            }
        }
        if let Some(percent) = self.limits.cpu_percent {
            let quota_us = u64::from(percent.get()) * PERIOD_US / 100;
            self.put("cpu.max", &format!("{quota_us} {PERIOD_US}"))?;
        }
        Ok(())
    }

    fn put(&self, file: &str, value: &str) -> Result<(), Error> {
        let path = self.path.join(file);
        let value = value.to_owned();
        match fs::write(&path, &value) {
            Ok(()) => Ok(()),
            Err(source) => Err(Error::Write { value, path, source }),
        }
    }

    /// Where a process writes its number to enter.
    pub(super) fn entrance(&self) -> PathBuf {
        self.path.join("cgroup.procs")
    }

    /// Why the kernel ended what was in it, if it did.
    pub(super) fn verdict(&self) -> Option<String> {
        let mib = self.limits.memory_mib?;
        let events = fs::read_to_string(self.path.join("memory.events")).ok()?;
        let kills = events.lines().find_map(|line| line.strip_prefix("oom_kill "))?;
        (kills.trim().parse::<u64>().ok()? > 0)
            .then(|| format!("used more than {mib} MiB of memory (limits.memory_mib)"))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Refused while a process is left in it; the next daemon tries again.
        let _ = fs::remove_dir(&self.path);
    }
}

/// Of the first mount of type cgroup2; fields as in proc(5), `/proc/PID/mountinfo`.
pub(crate) fn mount_point(mounts: &str) -> Option<&Path> {
    mounts.lines().find_map(|line| {
        let (front, back) = line.split_once(" - ")?;
        let kind = back.split(' ').next()?;
        (kind == "cgroup2").then(|| front.split(' ').nth(4).map(Path::new))?
    })
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    /// A tree of ordinary files: what is written can be read again.
    fn tree(mountinfo: &str, group: &str, controllers: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("proc/self/mountinfo", mountinfo);
        put("proc/self/cgroup", group);
        put("sys/fs/cgroup/box/cgroup.controllers", controllers);
        put("sys/fs/cgroup/box/pillarbox-old-1/x", "");
        folder
    }

    const MOUNTS: &str = "23 28 0:21 / /proc rw - proc proc rw\n\
                          30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";

    fn limits(memory: u32, percent: u32) -> Limits {
        Limits {
            memory_mib: NonZeroU32::new(memory),
            cpu_percent: NonZeroU32::new(percent),
        }
    }

    #[test]
    fn limits_are_written_into_a_group_a_run() {
        for group in ["0::/box\n", "12:memory:/x\n0::/box/pillarboxd.own\n"] {
            let folder = tree(MOUNTS, group, "cpuset cpu io memory pids\n");
            let base = folder.path().join("sys/fs/cgroup/box");
            let claimed = Tree::claim(folder.path()).unwrap();
            assert_eq!(claimed, Tree { base: base.clone() });
            let read = |path: &str| fs::read_to_string(base.join(path)).unwrap_or_default();
            assert_eq!(read("cgroup.subtree_control"), "+memory +cpu");
            let bound = claimed.group("one", 7, limits(96, 150)).unwrap();
            let wanted = [
                ("memory.max", "100663296"),
                ("memory.oom.group", "1"),
                ("cpu.max", "150000 100000"),
            ];
            for (file, value) in wanted {
                assert_eq!(read(&format!("pillarbox-one-7/{file}")), value);
            }
            assert_eq!(bound.entrance(), base.join("pillarbox-one-7/cgroup.procs"));
            for (events, wanted) in [
                ("low 0\noom 3\noom_kill 0\n", None),
                (
                    "low 0\noom 3\noom_kill 2\noom_group_kill 1\n",
                    Some("used more than 96 MiB"),
                ),
                ("", None),
            ] {
                fs::write(base.join("pillarbox-one-7/memory.events"), events).unwrap();
                let verdict = bound.verdict();
                assert_eq!(verdict.is_some(), wanted.is_some(), "{verdict:?}");
                assert!(verdict.unwrap_or_default().contains(wanted.unwrap_or_default()));
            }
            let free = claimed.group("two", 1, limits(0, 0)).unwrap();
            assert_eq!(fs::read_dir(base.join("pillarbox-two-1")).unwrap().count(), 0);
            drop(free);
            assert!(!base.join("pillarbox-two-1").exists(), "its group ends with it");
        }
    }

    #[test]
    fn what_cannot_be_had_is_said() {
        for (mounts, group, controllers, wanted) in [
            ("", "0::/box\n", "memory cpu", "not mounted"),
            (
                "30 23 0:26 / /sys/fs/cgroup rw - tmpfs x rw\n",
                "0::/box\n",
                "memory cpu",
                "not mounted",
            ),
            (MOUNTS, "4:memory:/box\n", "memory cpu", "in no control group"),
            (MOUNTS, "0::/box\n", "cpu pids", "no memory controller"),
            (MOUNTS, "0::/box\n", "memory", "no cpu controller"),
            (MOUNTS, "0::/other\n", "memory cpu", "no memory controller"),
        ] {
            let folder = tree(mounts, group, controllers);
            let error = Tree::claim(folder.path()).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
