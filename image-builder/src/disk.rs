//! The card's image: partitions written into a sparse file at their places.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use board_configs::PartitionTable;

use crate::bootstate::Bootstate;
use crate::layout::{self, Part};
use crate::tool::Tools;

/// Holes are kept in pieces of this size.
const PIECE_BYTES: usize = 64 * 1024;
/// Where the MBR's partition entries start.
const MBR_ENTRIES_AT: u64 = 446;

/// `loaders` are files with the sectors at which they start, in front of the first partition.
pub(crate) fn assemble(
    tools: &Tools,
    seed: &str,
    table: PartitionTable,
    loaders: &[(u64, PathBuf)],
    contents: &[(Part, &Path)],
    to: &Path,
) -> Result<()> {
    let said = || format!("cannot write {}", to.display());
    let mut image = OpenOptions::new()
        .create(true)
        .truncate(true)
        .read(true)
        .write(true)
        .open(to)
        .with_context(said)?;
    image.set_len(layout::image_bytes()).with_context(said)?;
    tools.sfdisk(to, &layout::sfdisk_script(seed))?;
    if let Some(entries) = layout::mbr_entries(table) {
        image.seek(SeekFrom::Start(MBR_ENTRIES_AT)).with_context(said)?;
        image.write_all(&entries).with_context(said)?;
    }
    let mut free_from = 0;
    for (sector, file) in loaders {
        let start_bytes = sector * layout::SECTOR_BYTES;
        let mut content = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
        let size = content.metadata().with_context(said)?.len();
        let end_bytes = start_bytes + size;
        anyhow::ensure!(
            start_bytes >= free_from && end_bytes <= layout::partition(Part::Firmware).start_bytes,
            "{} at sector {sector} does not fit between what is before it and the first partition",
            file.display()
        );
        free_from = end_bytes;
        copy_sparse(&mut content, &mut image, start_bytes)
            .with_context(|| format!("cannot write {} into {}", file.display(), to.display()))?;
    }
    for (part, file) in contents {
        let partition = layout::partition(*part);
        let mut content = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
        let size = content.metadata().with_context(said)?.len();
        anyhow::ensure!(
            size <= partition.size_bytes,
            "{} has {size} bytes, but the partition {} only {}",
            file.display(),
            partition.name,
            partition.size_bytes
        );
        copy_sparse(&mut content, &mut image, partition.start_bytes)
            .with_context(|| format!("cannot write {} into {}", file.display(), to.display()))?;
    }
    let state = layout::partition(Part::Bootstate);
    image.seek(SeekFrom::Start(state.start_bytes)).with_context(said)?;
    image
        .write_all(&Bootstate::FIRST.partition(state.size_bytes))
        .with_context(said)?;
    image.sync_all().with_context(said)
}

/// A disk with nothing but one bootable file system.
pub(crate) fn single(tools: &Tools, content: &Path, to: &Path) -> Result<()> {
    let said = || format!("cannot write {}", to.display());
    let start_bytes = layout::partition(Part::Firmware).start_bytes;
    let mut content = File::open(content).with_context(|| format!("cannot read {}", content.display()))?;
    let size_bytes = content.metadata().with_context(said)?.len();
    let mut image = File::create_new(to).with_context(said)?;
    // The same room after it, for the table's second copy.
    image
        .set_len(start_bytes + size_bytes + start_bytes)
        .with_context(said)?;
    let (start, size) = (start_bytes / layout::SECTOR_BYTES, size_bytes / layout::SECTOR_BYTES);
    tools.sfdisk(
        to,
        &format!("label: gpt\nunit: sectors\nstart={start}, size={size}, attrs=\"LegacyBIOSBootable\"\n"),
    )?;
    copy_sparse(&mut content, &mut image, start_bytes).with_context(said)?;
    image.sync_all().with_context(said)
}

fn copy_sparse(from: &mut File, to: &mut File, at_bytes: u64) -> std::io::Result<()> {
    let mut piece = vec![0; PIECE_BYTES];
    let mut at = at_bytes;
    loop {
        let mut filled = 0;
        while filled < piece.len() {
            match from.read(&mut piece[filled..])? {
                0 => break,
                read => filled += read,
            }
        }
        if filled == 0 {
            return Ok(());
        }
        if piece[..filled].iter().any(|byte| *byte != 0) {
            to.seek(SeekFrom::Start(at))?;
            to.write_all(&piece[..filled])?;
        }
        at += filled as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_exactly_and_leaves_holes() {
        let dir = tempfile::tempdir().unwrap();
        let mut content = vec![0u8; 3 * PIECE_BYTES + 7];
        content[PIECE_BYTES] = 1;
        content[3 * PIECE_BYTES + 6] = 2;
        let from = dir.path().join("from");
        std::fs::write(&from, &content).unwrap();
        let mut to = OpenOptions::new()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(dir.path().join("to"))
            .unwrap();
        to.set_len(1 << 20).unwrap();
        copy_sparse(&mut File::open(&from).unwrap(), &mut to, 4096).unwrap();
        let written = std::fs::read(dir.path().join("to")).unwrap();
        assert_eq!(&written[4096..4096 + content.len()], &content[..]);
        assert_eq!(written.len(), 1 << 20);
    }
}
