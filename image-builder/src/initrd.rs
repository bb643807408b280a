//! The initrd: one static busybox, the modules that lead to the root, and `overlay/initrd/init`.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Result, anyhow};

use crate::cpio::Archive;
use crate::files;
use crate::modules::Modules;
use crate::recipe;
use crate::tool::Tools;

/// `packages` is the unpacked boot packages after depmod; `wanted` are the board's modules by name.
pub(crate) fn build(
    tools: &Tools,
    packages: &Path,
    version: &str,
    wanted: &[String],
    init: &[u8],
    to: &Path,
) -> Result<()> {
    let base = packages.join("usr/lib/modules").join(version);
    let dep = files::text(&base.join("modules.dep"))?;
    let builtin = files::text(&base.join("modules.builtin"))?;
    let modules = Modules::parse(&dep);
    let of_some = recipe::INITRD_MODULES_OF_SOME.iter().copied();
    let loadable: Vec<String> = of_some
        .filter(|name| modules.has(name))
        .chain(wanted.iter().map(String::as_str))
        .chain(recipe::INITRD_MODULES.iter().copied())
        .filter(|name| !is_builtin(&builtin, name))
        .map(str::to_owned)
        .collect();
    let order = modules
        .load_order(&loadable)
        .map_err(|name| anyhow!("the kernel {version} has no module {name}; mend image.initrd_modules of the board"))?;

    let mut archive = Archive::new(Vec::new());
    for directory in ["bin", "dev", "modules", "proc", "root", "run", "sys"] {
        archive.directory(directory)?;
    }
    // The kernel opens it for /init before anything is mounted.
    archive.character_device("dev/console", 5, 1)?;
    archive.file("init", 0o755, init)?;
    archive.file("bin/busybox", 0o755, &files::read(&packages.join("usr/bin/busybox"))?)?;
    for applet in recipe::INITRD_APPLETS {
        archive.link(&format!("bin/{applet}"), "busybox")?;
    }
    let mut names = BTreeSet::new();
    let mut list = String::new();
    for path in &order {
        let file = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".xz");
        anyhow::ensure!(names.insert(file.to_owned()), "two modules are called {file}");
        // Unpacked here: the archive is compressed as a whole, and the boot has less to do.
        archive.file(&format!("modules/{file}"), 0o644, &tools.unxz(&base.join(path))?)?;
        list.push_str(file);
        list.push('\n');
    }
    archive.file("modules/order", 0o644, list.as_bytes())?;
    let plain = to.with_extension("cpio");
    files::write(&plain, &archive.finish()?, 0o644)?;
    tools.zstd(&plain, to)?;
    files::remove(&plain)
}

pub(crate) fn is_builtin(builtin: &str, name: &str) -> bool {
    builtin.lines().any(|line| {
        let file = line.rsplit('/').next().unwrap_or(line);
        file.trim_end_matches(".ko").replace('-', "_") == name.replace('-', "_")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_modules_are_known_by_name() {
        let builtin = "kernel/drivers/mmc/core/mmc_block.ko\nkernel/drivers/virtio/virtio_pci.ko\n";
        assert!(is_builtin(builtin, "virtio-pci"));
        assert!(is_builtin(builtin, "mmc_block"));
        assert!(!is_builtin(builtin, "virtio"));
    }
}
