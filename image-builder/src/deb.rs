//! A package of the daemon, the mailserver and the command for people who already run Debian or Raspberry Pi OS: the
//! image's own unit and services with other places, and no file that only a card needs.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::tool::Tools;
use crate::{daemon, files};

/// What Debian calls them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Architecture {
    /// 64-bit PCs.
    Amd64,
    /// 64-bit ARM boards.
    Arm64,
}

impl Architecture {
    fn name(self) -> &'static str {
        match self {
            Architecture::Amd64 => "amd64",
            Architecture::Arm64 => "arm64",
        }
    }
}

/// Which package is wanted, and from what.
pub struct Order {
    /// What its programs are compiled for.
    pub architecture: Architecture,
    /// The checked-out repository.
    pub repository: PathBuf,
    /// Compiled programs of that architecture.
    pub programs: PathBuf,
    /// Where the package goes.
    pub out: PathBuf,
    /// Pillarbox's own.
    pub version: String,
    /// The commit's time, which everything in the package has.
    pub epoch: u64,
}

/// Like the image's programs, but for what reads a card.
const PROGRAMS: &[&str] = &["pillarboxd", "pillarbox", "pillarbox-mailserver"];
/// dpkg asks before it replaces a file of these that somebody changed (deb-conffiles(5)).
const CONFIGURATION: &[&str] = &["etc/pillarbox/pillarboxd.toml", "etc/pillarbox/board.toml"];
const SCRIPTS: &[&str] = &["postinst", "prerm", "postrm"];

/// Builds the package and returns where it is.
///
/// # Errors
/// When a file is missing, no longer says what is expected, or a program fails.
pub fn build(order: &Order) -> Result<PathBuf> {
    let arch = order.architecture.name();
    let work = order.out.join(format!("deb-{arch}"));
    files::remove(&work)?;
    files::make_dir(&work)?;
    let tools = Tools::new(work.join("deb.log"), order.epoch);
    let tree = work.join("tree");
    for program in PROGRAMS {
        let from = order.programs.join(program);
        ensure!(
            from.is_file(),
            "{} is missing; scripts/build-deb compiles it",
            from.display()
        );
        files::copy(&from, &tree.join("usr/bin").join(program), 0o755)?;
    }
    texts(order, &tree)?;
    documents(order, &tools, &tree)?;
    control(order, &tools, &tree)?;
    let package = order.out.join(format!("pillarbox_{}_{arch}.deb", order.version));
    tools.set_times(&tree)?;
    tools.dpkg_deb(&tree, &package)?;
    files::remove(&tree)?;
    Ok(package)
}

/// Units, accounts, services and configuration.
fn texts(order: &Order, tree: &Path) -> Result<()> {
    let overlay = order.repository.join("image-builder/overlay/root");
    let unit = files::text(&overlay.join("usr/lib/systemd/system/pillarboxd.service"))?;
    put(
        tree,
        "usr/lib/systemd/system/pillarboxd.service",
        &unit_elsewhere(&unit)?,
    )?;
    for file in ["usr/lib/sysusers.d/pillarbox.conf", "usr/lib/tmpfiles.d/pillarbox.conf"] {
        put(tree, file, &elsewhere(&files::text(&overlay.join(file))?))?;
    }
    let services = order.repository.join("daemon/services");
    for path in files::walk(&services)? {
        let with_account = daemon::with_account(&path, &files::text(&services.join(&path))?);
        put(
            tree,
            &format!("usr/lib/pillarbox/services/{}", path.display()),
            &with_account,
        )?;
    }
    let own = order.repository.join("image-builder/deb");
    for file in CONFIGURATION {
        let name = file.rsplit('/').next().unwrap_or(file);
        put(tree, file, &files::text(&own.join(name))?)?;
    }
    put(
        tree,
        "usr/share/doc/pillarbox/copyright",
        &files::text(&own.join("copyright"))?,
    )
}

