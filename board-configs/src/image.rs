//! What a board's card holds: the boot files, the partition table's kind and the kernel modules that lead to the root
//! file system. What every card holds alike (the layout, the packages) is image-builder's recipe, not a board's.
//!
//! Lists of a nearer file are added to those of the farther ones, because a board needs what its family needs.

use std::path::{Component, Path};

use serde::Deserialize;

use crate::Error;
use crate::check::Checker;

/// What image-builder must know of a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Which table a boot ROM of the board reads.
    pub partition_table: PartitionTable,
    /// The suite that the kernel comes from, where Debian's stable one does not know the board yet.
    pub kernel_suite: Option<String>,
    /// Debian packages that are unpacked for their boot files only.
    pub boot_packages: Vec<String>,
    /// What the FAT partition gets from those packages.
    pub boot_files: Vec<BootFile>,
    /// What the board's ROM or its first loader reads from fixed places in front of the partitions.
    pub loaders: Vec<Loader>,
    /// Lines of `config.txt` for boards whose firmware reads one.
    pub config_txt: Vec<String>,
    /// Device trees of the kernel package that go into each slot, below `/usr/lib/linux-image-VERSION`.
    pub device_trees: Vec<String>,
    /// Where U-Boot puts the device tree and the initrd, where its own choice is not free of the kernel.
    pub device_tree_address: Option<u32>,
    /// The same for the initrd.
    pub initrd_address: Option<u32>,
    /// The kernel's consoles, the main one last.
    pub consoles: Vec<String>,
    /// The kernel's arguments beside those of every board.
    pub kernel_arguments: Vec<String>,
    /// Modules that must be loaded before the root file system can be read, by name.
    pub initrd_modules: Vec<String>,
    /// The boards by the names that Raspberry Pi Imager has for them; none for boards that it does not know.
    pub imager_devices: Vec<String>,
    /// Paths below `kernel/` of modules that the common selection leaves out.
    pub modules: Vec<String>,
    /// Paths below `/usr/lib/firmware` of what the kernel loads into the board's own devices, such as its Wi-Fi.
    pub firmware: Vec<String>,
}

/// The kind of partition table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartitionTable {
    /// GPT alone.
    Gpt,
    /// GPT, and beside it an MBR entry for the FAT partition: the boot ROM of Raspberry Pi 3 and Zero 2 W reads no GPT.
    Hybrid,
}

/// One file of the FAT partition.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BootFile {
    /// Path inside the unpacked packages, `{kernel}` in it the kernel's version; a directory is taken whole.
    pub from: String,
    /// Path on the FAT partition.
    pub to: String,
}

/// A loader that lies on the card outside of any partition.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loader {
    /// Path inside the unpacked packages.
    pub from: String,
    /// Where it starts, in sectors of 512 bytes.
    pub sector: u64,
}

/// The partition table takes the sectors before the first of these (UEFI 2.10, section 5.3: 16 KiB of entries); what
/// fits before the first partition, image-builder's layout knows.
const LOADER_SECTORS: std::ops::RangeInclusive<u64> = 34..=1 << 20;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImagePart {
    partition_table: Option<PartitionTable>,
    kernel_suite: Option<String>,
    #[serde(default)]
    boot_packages: Vec<String>,
    #[serde(default)]
    boot_files: Vec<BootFile>,
    #[serde(default)]
    loaders: Vec<Loader>,
    #[serde(default)]
    config_txt: Vec<String>,
    #[serde(default)]
    device_trees: Vec<String>,
    device_tree_address: Option<u32>,
    initrd_address: Option<u32>,
    #[serde(default)]
    consoles: Vec<String>,
    #[serde(default)]
    kernel_arguments: Vec<String>,
    #[serde(default)]
    initrd_modules: Vec<String>,
    #[serde(default)]
    imager_devices: Vec<String>,
    #[serde(default)]
    modules: Vec<String>,
    #[serde(default)]
    firmware: Vec<String>,
}

