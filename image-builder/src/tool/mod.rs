//! The only module that starts outside programs: one function a tool, its options and their reasons in one place.
//!
//! Everything a tool says goes to the stage's log; a failure names the program and the log.

#![expect(clippy::disallowed_methods, reason = "the room that starts programs")]

mod run;
mod sources;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use run::Result;
pub(crate) use sources::Sources;

use crate::recipe;

/// Starts programs for one stage.
pub(crate) struct Tools {
    log: PathBuf,
    /// Seconds since the Unix epoch that every tool uses for now (reproducible-builds.org, SOURCE_DATE_EPOCH).
    epoch: u64,
}

impl Tools {
    pub(crate) fn new(log: PathBuf, epoch: u64) -> Tools {
        Tools { log, epoch }
    }

    /// Unpacks packages without installing them.
    pub(crate) fn mmdebstrap_extract(&self, packages: &[String], sources: &Sources, into: &Path) -> Result<()> {
        self.mmdebstrap("extract", packages, sources, &[], into)
    }

    /// A root file system with these packages, without documentation but with every copyright file.
    pub(crate) fn mmdebstrap_root(&self, packages: &[String], sources: &Sources, into: &Path) -> Result<()> {
        let excludes = [
            "path-exclude=/usr/share/doc/*",
            "path-include=/usr/share/doc/*/copyright",
            "path-exclude=/usr/share/man/*",
            "path-exclude=/usr/share/info/*",
            "path-exclude=/usr/share/locale/*",
        ];
        self.mmdebstrap("apt", packages, sources, &excludes, into)
    }

    fn mmdebstrap(
        &self,
        variant: &str,
        packages: &[String],
        sources: &Sources,
        dpkg_options: &[&str],
        into: &Path,
    ) -> Result<()> {
        // What it mounts inside the root is seen by nobody else: a search that comes by would keep it from being unmounted,
        // and the next stage would copy all of /proc.
        let mut command = Command::new("unshare");
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let propagation = if root_is_a_mount(&mounts) {
            "private"
        } else {
            "unchanged"
        };
        command.args(["--mount", "--propagation", propagation, "--", "mmdebstrap"]);
        command.arg(format!("--architectures={}", recipe::ARCHITECTURE));
        command.arg(format!("--variant={variant}"));
        command.arg(format!("--components={}", recipe::COMPONENTS));
        command.arg(format!("--include={}", packages.join(",")));
        command.arg("--format=directory");
        for option in &sources.apt_options {
            command.arg(format!("--aptopt={option}"));
        }
        for option in dpkg_options {
            command.arg(format!("--dpkgopt={option}"));
        }
        command.arg(recipe::SUITE).arg(into);
        command.args(&sources.lines);
        self.run(command)
    }

    /// `cp -a`, hard links and all.
    pub(crate) fn copy_tree(&self, from: &Path, to: &Path) -> Result<()> {
        let mut command = Command::new("cp");
        command.args(["-a", "--reflink=auto", "-T"]).arg(from).arg(to);
        self.run(command)
    }

    /// `modules.dep` and its like for the modules below `root`.
    pub(crate) fn depmod(&self, root: &Path, version: &str) -> Result<()> {
        let mut command = Command::new("depmod");
        command.arg("-b").arg(root).arg(version);
        self.run(command)
    }

    pub(crate) fn unxz(&self, file: &Path) -> Result<Vec<u8>> {
        let mut command = Command::new("xz");
        command.args(["--decompress", "--stdout"]).arg(file);
        self.output_bytes(command)
    }

    pub(crate) fn gunzip(&self, file: &Path) -> Result<Vec<u8>> {
        let mut command = Command::new("gzip");
        command.args(["--decompress", "--stdout"]).arg(file);
        self.output_bytes(command)
    }

    /// This build's time in a strftime(3) format, UTC.
    pub(crate) fn date(&self, format: &str) -> Result<String> {
        let mut command = Command::new("date");
        command.args(["--utc", &format!("--date=@{}", self.epoch), &format!("+{format}")]);
        Ok(self.output(command)?.trim().to_owned())
    }

    /// Runs one of our programs, of whatever architecture, by qemu's user emulation with Debian's libraries for it.
    pub(crate) fn foreign(&self, program: &Path, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(program);
        command.args(arguments).env("QEMU_LD_PREFIX", "/usr/aarch64-linux-gnu");
        self.output(command)
    }

    /// In place, as `FILE.gz`, without its name and time.
    pub(crate) fn gzip(&self, file: &Path) -> Result<()> {
        let mut command = Command::new("gzip");
        command.args(["-9", "--no-name", "--force"]).arg(file);
        self.run(command)
    }

    /// As a package's list of sums has it.
    pub(crate) fn md5(&self, file: &Path) -> Result<String> {
        let mut command = Command::new("md5sum");
        command.arg(file);
        Ok(self.output(command)?.split(' ').next().unwrap_or_default().to_owned())
    }