/// Manual pages, completions and the change log, packed as Debian's policy wants them (sections 12.1 and 12.7).
fn documents(order: &Order, tools: &Tools, tree: &Path) -> Result<()> {
    let program = order.programs.join("pillarbox");
    let pages = tree.join("usr/share/man/man1");
    files::make_dir(&pages)?;
    tools.foreign(&program, &["man", &pages.to_string_lossy()])?;
    for page in files::walk(&pages)? {
        tools.gzip(&pages.join(page))?;
    }
    for (shell, to) in [
        ("bash", "usr/share/bash-completion/completions/pillarbox"),
        ("zsh", "usr/share/zsh/vendor-completions/_pillarbox"),
        ("fish", "usr/share/fish/vendor_completions.d/pillarbox.fish"),
    ] {
        put(tree, to, &tools.foreign(&program, &["completions", shell])?)?;
    }
    let date = tools.date("%a, %d %b %Y %H:%M:%S +0000")?;
    let log = format!(
        "pillarbox ({}) unstable; urgency=medium\n\n  * CHANGELOG.md of the repository says what changed.\n\n \
         -- Pillarbox <pillarbox@localhost>  {date}\n",
        order.version
    );
    put(tree, "usr/share/doc/pillarbox/changelog", &log)?;
    Ok(tools.gzip(&tree.join("usr/share/doc/pillarbox/changelog"))?)
}

fn control(order: &Order, tools: &Tools, tree: &Path) -> Result<()> {
    let own = order.repository.join("image-builder/deb");
    let mut bytes = 0;
    let mut sums = String::new();
    for path in files::walk(tree)? {
        let file = tree.join(&path);
        bytes += file
            .metadata()
            .with_context(|| format!("cannot look at {}", file.display()))?
            .len();
        sums.push_str(&format!("{}  {}\n", tools.md5(&file)?, path.display()));
    }
    let mut needs = Vec::new();
    for program in PROGRAMS {
        needs.push(tools.readelf(&tree.join("usr/bin").join(program))?);
    }
    let filled = files::text(&own.join("control"))?
        .replace("@VERSION@", &order.version)
        .replace("@ARCHITECTURE@", order.architecture.name())
        .replace("@INSTALLED_KIB@", &bytes.div_ceil(1024).to_string())
        .replace("@LIBRARIES@", &libraries(&needs)?);
    ensure!(
        !filled.contains('@') || filled.matches('@').count() == 1,
        "control is not filled in: {filled}"
    );
    put(tree, "DEBIAN/control", &filled)?;
    put(tree, "DEBIAN/md5sums", &sums)?;
    let listed: Vec<String> = CONFIGURATION.iter().map(|file| format!("/{file}\n")).collect();
    put(tree, "DEBIAN/conffiles", &listed.concat())?;
    for script in SCRIPTS {
        files::copy(&own.join(script), &tree.join("DEBIAN").join(script), 0o755)?;
    }
    Ok(())
}

/// The packages of the libraries that the programs are linked with, from `readelf --dynamic --version-info`: Debian's C
/// library by the newest version that a symbol asks for.
fn libraries(readings: &[String]) -> Result<String> {
    let text = readings.concat();
    let versions = text.split("GLIBC_").skip(1).filter_map(|rest| {
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.');
        let mut parts = rest[..end.unwrap_or(rest.len())].split('.').map(str::parse::<u32>);
        Some((parts.next()?.ok()?, parts.next()?.ok()?))
    });
    let (major, minor) = versions.max().context("the programs ask for no C library")?;
    let mut packages = vec![format!("libc6 (>= {major}.{minor})")];
    for line in text.lines().filter(|line| line.contains("(NEEDED)")) {
        match line.rsplit('[').next().and_then(|rest| rest.split(']').next()) {
            Some("libc.so.6" | "libm.so.6" | "ld-linux-x86-64.so.2" | "ld-linux-aarch64.so.1") => {}
            Some("libgcc_s.so.1") => packages.push("libgcc-s1".to_owned()),
            other => anyhow::bail!("no package is known for the library {other:?}"),
        }
    }
    packages.dedup();
    Ok(packages.join(", "))
}