pub(crate) fn over(near: Option<ImagePart>, far: Option<ImagePart>) -> Option<ImagePart> {
    match (near, far) {
        (Some(near), Some(mut far)) => {
            far.boot_packages.extend(near.boot_packages);
            far.boot_files.extend(near.boot_files);
            far.loaders.extend(near.loaders);
            far.config_txt.extend(near.config_txt);
            far.device_trees.extend(near.device_trees);
            far.device_tree_address = near.device_tree_address.or(far.device_tree_address);
            far.initrd_address = near.initrd_address.or(far.initrd_address);
            far.consoles.extend(near.consoles);
            far.kernel_arguments.extend(near.kernel_arguments);
            far.initrd_modules.extend(near.initrd_modules);
            far.imager_devices.extend(near.imager_devices);
            far.modules.extend(near.modules);
            far.firmware.extend(near.firmware);
            far.kernel_suite = near.kernel_suite.or(far.kernel_suite);
            far.partition_table = near.partition_table.or(far.partition_table);
            Some(far)
        }
        (near, far) => near.or(far),
    }
}

/// Every value is good, and none is missing that has no default.
pub(crate) fn complete(part: ImagePart, checker: &Checker) -> Result<Image, Error> {
    check_paths(&part, checker)?;
    check_words(&part, checker)?;
    if part.consoles.is_empty() {
        return Err(checker.missing("image.consoles"));
    }
    Ok(Image {
        partition_table: checker.present("image.partition_table", part.partition_table)?,
        kernel_suite: part.kernel_suite,
        boot_packages: part.boot_packages,
        boot_files: part.boot_files,
        loaders: part.loaders,
        config_txt: part.config_txt,
        device_trees: part.device_trees,
        device_tree_address: part.device_tree_address,
        initrd_address: part.initrd_address,
        consoles: part.consoles,
        kernel_arguments: part.kernel_arguments,
        initrd_modules: part.initrd_modules,
        imager_devices: part.imager_devices,
        modules: part.modules,
        firmware: part.firmware,
    })
}

/// What image-builder joins to a directory stays below it.
fn check_paths(part: &ImagePart, checker: &Checker) -> Result<(), Error> {
    let inside = |key: &str, value: &str| match is_inside(value) {
        true => Ok(()),
        false => Err(checker.bad(key, value, "use a relative path without `..`")),
    };
    for file in &part.boot_files {
        inside("image.boot_files.from", &file.from)?;
        inside("image.boot_files.to", &file.to)?;
    }
    for loader in &part.loaders {
        inside("image.loaders.from", &loader.from)?;
        if !LOADER_SECTORS.contains(&loader.sector) {
            let expected = "use 34 to 1048576: the partition table is before that";
            return Err(checker.bad("image.loaders.sector", &loader.sector.to_string(), expected));
        }
    }
    for (key, paths) in [
        ("image.device_trees", &part.device_trees),
        ("image.modules", &part.modules),
        ("image.firmware", &part.firmware),
    ] {
        paths.iter().try_for_each(|value| inside(key, value))?;
    }
    Ok(())
}

/// What is written into scripts and given to programs ends nothing there.
fn check_words(part: &ImagePart, checker: &Checker) -> Result<(), Error> {
    let suite = part.kernel_suite.as_slice();
    let expected = "use the name of a suite, such as `trixie-backports`";
    checker.all("image.kernel_suite", suite, is_suite, expected)?;
    let expected = "use one argument each, without spaces, quotes, `$`, `;` and `\\`";
    checker.all("image.kernel_arguments", &part.kernel_arguments, is_argument, expected)?;
    checker.all("image.consoles", &part.consoles, is_argument, expected)?;
    let expected = "use letters, digits and `+-._`, and a letter or digit first";
    checker.all("image.boot_packages", &part.boot_packages, is_name, expected)?;
    checker.all("image.initrd_modules", &part.initrd_modules, is_name, expected)?;
    let is_line = |line: &str| !line.contains(char::is_control);
    checker.all("image.config_txt", &part.config_txt, is_line, "use one line each")
}

fn is_inside(path: &str) -> bool {
    !path.is_empty()
        && Path::new(path)
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
}

fn is_suite(suite: &str) -> bool {
    !suite.is_empty() && suite.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}

/// They stand between quotes in a script of U-Boot's.
fn is_argument(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && !br#""$;\'"#.contains(&byte);
    !text.is_empty() && text.bytes().all(plain)
}

/// Of a package of Debian (policy, section 5.6.7) or of a module: given to programs, which take none of these for an
/// option.
fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._".contains(&byte);
    text.starts_with(|first: char| first.is_ascii_alphanumeric()) && text.bytes().all(plain)
}
