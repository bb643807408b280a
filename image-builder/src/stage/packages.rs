//! The packages of the root file system, installed.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{KeyHasher, Output, Stage, Work};
use crate::recipe;
use crate::tool::{Sources, Tools};

pub(crate) struct Packages<'a> {
    pub(crate) names: &'a [String],
    /// As they were asked for.
    pub(crate) mirrors: &'a [String],
    pub(crate) sources: &'a Sources,
}

impl Packages<'_> {
    /// The root before anything is cut from it.
    pub(super) fn tree(output: &Output) -> PathBuf {
        output.path("root")
    }
}

impl Work for Packages<'_> {
    fn stage(&self) -> Stage {
        Stage::Packages
    }

    fn inputs(&self, epoch: u64) -> Result<KeyHasher> {
        // Where this machine's apt would find the packages is no part of what they are.
        let Packages {
            names,
            mirrors,
            sources: _,
        } = self;
        let mut key = KeyHasher::of(Stage::Packages, epoch, &[]);
        key.add_words("packages", names);
        key.add("mirrors", mirrors.join("\n").as_bytes());
        key.add("suite", recipe::SUITE.as_bytes());
        Ok(key)
    }

    fn make(&self, tools: &Tools, into: &Path) -> Result<()> {
        Ok(tools.mmdebstrap_root(self.names, self.sources, &into.join("root"))?)
    }
}