/// The same text for a machine whose state is where Debian has it.
fn elsewhere(text: &str) -> String {
    let moved = text.replace("/data/pillarbox", "/var/lib/pillarbox");
    // What is left of the card's data partition belongs to the image.
    moved
        .lines()
        .filter(|line| !line.contains("/data"))
        .map(|line| format!("{line}\n"))
        .collect()
}

/// The image's unit without what a card needs. A line that is not there any more is said, not passed over.
fn unit_elsewhere(unit: &str) -> Result<String> {
    let mut unit = unit.to_owned();
    for (from, to) in [
        (" pillarbox-card.service\n", "\n"),
        ("RequiresMountsFor=/data\n", ""),
        (
            "# pillarbox-card names another file once it has read a person's settings.\n",
            "",
        ),
        ("Environment=PILLARBOX_CONFIG=/etc/pillarbox/pillarboxd.toml\n", ""),
        ("EnvironmentFile=-/run/pillarbox/environment\n", ""),
        ("${PILLARBOX_CONFIG}", "/etc/pillarbox/pillarboxd.toml"),
        ("ReadWritePaths=/data\n", "ReadWritePaths=/var/lib/pillarbox\n"),
    ] {
        ensure!(
            unit.contains(from),
            "pillarboxd.service has no {from:?} any more; mend deb.rs"
        );
        unit = unit.replace(from, to);
    }
    ensure!(
        !unit.contains("/data") && !unit.contains("pillarbox-card"),
        "pillarboxd.service has more of a card's: {unit}"
    );
    Ok(unit)
}

fn put(tree: &Path, path: &str, text: &str) -> Result<()> {
    files::write(&tree.join(path), text.as_bytes(), 0o644)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlay(path: &str) -> String {
        let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("overlay/root");
        files::text(&base.join(path)).unwrap()
    }

    #[test]
    fn nothing_of_a_card_is_left() {
        let unit = unit_elsewhere(&overlay("usr/lib/systemd/system/pillarboxd.service")).unwrap();
        assert!(
            unit.contains("ExecStart=/usr/bin/pillarboxd --config /etc/pillarbox/pillarboxd.toml\n"),
            "{unit}"
        );
        assert!(unit.contains("ReadWritePaths=/var/lib/pillarbox\n"));
        assert!(unit_elsewhere("[Unit]\n").is_err());
        for file in ["usr/lib/sysusers.d/pillarbox.conf", "usr/lib/tmpfiles.d/pillarbox.conf"] {
            let text = elsewhere(&overlay(file));
            assert!(text.contains("/var/lib/pillarbox") && !text.contains("/data"), "{text}");
        }
    }

    #[test]
    fn libraries_by_their_newest_symbol() {
        let reading = " 0x1 (NEEDED)  Shared library: [libgcc_s.so.1]\n 0x1 (NEEDED)  Shared library: [libc.so.6]\n  Name: \
                       GLIBC_2.34  Flags\n GLIBC_2.4 GLIBC_2.9\n";
        assert_eq!(libraries(&[reading.to_owned()]).unwrap(), "libc6 (>= 2.34), libgcc-s1");
        assert!(libraries(&["GLIBC_2.9 (NEEDED) [libssl.so.3]".to_owned()]).is_err());
        assert!(libraries(&[String::new()]).is_err());
    }

    /// The board of a machine without lights is one that the daemon takes.
    #[test]
    fn the_packages_board_is_good() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deb/board.toml");
        let board = board_configs::Board::from_file(&path).unwrap();
        assert!(board.leds.is_empty() && board.button.is_none());
    }
}
