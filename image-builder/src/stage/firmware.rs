//! The FAT partition: the board's firmware, U-Boot, the script that chooses a slot, and a person's settings.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use board_configs::BootFile;
use card_settings::{address, answer, word};

use super::{BootPackages, KeyHasher, Output, Stage, Work};
use crate::layout::{self, Part};
use crate::tool::Tools;
use crate::{files, unpacked};

/// A mistake's sentence or every setting with its value, with room for later versions to say more.
const ANSWER_BYTES: usize = 4096;
const ANSWER_BEFORE_THE_FIRST_START: &str = "The box has not been switched on with this card yet.\n";

/// Files that the box writes over: name, first text, size.
const PREPARED: &[(&str, &str, usize)] = &[
    (answer::FILE, ANSWER_BEFORE_THE_FIRST_START, ANSWER_BYTES),
    (address::FILE, address::NONE_YET, address::FILE_BYTES),
    (word::FILE, word::NONE_YET, word::FILE_BYTES),
];

pub(crate) struct Firmware<'a> {
    pub(crate) boot_packages: &'a Output,
    pub(crate) board: &'a str,
    /// The script for U-Boot that chooses a slot.
    pub(crate) script: String,
    /// Lines of `config.txt`, if the board reads one.
    pub(crate) config_txt: &'a [String],
    pub(crate) boot_files: &'a [BootFile],
    /// Our own files.
    pub(crate) overlay: PathBuf,
}

impl Firmware<'_> {
    /// The file system.
    pub(super) fn fat(output: &Output) -> PathBuf {
        output.path("firmware.fat")
    }

    fn fill(&self, content: &Path) -> Result<()> {
        files::make_dir(content)?;
        self.copy_boot_files(content)?;
        if !self.config_txt.is_empty() {
            let text = self.config_txt.join("\n") + "\n";
            files::write(&content.join("config.txt"), text.as_bytes(), 0o644)?;
        }
        copy_below(&self.overlay, content)?;
        // The box may only write over what is there (card-settings), so the room is made now.
        for (name, text, bytes) in PREPARED {
            files::write(&content.join(name), &answer::fitted(text, *bytes), 0o644)?;
        }
        Ok(())
    }

    fn copy_boot_files(&self, content: &Path) -> Result<()> {
        let packages = BootPackages::tree(self.boot_packages);
        let kernel = unpacked::kernel_version(&packages)?;
        for file in self.boot_files {
            let from = packages.join(file.from.replace("{kernel}", &kernel));
            let to = content.join(&file.to);
            if from.is_dir() {
                copy_below(&from, &to)?;
            } else {
                files::copy(&from, &to, 0o644)
                    .with_context(|| format!("image.boot_files of {} names {}", self.board, file.from))?;
            }
        }
        Ok(())
    }
}

impl Work for Firmware<'_> {
    fn stage(&self) -> Stage {
        Stage::Firmware
    }

    fn inputs(&self, epoch: u64) -> Result<KeyHasher> {
        let Firmware {
            boot_packages,
            board,
            script,
            config_txt,
            boot_files,
            overlay,
        } = self;
        let mut key = KeyHasher::of(Stage::Firmware, epoch, &[boot_packages]);
        key.add("times", b"of the commit");
        key.add("board", board.as_bytes());
        key.add("script", script.as_bytes());
        key.add("config", config_txt.join("\n").as_bytes());
        for BootFile { from, to } in *boot_files {
            key.add(to, from.as_bytes());
        }
        for (name, text, bytes) in PREPARED {
            key.add(name, &answer::fitted(text, *bytes));
        }
        key.add_tree(overlay)?;
        Ok(key)
    }

    fn make(&self, tools: &Tools, into: &Path) -> Result<()> {
        let content = into.join("content");
        self.fill(&content)?;
        let script = into.join("boot.cmd");
        files::write(&script, self.script.as_bytes(), 0o644)?;
        tools.mkimage_script(&script, &content.join("boot.scr"))?;
        let image = into.join("firmware.fat");
        std::fs::File::create(&image)
            .and_then(|file| file.set_len(layout::partition(Part::Firmware).size_bytes))
            .with_context(|| format!("cannot write {}", image.display()))?;
        tools.mkfs_fat(&image, "PILLARBOX", fat_id(self.board))?;
        tools.set_times(&content)?;
        copy_into_fat(tools, &content, &image)?;
        files::remove(&content)
    }
}

fn copy_below(from: &Path, to: &Path) -> Result<()> {
    for path in files::walk(from)? {
        files::copy(&from.join(&path), &to.join(&path), 0o644)?;
    }
    Ok(())
}

/// File by file in order of their names, each directory before what is in it, so that every build is the same.
fn copy_into_fat(tools: &Tools, content: &Path, image: &Path) -> Result<()> {
    let mut made: Vec<PathBuf> = Vec::new();
    for path in files::walk(content)? {
        let parents: Vec<&Path> = path
            .ancestors()
            .skip(1)
            .filter(|parent| *parent != Path::new(""))
            .collect();
        for parent in parents.into_iter().rev() {
            if !made.iter().any(|known| known == parent) {
                tools.mmd(image, &parent.to_string_lossy())?;
                made.push(parent.to_owned());
            }
        }
        tools.mcopy(image, &content.join(&path), &path.to_string_lossy())?;
    }
    Ok(())
}

/// A FAT volume's number: any, but the same in every build.
fn fat_id(board: &str) -> u32 {
    u32::from_str_radix(&layout::guid(board, "fat")[..8], 16).expect("an identifier starts with eight digits")
}
