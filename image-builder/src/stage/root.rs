//! The read-only root of a slot, from the installed packages: cut, with the board's modules, the programs and the
//! overlay, and with the few links and directories that a root without write access needs.

use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};

use super::{BootPackages, KeyHasher, Output, Packages, Stage, Work};
use crate::modules::Modules;
use crate::tool::Tools;
use crate::{daemon, files, recipe, unpacked};

const FIRMWARE: &str = "usr/lib/firmware";

pub(crate) struct Root<'a> {
    pub(crate) boot_packages: &'a Output,
    pub(crate) packages: &'a Output,
    pub(crate) board: &'a str,
    pub(crate) version: &'a str,
    /// Compresses it less, for an image that only an emulator starts.
    pub(crate) fast: bool,
    /// Modules of the board, below `kernel/`.
    pub(crate) modules: &'a [String],
    /// Below `/usr/lib/firmware` of the boot packages.
    pub(crate) firmware: &'a [String],
    /// Compiled programs.
    pub(crate) programs: &'a Path,
    pub(crate) overlay: PathBuf,
    /// The daemon's services that ship.
    pub(crate) services: PathBuf,
}

impl Work for Root<'_> {
    fn stage(&self) -> Stage {
        Stage::Root
    }

    fn inputs(&self, epoch: u64) -> Result<KeyHasher> {
        let Root {
            boot_packages,
            packages,
            board,
            version,
            fast,
            modules,
            firmware,
            programs,
            overlay,
            services,
        } = self;
        let mut key = KeyHasher::of(Stage::Root, epoch, &[boot_packages, packages]);
        key.add("board", board.as_bytes());
        key.add("version", version.as_bytes());
        key.add("fast", &[u8::from(*fast)]);
        key.add_words("cuts", recipe::ROOT_CUTS);
        key.add("masked", format!("{:?}", recipe::MASKED_UNITS).as_bytes());
        key.add_words("module cuts", recipe::MODULE_CUTS);
        key.add_words("modules", modules);
        key.add_words("firmware", firmware);
        for (program, to) in recipe::PROGRAMS {
            let path = programs.join(program);
            let missing = || format!("{} is missing; scripts/build-image compiles it", path.display());
            key.add(to, &files::read(&path).with_context(missing)?);
        }
        key.add_tree(overlay)?;
        key.add_tree(services)?;
        Ok(key)
    }

    fn make(&self, tools: &Tools, into: &Path) -> Result<()> {
        let tree = into.join("tree");
        self.assemble(tools, &tree)?;
        tools.mksquashfs(&tree, &into.join("root.squashfs"), self.fast)?;
        files::remove(&tree)
    }
}

impl Root<'_> {
    /// The file system.
    pub(super) fn squashfs(output: &Output) -> PathBuf {
        output.path("root.squashfs")
    }

    fn assemble(&self, tools: &Tools, root: &Path) -> Result<()> {
        tools.copy_tree(&Packages::tree(self.packages), root)?;
        let boot_packages = BootPackages::tree(self.boot_packages);
        self.copy_modules(tools, &boot_packages, root)?;
        for file in self.firmware {
            copy_firmware(&boot_packages.join(FIRMWARE), &root.join(FIRMWARE), Path::new(file))?;
        }
        for (program, to) in recipe::PROGRAMS {
            files::copy(&self.programs.join(program), &root.join(to), 0o755)?;
        }
        for path in files::walk(&self.overlay)? {
            files::copy(&self.overlay.join(&path), &root.join(&path), 0o644)?;
        }
        daemon::add_services(&self.services, root)?;
        self.configure(root)?;
        set_up_units(tools, root)?;
        lock_root(root)?;
        for cut in recipe::ROOT_CUTS {
            files::remove(&root.join(cut))?;
        }
        // The mount points of what the initrd and fstab mount, and of a kernel without an initrd's help.
        for directory in ["data", "dev", "proc", "run", "sys", "tmp", "var"] {
            files::make_dir(&root.join(directory))?;
        }
        Ok(())
    }

    fn copy_modules(&self, tools: &Tools, boot_packages: &Path, root: &Path) -> Result<()> {
        let kernel = unpacked::kernel_version(boot_packages)?;
        let from = boot_packages.join("usr/lib/modules").join(&kernel);
        let to = root.join("usr/lib/modules").join(&kernel);
        let dep = files::text(&from.join("modules.dep"))?;
        for path in Modules::parse(&dep).keep(recipe::MODULE_CUTS, self.modules) {
            files::copy(&from.join(&path), &to.join(&path), 0o644)?;
        }
        for list in ["modules.order", "modules.builtin", "modules.builtin.modinfo"] {
            files::copy(&from.join(list), &to.join(list), 0o644)?;
        }
        tools.depmod(root, &kernel)?;
        Ok(())
    }

    fn configure(&self, root: &Path) -> Result<()> {
        // Empty, so that the initrd can mount the identity over it.
        files::write(&root.join("etc/machine-id"), b"", 0o444)?;
        // The host name is the initrd's; a file would override it.
        files::remove(&root.join("etc/hostname"))?;
        files::remove(&root.join("var/lib/dbus/machine-id"))?;
        files::write(&root.join("etc/hosts"), b"127.0.0.1 localhost\n::1 localhost\n", 0o644)?;
        files::relink(&root.join("etc/resolv.conf"), "../run/systemd/resolve/stub-resolv.conf")?;
        // UTC unless the card's settings name another zone.
        files::relink(&root.join("etc/localtime"), "/run/pillarbox/localtime")?;
        files::remove(&root.join("etc/timezone"))?;
        files::write(
            &root.join("etc/os-release"),
            format!(
                "NAME=Pillarbox\nID=pillarbox\nID_LIKE=debian\nPRETTY_NAME=\"Pillarbox {version} ({board})\"\n\
                 VERSION_ID={version}\nVARIANT_ID={board}\n",
                version = self.version,
                board = self.board,
            )
            .as_bytes(),
            0o644,
        )?;
        // systemd and timesyncd never let the clock stand before this file's time, which is the build's.
        files::write(&root.join("usr/lib/clock-epoch"), b"", 0o644)?;
        daemon::name_board(root, self.board)
    }
}