    /// Libraries and versions of symbols that a program needs.
    pub(crate) fn readelf(&self, program: &Path) -> Result<String> {
        let mut command = Command::new("readelf");
        command.args(["--dynamic", "--version-info", "--wide"]).arg(program);
        self.output(command)
    }

    /// Everything below `tree` is as old as the commit.
    pub(crate) fn set_times(&self, tree: &Path) -> Result<()> {
        let mut command = Command::new("find");
        command.arg(tree).args(["-exec", "touch", "--no-dereference"]);
        command.arg(format!("--date=@{}", self.epoch)).args(["{}", "+"]);
        self.run(command)
    }

    /// A package of what is below `tree`, owned by root.
    pub(crate) fn dpkg_deb(&self, tree: &Path, to: &Path) -> Result<()> {
        let mut command = Command::new("dpkg-deb");
        // Readable by Debian 12's and Ubuntu's dpkg alike; one thread, so that the result is the same everywhere.
        command.args(["--build", "--root-owner-group", "-Zxz", "--threads-max=1"]);
        command.arg(tree).arg(to);
        self.run(command)
    }

    /// Compresses beside the file: readable by every unpacker, with all cores, alike on any number of them.
    pub(crate) fn xz(&self, file: &Path) -> Result<()> {
        let mut command = Command::new("xz");
        command
            .args(["-6", "--threads=2", "--block-size=16MiB", "--keep", "--force"])
            .arg(file);
        self.run(command)
    }

    /// For the initrd, which the kernel unpacks: small, and quick to unpack on a slow processor.
    pub(crate) fn zstd(&self, file: &Path, to: &Path) -> Result<()> {
        let mut command = Command::new("zstd");
        command.args(["-19", "-q", "-f"]).arg(file).arg("-o").arg(to);
        self.run(command)
    }

    /// Runs a program inside a root file system of the board's architecture (by qemu's user emulation).
    pub(crate) fn chroot<S: AsRef<OsStr>>(&self, root: &Path, arguments: &[S]) -> Result<()> {
        let mut command = Command::new("chroot");
        command.arg(root).args(arguments);
        self.run(command)
    }

    /// `fast` saves a minute and costs size.
    pub(crate) fn mksquashfs(&self, root: &Path, to: &Path, fast: bool) -> Result<()> {
        let mut command = Command::new("mksquashfs");
        command.arg(root).arg(to);
        // zstd: half of xz's size advantage is lost, but it unpacks several times faster, at every program's start.
        let level = if fast { "1" } else { "19" };
        command.args(["-comp", "zstd", "-Xcompression-level", level, "-b", "256K"]);
        command
            .args(["-noappend", "-no-progress", "-all-time"])
            .arg(self.epoch.to_string());
        command.args(["-mkfs-time"]).arg(self.epoch.to_string());
        // With SOURCE_DATE_EPOCH set as well, mksquashfs refuses both options.
        command.env_remove("SOURCE_DATE_EPOCH");
        self.run_keeping_environment(command)
    }

    /// A new ext4 of `size_bytes` with the content of a directory. `grows_to_bytes`: what it may grow to in place.
    pub(crate) fn mke2fs(&self, ext4: &Ext4, to: &Path) -> Result<()> {
        let mut command = Command::new("mke2fs");
        command.args(["-q", "-t", "ext4", "-L", ext4.label, "-U", &ext4.uuid, "-b", "4096"]);
        let mut extended = format!("hash_seed={},root_owner=0:0", ext4.uuid);
        if let Some(bytes) = ext4.grows_to_bytes {
            extended.push_str(&format!(",resize={}", bytes / 4096));
        }
        command.arg("-E").arg(extended);
        // A journal of 16 MiB, or none where nothing is ever written while mounted.
        match ext4.journal_mib {
            Some(mib) => command.arg("-J").arg(format!("size={mib}")),
            None => command.args(["-O", "^has_journal,^metadata_csum_seed,^orphan_file"]),
        };
        command.args(["-m", "1"]);
        if let Some(content) = ext4.content {
            command.arg("-d").arg(content);
        }
        command.arg(to).arg(format!("{}k", ext4.size_bytes / 1024));
        command.env("E2FSPROGS_FAKE_TIME", self.epoch.to_string());
        self.run(command)?;
        match ext4.content {
            Some(content) => self.set_ext4_times(content, to),
            None => Ok(()),
        }
    }

    /// mke2fs copies every time of a file, also the one of its last change, which nobody can set beforehand.
    fn set_ext4_times(&self, content: &Path, image: &Path) -> Result<()> {
        let mut list = Command::new("find");
        list.arg(content).args(["-printf", "/%P\\n"]);
        let mut script = String::new();
        for path in self.output(list)?.lines() {
            for field in ["atime", "ctime", "mtime", "crtime"] {
                script.push_str(&format!(
                    "sif \"{path}\" {field} @{}\nsif \"{path}\" {field}_extra 0\n",
                    self.epoch
                ));
            }
        }
        let mut command = Command::new("debugfs");
        command.args(["-w", "-f", "-"]).arg(image);
        command.env("E2FSPROGS_FAKE_TIME", self.epoch.to_string());
        self.run_with_input(command, script.as_bytes())
    }

