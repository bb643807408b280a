//! Kernel, firmware and loaders, unpacked from their packages.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{KeyHasher, Output, Stage, Work};
use crate::tool::{Sources, Tools};
use crate::{recipe, unpacked};

pub(crate) struct BootPackages<'a> {
    pub(crate) names: &'a [String],
    /// As they were asked for.
    pub(crate) mirrors: &'a [String],
    pub(crate) sources: &'a Sources,
}

impl BootPackages<'_> {
    /// The unpacked packages.
    pub(super) fn tree(output: &Output) -> PathBuf {
        output.path("root")
    }
}

impl Work for BootPackages<'_> {
    fn stage(&self) -> Stage {
        Stage::BootPackages
    }

    fn inputs(&self, epoch: u64) -> Result<KeyHasher> {
        // Where this machine's apt would find the packages is no part of what they are.
        let BootPackages {
            names,
            mirrors,
            sources: _,
        } = self;
        let mut key = KeyHasher::of(Stage::BootPackages, epoch, &[]);
        key.add_words("packages", names);
        key.add("mirrors", mirrors.join("\n").as_bytes());
        key.add("suite", recipe::SUITE.as_bytes());
        Ok(key)
    }

    fn make(&self, tools: &Tools, into: &Path) -> Result<()> {
        unpacked::unpack(tools, self.names, self.sources, &into.join("root"))
    }
}
