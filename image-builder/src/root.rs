//! The read-only root of a slot, from the installed packages: cut, with the board's modules, the programs and the
//! overlay, and with the few links and directories that a root without write access needs.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};

use crate::files;
use crate::modules::Modules;
use crate::recipe;
use crate::tool::Tools;

const FIRMWARE: &str = "usr/lib/firmware";

pub(crate) struct Parts<'a> {
    /// Installed packages (copied, not changed).
    pub(crate) packages: &'a Path,
    /// Unpacked boot packages, after depmod.
    pub(crate) boot_packages: &'a Path,
    pub(crate) kernel: &'a str,
    /// Modules of the board, below `kernel/`.
    pub(crate) modules: &'a [String],
    /// Below `/usr/lib/firmware` of the boot packages.
    pub(crate) firmware: &'a [String],
    /// Compiled programs.
    pub(crate) programs: &'a Path,
    pub(crate) overlay: &'a Path,
    /// The daemon's services that ship.
    pub(crate) services: &'a Path,
    pub(crate) board: &'a str,
    pub(crate) version: &'a str,
}

pub(crate) fn assemble(tools: &Tools, parts: &Parts, root: &Path) -> Result<()> {
    tools.copy_tree(parts.packages, root)?;
    copy_modules(tools, parts, root)?;
    for file in parts.firmware {
        copy_firmware(
            &parts.boot_packages.join(FIRMWARE),
            &root.join(FIRMWARE),
            Path::new(file),
        )?;
    }
    for (program, to) in recipe::PROGRAMS {
        files::copy(&parts.programs.join(program), &root.join(to), 0o755)?;
    }
    for path in files::walk(parts.overlay)? {
        files::copy(&parts.overlay.join(&path), &root.join(&path), 0o644)?;
    }
    add_services(parts.services, root)?;
    configure(parts, root)?;
    tools.chroot(root, &["systemd-sysusers"])?;
    // Debian's own presets enabled things while the packages were installed; only ours count.
    tools.chroot(root, &["systemctl", "preset-all", "--preset-mode=full"])?;
    for (unit, _) in recipe::MASKED_UNITS {
        relink(&root.join("etc/systemd/system").join(unit), "/dev/null")?;
    }
    relink(
        &root.join("etc/systemd/system/default.target"),
        "/usr/lib/systemd/system/multi-user.target",
    )?;
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

pub(crate) fn add_services(services: &Path, root: &Path) -> Result<()> {
    for path in files::walk(services)? {
        let text = String::from_utf8(files::read(&services.join(&path))?)
            .with_context(|| format!("{} is not text", path.display()))?;
        let to = root.join("usr/lib/pillarbox/services").join(&path);
        files::write(&to, with_account(&path, &text).as_bytes(), 0o644)?;
    }
    Ok(())
}

/// Writes the board's name into the daemon's settings.
pub(crate) fn name_board(root: &Path, board: &str) -> Result<()> {
    let config = root.join("etc/pillarbox/pillarboxd.toml");
    let text = String::from_utf8(files::read(&config)?).context("pillarboxd.toml is not text")?;
    files::write(&config, text.replace("@BOARD@", board).as_bytes(), 0o644)
}

/// On a card every service has an account of its own (`overlay/root/usr/lib/sysusers.d`), named after it. A service's
/// file does not say so, because a developer's machine has no such account.
pub(crate) fn with_account(path: &Path, text: &str) -> String {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    format!("user = \"pillarbox-{name}\"\n{text}")
}

fn copy_modules(tools: &Tools, parts: &Parts, root: &Path) -> Result<()> {
    let from = parts.boot_packages.join("usr/lib/modules").join(parts.kernel);
    let to = root.join("usr/lib/modules").join(parts.kernel);
    let dep = String::from_utf8(files::read(&from.join("modules.dep"))?).context("modules.dep is not text")?;
    for path in Modules::parse(&dep).keep(recipe::MODULE_CUTS, parts.modules) {
        files::copy(&from.join(&path), &to.join(&path), 0o644)?;
    }
    for list in ["modules.order", "modules.builtin", "modules.builtin.modinfo"] {
        files::copy(&from.join(list), &to.join(list), 0o644)?;
    }
    tools.depmod(root, parts.kernel)?;
    Ok(())
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
    relink(&link, &target.to_string_lossy())?;
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

fn configure(parts: &Parts, root: &Path) -> Result<()> {
    // Empty, so that the initrd can mount the identity over it.
    files::write(&root.join("etc/machine-id"), b"", 0o444)?;
    // The host name is the initrd's; a file would override it.
    files::remove(&root.join("etc/hostname"))?;
    files::remove(&root.join("var/lib/dbus/machine-id"))?;
    files::write(&root.join("etc/hosts"), b"127.0.0.1 localhost\n::1 localhost\n", 0o644)?;
    relink(&root.join("etc/resolv.conf"), "../run/systemd/resolve/stub-resolv.conf")?;
    // UTC unless the card's settings name another zone.
    relink(&root.join("etc/localtime"), "/run/pillarbox/localtime")?;
    files::remove(&root.join("etc/timezone"))?;
    files::write(
        &root.join("etc/os-release"),
        format!(
            "NAME=Pillarbox\nID=pillarbox\nID_LIKE=debian\nPRETTY_NAME=\"Pillarbox {version} ({board})\"\n\
             VERSION_ID={version}\nVARIANT_ID={board}\n",
            version = parts.version,
            board = parts.board,
        )
        .as_bytes(),
        0o644,
    )?;
    // systemd and timesyncd never let the clock stand before this file's time, which is the build's.
    files::write(&root.join("usr/lib/clock-epoch"), b"", 0o644)?;
    name_board(root, parts.board)
}

pub(crate) fn relink(path: &Path, target: &str) -> Result<()> {
    files::remove(path)?;
    symlink(target, path).with_context(|| format!("cannot link {}", path.display()))
}

/// No password opens root; the check is here because a package could change it one day. The day of its last change is
/// that of the packages' installation, which would make builds differ.
fn lock_root(root: &Path) -> Result<()> {
    let path = root.join("etc/shadow");
    let text = String::from_utf8(files::read(&path)?).context("shadow is not text")?;
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
    fn the_account_is_a_key_of_the_service_itself() {
        let text = with_account(Path::new("mailserver.toml"), "program = \"x\"\n[health]\n");
        let parsed: toml::Table = toml::from_str(&text).unwrap();
        assert_eq!(parsed["user"].as_str(), Some("pillarbox-mailserver"));
    }

    #[test]
    fn firmware_comes_with_what_its_links_lead_to() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        files::write(&from.join("cypress/cy.bin"), b"code", 0o644).unwrap();
        files::make_dir(&from.join("brcm")).unwrap();
        relink(&from.join("brcm/b.bin"), "../cypress/cy.bin").unwrap();
        relink(&from.join("brcm/board.bin"), "b.bin").unwrap();
        copy_firmware(&from, &to, Path::new("brcm/board.bin")).unwrap();
        assert_eq!(files::read(&to.join("brcm/board.bin")).unwrap(), b"code");
        assert!(copy_firmware(&from, &to, Path::new("brcm/none.bin")).is_err());
    }

    /// Every service that ships has an account in the image.
    #[test]
    fn every_service_has_its_account() {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let accounts =
            std::fs::read_to_string(repository.join("image-builder/overlay/root/usr/lib/sysusers.d/pillarbox.conf"))
                .unwrap();
        for path in files::walk(&repository.join("daemon/services")).unwrap() {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            assert!(accounts.contains(&format!("u pillarbox-{name} ")), "{name}");
        }
    }
}