/// Accounts, and which units start: Debian's own presets enabled things while the packages were installed, but only ours
/// count.
fn set_up_units(tools: &Tools, root: &Path) -> Result<()> {
    tools.chroot(root, &["systemd-sysusers"])?;
    tools.chroot(root, &["systemctl", "preset-all", "--preset-mode=full"])?;
    for (unit, _) in recipe::MASKED_UNITS {
        files::relink(&root.join("etc/systemd/system").join(unit), "/dev/null")?;
    }
    files::relink(
        &root.join("etc/systemd/system/default.target"),
        "/usr/lib/systemd/system/multi-user.target",
    )
}

/// A file, or a link with what it leads to: Debian has one file for boards that are alike.
fn copy_firmware(from: &Path, to: &Path, file: &Path) -> Result<()> {
    let source = from.join(file);
    let Ok(target) = fs::read_link(&source) else {
        return files::copy(&source, &to.join(file), 0o644);
    };
    let link = to.join(file);
    if let Some(parent) = link.parent() {
        files::make_dir(parent)?;
    }
    files::relink(&link, &target.to_string_lossy())?;
    let folder = file.parent().unwrap_or(Path::new(""));
    copy_firmware(from, to, &plain(&folder.join(target)))
}

/// A relative path without `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::Normal(name) => plain.push(name),
            _ => {}
        }
    }
    plain
}

/// No password opens root; the check is here because a package could change it one day. The day of its last change is
/// that of the packages' installation, which would make builds differ.
fn lock_root(root: &Path) -> Result<()> {
    let path = root.join("etc/shadow");
    let text = files::text(&path)?;
    let locked: Vec<String> = text
        .lines()
        .map(|line| match line.split_once(':') {
            Some((user, rest)) => {
                let after = rest.splitn(3, ':').nth(2).unwrap_or_default();
                format!("{user}:!*::{after}")
            }
            None => line.to_owned(),
        })
        .collect();
    fs::write(&path, locked.join("\n") + "\n").with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn firmware_comes_with_what_its_links_lead_to() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        files::write(&from.join("cypress/cy.bin"), b"code", 0o644).unwrap();
        files::make_dir(&from.join("brcm")).unwrap();
        files::relink(&from.join("brcm/b.bin"), "../cypress/cy.bin").unwrap();
        files::relink(&from.join("brcm/board.bin"), "b.bin").unwrap();
        copy_firmware(&from, &to, Path::new("brcm/board.bin")).unwrap();
        assert_eq!(files::read(&to.join("brcm/board.bin")).unwrap(), b"code");
        assert!(copy_firmware(&from, &to, Path::new("brcm/none.bin")).is_err());
    }
}
