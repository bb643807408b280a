//! A plain Debian with the same packages and programs, as somebody would set it up by hand: Debian's own kernel package
//! with its own initrd, one ext4 root that is written to, everything enabled that packages enable. `scripts/bench image`
//! starts it beside an image.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use board_configs::Board;

use crate::layout;
use crate::tool::{Ext4, Sources, Tools};
use crate::{daemon, disk, files, recipe};

const BOARD: &str = "qemu-virt";
/// What makes a kernel start by itself, beside the packages that every image has.
const BOOT_PACKAGES: &[&str] = &["initramfs-tools", "linux-image-arm64"];
const ROOT_BYTES: u64 = 2 << 30;
/// From the overlay: the daemon and where it finds things. What makes an image start faster or wear less is not here.
const OVERLAY: &[&str] = &[
    "etc/pillarbox/pillarboxd.toml",
    "etc/systemd/network/20-ethernet.network",
    "usr/lib/sysusers.d/pillarbox.conf",
    "usr/lib/systemd/system/pillarboxd.service",
    "usr/lib/tmpfiles.d/pillarbox.conf",
];

/// Makes the disk below `out` and returns its path.
///
/// # Errors
/// When a file is missing or a program fails; the program's log is beside the disk.
pub fn build(repository: &Path, programs: &Path, out: &Path, epoch: u64, mirrors: &[String]) -> Result<PathBuf> {
    let dir = out.join("plain-debian");
    files::remove(&dir)?;
    files::make_dir(&dir)?;
    let tools = Tools::new(dir.join("plain.log"), epoch);
    let sources = Sources::found(&tools, mirrors, None)?;
    let tree = dir.join("root");
    let names = recipe::PACKAGES.iter().chain(BOOT_PACKAGES);
    let names: Vec<String> = names.map(|name| (*name).to_owned()).collect();
    tools.mmdebstrap_root(&names, &sources, &tree)?;
    let uuid = layout::guid("plain", "root");
    set_up(&tools, repository, programs, &tree, &uuid)?;
    let script = dir.join("boot.cmd");
    files::write(&script, boot_script(&tree, &uuid)?.as_bytes(), 0o644)?;
    tools.mkimage_script(&script, &tree.join("boot/boot.scr"))?;

    let ext4 = dir.join("root.ext4");
    let root = Ext4 {
        label: "root",
        uuid,
        size_bytes: ROOT_BYTES,
        grows_to_bytes: None,
        journal_mib: Some(64),
        content: Some(&tree),
    };
    tools.mke2fs(&root, &ext4)?;
    let image = dir.join("disk.img");
    disk::single(&tools, &ext4, &image)?;
    files::remove(&ext4)?;
    files::remove(&tree)?;
    Ok(image)
}

/// Our programs and what they need, as somebody would add them by hand.
fn set_up(tools: &Tools, repository: &Path, programs: &Path, tree: &Path, uuid: &str) -> Result<()> {
    for (program, to) in recipe::PROGRAMS {
        files::copy(&programs.join(program), &tree.join(to), 0o755)?;
    }
    for path in OVERLAY {
        let from = repository.join("image-builder/overlay/root").join(path);
        files::copy(&from, &tree.join(path), 0o644)?;
    }
    daemon::add_services(&repository.join("daemon/services"), tree)?;
    daemon::name_board(tree, BOARD)?;
    let mounts = format!("UUID={uuid} / ext4 defaults 0 1\n");
    files::write(&tree.join("etc/fstab"), mounts.as_bytes(), 0o644)?;
    files::write(&tree.join("etc/hostname"), b"debian\n", 0o644)?;
    files::make_dir(&tree.join("data"))?;
    tools.chroot(tree, &["systemd-sysusers"])?;
    let network = ["systemd-networkd", "systemd-resolved", "systemd-timesyncd"];
    let enable = ["systemctl", "enable", "pillarboxd"].into_iter().chain(network);
    Ok(tools.chroot(tree, &enable.collect::<Vec<_>>())?)
}

/// What U-Boot runs.
fn boot_script(tree: &Path, uuid: &str) -> Result<String> {
    let kernel = files::only_entry(&tree.join("usr/lib/modules"))?;
    let consoles = Board::named(BOARD)?.image.context("the board has no image")?.consoles;
    let console = consoles.last().map_or("", String::as_str);
    Ok(format!(
        "setenv bootargs \"console={console} root=UUID={uuid} quiet\"\n\
         load ${{devtype}} ${{devnum}}:${{distro_bootpart}} ${{kernel_addr_r}} boot/vmlinuz-{kernel}\n\
         load ${{devtype}} ${{devnum}}:${{distro_bootpart}} ${{ramdisk_addr_r}} boot/initrd.img-{kernel}\n\
         booti ${{kernel_addr_r}} ${{ramdisk_addr_r}}:${{filesize}} ${{fdtcontroladdr}}\n"
    ))
}
