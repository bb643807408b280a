//! All partitions on one disk, with the loaders in front of them.

use std::path::{Path, PathBuf};

use anyhow::Result;
use board_configs::{Loader, PartitionTable};

use super::{BootPackages, Firmware, KeyHasher, Output, Root, SlotBoot, Stage, Work};
use crate::layout::{self, Part};
use crate::tool::{Ext4, Tools};
use crate::{disk, files};

/// A data partition can grow to this in place (1 TiB): ext4 reserves the room for its group descriptors at the start.
const DATA_GROWS_TO_BYTES: u64 = 1 << 40;

pub(crate) struct Disk<'a> {
    pub(crate) root: &'a Output,
    pub(crate) slot_boot: &'a Output,
    pub(crate) firmware: &'a Output,
    /// Where the loaders come from.
    pub(crate) boot_packages: &'a Output,
    pub(crate) board: &'a str,
    pub(crate) partition_table: PartitionTable,
    pub(crate) loaders: &'a [Loader],
}

impl Disk<'_> {
    /// The whole disk.
    pub(super) fn image(output: &Output) -> PathBuf {
        output.path("disk.img")
    }

    /// The loaders in front of the partitions, with their sectors.
    fn loaders(&self) -> Result<Vec<(u64, PathBuf)>> {
        let packages = BootPackages::tree(self.boot_packages);
        let named = self.loaders.iter().map(|loader| {
            let file = packages.join(&loader.from);
            anyhow::ensure!(
                file.is_file(),
                "image.loaders of {} names {}, which no package of the board has",
                self.board,
                loader.from
            );
            Ok((loader.sector, file))
        });
        named.collect()
    }
}

impl Work for Disk<'_> {
    fn stage(&self) -> Stage {
        Stage::Disk
    }

    fn inputs(&self, epoch: u64) -> Result<KeyHasher> {
        // The boot packages count by what was made of them.
        let Disk {
            root,
            slot_boot,
            firmware,
            boot_packages: _,
            board,
            partition_table,
            loaders,
        } = self;
        let mut key = KeyHasher::of(Stage::Disk, epoch, &[root, slot_boot, firmware]);
        key.add("layout", layout::sfdisk_script(board).as_bytes());
        key.add("table", format!("{partition_table:?}").as_bytes());
        key.add("loaders", format!("{loaders:?}").as_bytes());
        Ok(key)
    }

    fn make(&self, tools: &Tools, into: &Path) -> Result<()> {
        let data = into.join("data.ext4");
        let ext4 = Ext4 {
            label: "data",
            uuid: layout::guid(self.board, "data-fs"),
            size_bytes: layout::partition(Part::Data).size_bytes,
            grows_to_bytes: Some(DATA_GROWS_TO_BYTES),
            journal_mib: Some(16),
            content: None,
        };
        tools.mke2fs(&ext4, &data)?;
        let contents: &[(Part, &Path)] = &[
            (Part::Firmware, &Firmware::fat(self.firmware)),
            (Part::BootA, &SlotBoot::ext4(self.slot_boot)),
            (Part::RootA, &Root::squashfs(self.root)),
            (Part::Data, &data),
        ];
        disk::assemble(
            tools,
            self.board,
            self.partition_table,
            &self.loaders()?,
            contents,
            &into.join("disk.img"),
        )?;
        files::remove(&data)
    }
}
