//! Whether Debian's packages have what the boards' files name: boot files, loaders, device trees, firmware, modules.
//! Few unpackings for all boards, so that a name which a newer package dropped is found without building an image for each.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use board_configs::{Board, Image};

use crate::modules::Modules;
use crate::tool::{Sources, Tools};
use crate::{files, initrd, recipe, unpacked};

/// Unpacks the packages below `out` and returns the names of the boards whose files are all there. Boards that take their
/// kernel from the same suite share an unpacking.
///
/// # Errors
/// Names every file and module that no package has, by board; or what kept the packages from being unpacked.
pub fn check(out: &Path, mirrors: &[String]) -> Result<Vec<&'static str>> {
    let dir = out.join("check");
    files::remove(&dir)?;
    files::make_dir(&dir)?;
    let tools = Tools::new(dir.join("check.log"), 0);
    let mut suites: BTreeMap<Option<String>, Vec<(&'static str, Image)>> = BTreeMap::new();
    for name in board_configs::names() {
        if let Some(image) = Board::named(name)?.image {
            suites
                .entry(image.kernel_suite.clone())
                .or_default()
                .push((name, image));
        }
    }
    let mut missing = Vec::new();
    for (suite, boards) in &suites {
        let packages: BTreeSet<String> = boards.iter().flat_map(|(_, image)| unpacked::names(image)).collect();
        let sources = Sources::found(&tools, mirrors, suite.as_deref())?;
        let root = dir.join(suite.as_deref().unwrap_or(recipe::SUITE));
        unpacked::unpack(&tools, &packages.into_iter().collect::<Vec<_>>(), &sources, &root)?;
        let shelf = Shelf::of(&root)?;
        for (name, image) in boards {
            missing.extend(shelf.missing(image).into_iter().map(|what| format!("{name}: {what}")));
        }
        files::remove(&root)?;
    }
    ensure!(
        missing.is_empty(),
        "no package of the board has what its file names:\n{}",
        missing.join("\n")
    );
    let names = suites.into_values().flatten().map(|(name, _)| name);
    Ok(names.collect())
}

/// Unpacked packages.
struct Shelf {
    root: PathBuf,
    kernel: String,
    modules: Modules,
    /// Paths below `kernel/`.
    module_paths: Vec<PathBuf>,
    builtin: String,
}

impl Shelf {
    fn of(root: &Path) -> Result<Shelf> {
        let kernel = unpacked::kernel_version(root)?;
        let base = root.join("usr/lib/modules").join(&kernel);
        let text = |name: &str| files::text(&base.join(name));
        Ok(Shelf {
            root: root.to_owned(),
            modules: Modules::parse(&text("modules.dep")?),
            module_paths: files::walk(&base.join("kernel"))?,
            builtin: text("modules.builtin")?,
            kernel,
        })
    }

    fn missing(&self, image: &Image) -> Vec<String> {
        let boot_files = image
            .boot_files
            .iter()
            .map(|file| file.from.replace("{kernel}", &self.kernel));
        let loaders = image.loaders.iter().map(|loader| loader.from.clone());
        let trees = image
            .device_trees
            .iter()
            .map(|tree| format!("usr/lib/linux-image-{}/{tree}", self.kernel));
        let firmware = image.firmware.iter().map(|file| format!("usr/lib/firmware/{file}"));
        let files = boot_files
            .chain(loaders)
            .chain(trees)
            .chain(firmware)
            .filter(|path| !self.root.join(path).exists());
        let modules = image
            .modules
            .iter()
            .filter(|wanted| !self.module_paths.iter().any(|path| path.starts_with(wanted)))
            .map(|wanted| format!("module {wanted}"));
        let own = image.initrd_modules.iter().map(String::as_str);
        let initrd = own
            .chain(recipe::INITRD_MODULES.iter().copied())
            .filter(|name| !initrd::is_builtin(&self.builtin, name) && !self.modules.has(name))
            .map(|name| format!("module {name} of the initrd"));
        files.chain(modules).chain(initrd).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let root = tempfile::tempdir().unwrap();
        let modules = "usr/lib/modules/6.1/";
        for (path, text) in [
            ("usr/lib/linux-image-6.1/broadcom/bcm2837-rpi-3-b.dtb", ""),
            ("usr/lib/modules/6.1/kernel/drivers/net/x/x.ko.xz", ""),
            (&format!("{modules}modules.dep"), "kernel/drivers/net/x/x.ko.xz:\n"),
            (
                &format!("{modules}modules.builtin"),
                "kernel/drivers/mmc/bcm2835.ko\nkernel/fs/squashfs/squashfs.ko\n",
            ),
        ] {
            files::write(&root.path().join(path), text.as_bytes(), 0o644).unwrap();
        }
        let shelf = Shelf::of(root.path()).unwrap();
        let mut image = Board::named("rpi-3").unwrap().image.unwrap();
        image.boot_files.retain(|file| file.to.starts_with("bcm2837"));
        image.firmware = vec!["brcm/none.bin".to_owned()];
        image.modules = vec!["drivers/net/x".to_owned(), "drivers/net/y".to_owned()];
        assert_eq!(
            shelf.missing(&image),
            [
                "usr/lib/linux-image-6.1/broadcom/bcm2837-rpi-3-b-plus.dtb",
                "usr/lib/linux-image-6.1/broadcom/bcm2837-rpi-3-b-plus.dtb",
                "usr/lib/firmware/brcm/none.bin",
                "module drivers/net/y",
                "module sdhci_iproc of the initrd",
                "module ext4 of the initrd",
            ]
        );
    }
}