    /// A new FAT file system in a file; mtools, because no mount is needed.
    pub(crate) fn mkfs_fat(&self, file: &Path, label: &str, id: u32) -> Result<()> {
        let mut command = Command::new("mkfs.vfat");
        command
            .args(["--invariant", "-F", "32", "-n", label, "-i"])
            .arg(format!("{id:08x}"))
            .arg(file);
        self.run(command)
    }

    pub(crate) fn mmd(&self, image: &Path, directory: &str) -> Result<()> {
        let mut command = Command::new("mmd");
        command.arg("-i").arg(image).arg(format!("::{directory}"));
        self.run(command)
    }

    pub(crate) fn mcopy(&self, image: &Path, file: &Path, to: &str) -> Result<()> {
        let mut command = Command::new("mcopy");
        command
            .args(["-o", "-m", "-i"])
            .arg(image)
            .arg(file)
            .arg(format!("::{to}"));
        self.run(command)
    }

    /// Wraps a U-Boot script.
    pub(crate) fn mkimage_script(&self, text: &Path, to: &Path) -> Result<()> {
        let mut command = Command::new("mkimage");
        command.args([
            "-A",
            "arm64",
            "-O",
            "linux",
            "-T",
            "script",
            "-C",
            "none",
            "-n",
            "pillarbox",
            "-d",
        ]);
        command.arg(text).arg(to);
        self.run(command)
    }

    /// Writes a partition table into an image file.
    pub(crate) fn sfdisk(&self, image: &Path, script: &str) -> Result<()> {
        let mut command = Command::new("sfdisk");
        command.args(["--quiet", "--no-reread", "--no-tell-kernel"]).arg(image);
        self.run_with_input(command, script.as_bytes())
    }

    /// The map of blocks that hold anything, so that a writer can skip the rest.
    pub(crate) fn bmaptool(&self, image: &Path, to: &Path) -> Result<()> {
        let mut command = Command::new("bmaptool");
        command.args(["create", "-o"]).arg(to).arg(image);
        self.run(command)
    }
}

pub(crate) struct Ext4<'a> {
    pub(crate) label: &'a str,
    pub(crate) uuid: String,
    pub(crate) size_bytes: u64,
    pub(crate) grows_to_bytes: Option<u64>,
    pub(crate) journal_mib: Option<u32>,
    pub(crate) content: Option<&'a Path>,
}

/// Whether the root that this process sees is where something is mounted, as everywhere but in a plain chroot: only then
/// can it be made private. The fifth field of a line is the place (proc_pid_mountinfo(5)).
fn root_is_a_mount(mountinfo: &str) -> bool {
    mountinfo.lines().any(|line| line.split(' ').nth(4) == Some("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chroot_has_no_root_of_its_own() {
        let whole = "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n25 22 0:5 / /dev rw - devtmpfs udev rw\n";
        assert!(root_is_a_mount(whole));
        assert!(!root_is_a_mount("25 22 0:5 / /dev rw - devtmpfs udev rw\n"));
        assert!(!root_is_a_mount(""));
    }

    /// The same content at another time, in another place, is the same file system.
    #[test]
    fn ext4_has_no_time_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let image = |name: &str| {
            let (content, image) = (dir.path().join(name), dir.path().join(format!("{name}.ext4")));
            std::fs::create_dir_all(content.join("dtb")).unwrap();
            for (file, text) in [("vmlinuz", "kernel"), ("dtb/a board.dtb", "tree")] {
                std::fs::write(content.join(file), text).unwrap();
            }
            let ext4 = Ext4 {
                label: "boot",
                uuid: "12345678-1234-8234-8234-123456789abc".to_owned(),
                size_bytes: 2 << 20,
                grows_to_bytes: None,
                journal_mib: None,
                content: Some(&content),
            };
            let tools = Tools::new(dir.path().join("x.log"), 1_700_000_000);
            tools.mke2fs(&ext4, &image).unwrap();
            std::fs::read(image).unwrap()
        };
        let first = image("one");
        std::thread::sleep(std::time::Duration::from_millis(1100));
        assert!(first == image("another"), "two builds differ");
    }

    #[test]
    fn a_failure_names_program_and_log() {
        let dir = tempfile::tempdir().unwrap();
        let tools = Tools::new(dir.path().join("x.log"), 0);
        let message = tools
            .copy_tree(Path::new("/nonesuch"), &dir.path().join("y"))
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("cp") && message.contains("x.log") && message.contains("/nonesuch"),
            "{message}"
        );
    }
}
