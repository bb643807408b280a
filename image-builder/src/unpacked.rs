//! Boot packages, unpacked and not installed: which a board has, and where the kernel lies among them.

use std::path::{Path, PathBuf};

use anyhow::Result;
use board_configs::Image;

use crate::tool::{Sources, Tools};
use crate::{files, recipe};

/// The board's boot packages as apt takes them: a package from another suite is followed by it.
pub(crate) fn names(image: &Image) -> Vec<String> {
    let common = recipe::BOOT_PACKAGES.iter().map(|name| match &image.kernel_suite {
        Some(suite) if *name == recipe::KERNEL_PACKAGE => format!("{name}/{suite}"),
        _ => (*name).to_owned(),
    });
    common.chain(image.boot_packages.iter().cloned()).collect()
}

/// Unpacks them, with the kernel's modules in their order.
pub(crate) fn unpack(tools: &Tools, packages: &[String], sources: &Sources, root: &Path) -> Result<()> {
    tools.mmdebstrap_extract(packages, sources, root)?;
    // base-files would bring this link; depmod looks in /lib.
    files::relink(&root.join("lib"), "usr/lib")?;
    tools.depmod(root, &kernel_version(root)?)?;
    Ok(())
}

/// Debian's name of the kernel, such as `6.12.48+deb13-arm64`.
pub(crate) fn kernel_version(root: &Path) -> Result<String> {
    files::only_entry(&root.join("usr/lib/modules"))
}

/// Where Debian's kernel packages have it: in `/boot`, and in newer ones beside the modules.
pub(crate) fn kernel_image(root: &Path, kernel: &str) -> PathBuf {
    let beside = root.join("usr/lib/modules").join(kernel).join("vmlinuz");
    if beside.is_file() {
        return beside;
    }
    root.join(format!("boot/vmlinuz-{kernel}"))
}
