//! The stages of a build as types. [`Stage`] names them in the order in which they run; each has a file with a struct of
//! everything it is made from, the key of that, and the work.
//!
//! A stage's work sees nothing but the struct, and its key takes the struct apart field by field: an input that is
//! forgotten in the key does not compile. What a stage needs of another it holds as an [`Output`], which only the finished
//! stage can give, so no order can be wrong and no circle can exist.
//!
//! A stage's key is a hash of its name, of everything it is made from and of the keys of the stages it needs. The
//! stage's output lies in a directory named by the key, so a finished stage is reused exactly when nothing that
//! leads to it has changed.

mod boot_packages;
mod disk;
mod firmware;
mod packages;
mod publish;
mod root;
mod slot_boot;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::ValueEnum;
use sha2::{Digest, Sha256};

pub(crate) use boot_packages::BootPackages;
pub(crate) use disk::Disk;
pub(crate) use firmware::Firmware;
pub(crate) use packages::Packages;
pub(crate) use publish::Publish;
pub(crate) use root::Root;
pub(crate) use slot_boot::SlotBoot;

use crate::files;
use crate::tool::Tools;

/// Raised when the work of a stage changes in a way that its inputs do not show.
const REVISION: u32 = 1;

/// One step of a build, in the order in which they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Stage {
    /// Kernel, firmware and loaders, unpacked.
    BootPackages,
    /// The root's packages, installed.
    Packages,
    /// The read-only root of a slot.
    Root,
    /// The boot partition of a slot.
    SlotBoot,
    /// The FAT partition.
    Firmware,
    /// All partitions on one disk.
    Disk,
    /// What is published.
    Publish,
}

impl Stage {
    /// As on the command line, in the names of directories and in keys.
    pub fn name(self) -> &'static str {
        match self {
            Stage::BootPackages => "boot-packages",
            Stage::Packages => "packages",
            Stage::Root => "root",
            Stage::SlotBoot => "slot-boot",
            Stage::Firmware => "firmware",
            Stage::Disk => "disk",
            Stage::Publish => "publish",
        }
    }
}

/// A stage with its inputs.
pub(crate) trait Work {
    fn stage(&self) -> Stage;

    /// Everything it is made from. `epoch` is the time that is now for this build.
    fn inputs(&self, epoch: u64) -> Result<KeyHasher>;

    /// Makes it in an empty directory.
    fn make(&self, tools: &Tools, into: &Path) -> Result<()>;
}

/// What a finished stage left.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) stage: Stage,
    pub(crate) key: String,
    pub(crate) dir: PathBuf,
}

impl Output {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// Collects what a stage is made from.
#[derive(Clone)]
pub(crate) struct KeyHasher(Sha256);

impl KeyHasher {
    /// Packages, which need no other stage, are the same whatever is built from them later; what is made of them is dated.
    pub(crate) fn of(stage: Stage, epoch: u64, needs: &[&Output]) -> KeyHasher {
        let mut hasher = KeyHasher(Sha256::new());
        hasher.add("stage", stage.name().as_bytes());
        if !needs.is_empty() {
            hasher.add("epoch", &epoch.to_le_bytes());
        }
        for need in needs {
            hasher.add(need.stage.name(), need.key.as_bytes());
        }
        hasher.add("revision", &REVISION.to_le_bytes());
        hasher
    }

    /// Name and value are both length-prefixed, so that no two lists of inputs look alike.
    pub(crate) fn add(&mut self, name: &str, value: &[u8]) {
        for part in [name.as_bytes(), value] {
            self.0.update((part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
    }

    fn add_words(&mut self, name: &str, words: &[impl AsRef<str>]) {
        let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
        self.add(name, words.join(" ").as_bytes());
    }

    /// Every file below `dir`.
    fn add_tree(&mut self, dir: &Path) -> Result<()> {
        for path in files::walk(dir)? {
            self.add(&path.to_string_lossy(), &files::read(&dir.join(&path))?);
        }
        Ok(())
    }

    /// Sixteen hexadecimal digits: short enough for a directory's name, long enough never to collide here.
    pub(crate) fn finish(self) -> String {
        hex::encode(&self.0.finalize()[..8])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_stage_is_called_the_same_on_the_command_line() {
        for stage in Stage::value_variants() {
            assert_eq!(Stage::from_str(stage.name(), false).as_ref(), Ok(stage));
        }
    }

    fn output(stage: Stage, key: &str) -> Output {
        Output {
            stage,
            key: key.to_owned(),
            dir: PathBuf::new(),
        }
    }

    #[test]
    fn what_is_needed_and_its_date_are_inputs() {
        let (one, other) = (output(Stage::Packages, "1"), output(Stage::Packages, "2"));
        let key = |epoch, needs: &[&Output]| KeyHasher::of(Stage::Root, epoch, needs).finish();
        assert_eq!(key(1, &[&one]), key(1, &[&one]));
        assert_ne!(key(1, &[&one]), key(1, &[&other]));
        assert_ne!(key(1, &[&one]), key(2, &[&one]));
        assert_eq!(key(1, &[]), key(2, &[]), "packages are not dated");
    }

    fn key(inputs: &[(String, Vec<u8>)]) -> String {
        let mut hasher = KeyHasher::of(Stage::Packages, 0, &[]);
        for (name, value) in inputs {
            hasher.add(name, value);
        }
        hasher.finish()
    }

    proptest! {
        #[test]
        fn different_inputs_have_different_keys(
            one in prop::collection::vec((".{0,3}", prop::collection::vec(any::<u8>(), 0..4)), 0..4),
            other in prop::collection::vec((".{0,3}", prop::collection::vec(any::<u8>(), 0..4)), 0..4),
        ) {
            prop_assert_eq!(key(&one) == key(&other), one == other);
        }
    }
}
