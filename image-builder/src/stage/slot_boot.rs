//! A slot's boot partition: kernel, initrd, device trees and the script that starts them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{BootPackages, KeyHasher, Output, Stage, Work};
use crate::layout::{self, Part};
use crate::tool::{Ext4, Tools};
use crate::{files, initrd, recipe, unpacked};

pub(crate) struct SlotBoot<'a> {
    pub(crate) boot_packages: &'a Output,
    pub(crate) board: &'a str,
    /// The slot's script for U-Boot.
    pub(crate) script: String,
    pub(crate) device_trees: &'a [String],
    /// What the board's initrd loads beside the modules of every initrd.
    pub(crate) initrd_modules: &'a [String],
    /// The initrd's own files.
    pub(crate) overlay: PathBuf,
}

impl SlotBoot<'_> {
    /// The file system.
    pub(super) fn ext4(output: &Output) -> PathBuf {
        output.path("boot.ext4")
    }
}

impl Work for SlotBoot<'_> {
    fn stage(&self) -> Stage {
        Stage::SlotBoot
    }

    fn inputs(&self, epoch: u64) -> Result<KeyHasher> {
        let SlotBoot {
            boot_packages,
            board,
            script,
            device_trees,
            initrd_modules,
            overlay,
        } = self;
        let mut key = KeyHasher::of(Stage::SlotBoot, epoch, &[boot_packages]);
        key.add("times", b"of the commit");
        key.add("board", board.as_bytes());
        key.add("script", script.as_bytes());
        key.add_words("trees", device_trees);
        key.add_words("modules", initrd_modules);
        key.add_words("common modules", recipe::INITRD_MODULES);
        key.add_words("modules of some", recipe::INITRD_MODULES_OF_SOME);
        key.add_words("applets", recipe::INITRD_APPLETS);
        key.add_tree(overlay)?;
        Ok(key)
    }

    fn make(&self, tools: &Tools, into: &Path) -> Result<()> {
        let packages = BootPackages::tree(self.boot_packages);
        let kernel = unpacked::kernel_version(&packages)?;
        let content = into.join("content");
        files::copy(
            &unpacked::kernel_image(&packages, &kernel),
            &content.join("vmlinuz"),
            0o644,
        )?;
        for tree in self.device_trees {
            let from = packages.join(format!("usr/lib/linux-image-{kernel}")).join(tree);
            files::copy(&from, &content.join("dtb").join(tree), 0o644)
                .with_context(|| format!("image.device_trees of {} names {tree}", self.board))?;
        }
        let init = files::read(&self.overlay.join("init"))?;
        let initrd = content.join("initrd");
        initrd::build(tools, &packages, &kernel, self.initrd_modules, &init, &initrd)?;
        let script = into.join("boot.cmd");
        files::write(&script, self.script.as_bytes(), 0o644)?;
        tools.mkimage_script(&script, &content.join("boot.scr"))?;
        let ext4 = Ext4 {
            label: "boot",
            uuid: layout::guid(self.board, "boot-fs"),
            size_bytes: layout::partition(Part::BootA).size_bytes,
            grows_to_bytes: None,
            journal_mib: None,
            content: Some(&content),
        };
        tools.mke2fs(&ext4, &into.join("boot.ext4"))?;
        files::remove(&content)
    }
}
