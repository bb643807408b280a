//! What a release consists of: the compressed image with its checksum, the map of its blocks, what it is made of and
//! under which licences, and the manifest by which Raspberry Pi Imager offers it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{BootPackages, Disk, KeyHasher, Output, Packages, Stage, Work};
use crate::sbom::{self, Component};
use crate::tool::Tools;
use crate::{files, unpacked};

const ICON: &str = "pillarbox.svg";

pub(crate) struct Publish<'a> {
    pub(crate) disk: &'a Output,
    pub(crate) packages: &'a Output,
    pub(crate) boot_packages: &'a Output,
    pub(crate) board: &'a str,
    pub(crate) version: &'a str,
    pub(crate) title: &'a str,
    pub(crate) boot_package_names: &'a [String],
    /// The crates of the programs, as `cargo tree` lists them.
    pub(crate) crates: &'a Path,
    /// The folder on the web where the files will be; without it there is no manifest for Raspberry Pi Imager.
    pub(crate) published_at: Option<&'a str>,
    /// The board by the names that Raspberry Pi Imager has for it.
    pub(crate) imager_devices: &'a [String],
    /// What Raspberry Pi Imager shows beside the name.
    pub(crate) icon: PathBuf,
}

impl Work for Publish<'_> {
    fn stage(&self) -> Stage {
        Stage::Publish
    }

    fn inputs(&self, epoch: u64) -> Result<KeyHasher> {
        // The board and the names of its packages count by what was made of them.
        let Publish {
            disk,
            packages,
            boot_packages,
            board: _,
            version,
            title,
            boot_package_names: _,
            crates,
            published_at,
            imager_devices,
            icon,
        } = self;
        let mut key = KeyHasher::of(Stage::Publish, epoch, &[disk, packages, boot_packages]);
        key.add("version", version.as_bytes());
        key.add("title", title.as_bytes());
        key.add("crates", &files::read(crates)?);
        key.add("published at", format!("{published_at:?}").as_bytes());
        key.add_words("imager", imager_devices);
        key.add("icon", &files::read(icon)?);
        Ok(key)
    }

    fn make(&self, tools: &Tools, into: &Path) -> Result<()> {
        let base = format!("pillarbox-{}-{}", self.board, self.version);
        let named = |ending: &str| into.join(format!("{base}.{ending}"));
        let image = named("img");
        // The uncompressed image stays as well, for emulators; a hard link costs nothing.
        std::fs::hard_link(Disk::image(self.disk), &image)
            .with_context(|| format!("cannot link {}", image.display()))?;
        let block_map = named("img.bmap");
        tools.bmaptool(&image, &block_map)?;
        tools.xz(&image)?;
        let compressed = named("img.xz");
        let digest = sha256(&image)?;
        let (bill, licences) = (named("spdx.json"), named("licences.txt"));
        self.list_components(tools, &base, &digest, &bill, &licences)?;
        let mut published = vec![compressed.clone(), block_map, bill, licences];
        if let (Some(folder), false) = (self.published_at, self.imager_devices.is_empty()) {
            let folder = folder.trim_end_matches('/');
            let facts = Facts {
                url: format!("{folder}/{base}.img.xz"),
                icon: format!("{folder}/{ICON}"),
                date: tools.date("%Y-%m-%d")?,
                bytes: size(&image)?,
                digest,
                download_bytes: size(&compressed)?,
                download_digest: sha256(&compressed)?,
            };
            let (icon, manifest) = (into.join(ICON), named("rpi-imager-manifest"));
            files::copy(&self.icon, &icon, 0o644)?;
            let text = format!("{:#}\n", self.imager_manifest(&facts));
            files::write(&manifest, text.as_bytes(), 0o644)?;
            published.extend([icon, manifest]);
        }
        files::write(&into.join("SHA256SUMS"), sums(&published)?.as_bytes(), 0o644)
    }
}

impl Publish<'_> {
    fn list_components(&self, tools: &Tools, base: &str, digest: &str, bill: &Path, licences: &Path) -> Result<()> {
        let components = self.components(tools)?;
        let created = tools.date("%Y-%m-%dT%H:%M:%SZ")?;
        let document = sbom::spdx(base, self.version, &created, digest, &components);
        files::write(bill, (format!("{document:#}") + "\n").as_bytes(), 0o644)?;
        let roots = [Packages::tree(self.packages), BootPackages::tree(self.boot_packages)];
        let copyright = |name: &str| {
            let places = roots.iter().map(|root| copyright_file(root, name));
            let text = places.into_iter().find_map(|path| std::fs::read(path).ok())?;
            Some(String::from_utf8_lossy(&text).into_owned())
        };
        files::write(licences, sbom::licences(&components, copyright).as_bytes(), 0o644)
    }

    /// Everything of others that is in the image.
    fn components(&self, tools: &Tools) -> Result<Vec<Component>> {
        let text = |path: &Path| -> Result<String> { Ok(String::from_utf8_lossy(&files::read(path)?).into_owned()) };
        let status = Packages::tree(self.packages).join("var/lib/dpkg/status");
        let mut found = sbom::debian_packages(&text(&status)?);
        let boot_packages = BootPackages::tree(self.boot_packages);
        let kernel = format!("linux-image-{}", unpacked::kernel_version(&boot_packages)?);
        for name in self.boot_package_names.iter().chain([&kernel]) {
            let name = name.split('/').next().unwrap_or(name);
            let log = boot_packages
                .join("usr/share/doc")
                .join(name)
                .join("changelog.Debian.gz");
            // The kernel's name without a version is a package without files, which only leads to the other.
            if log.is_file() {
                let log = tools.gunzip(&log)?;
                let log = String::from_utf8_lossy(&log);
                let version = sbom::version_of_changelog(&log);
                let version = version.with_context(|| format!("the change log of {name} names no version"))?;
                found.push(sbom::debian(name, version));
            }
        }
        found.extend(sbom::crates(&text(self.crates)?));
        Ok(found)
    }

    /// raspberrypi/rpi-imager, doc/schema-notes.md and doc/json-schema; the boards to choose from as src/hwlistmodel.cpp reads
    /// them, because Imager knows none but those of the list that it has opened. Of the forms that `init_format` names the
    /// box reads two (card-settings' `imager`); every Imager 2 writes cloud-init's, few write `rpi-preseed` yet.
    fn imager_manifest(&self, facts: &Facts) -> Value {
        json!({
            "imager": {
                "devices": [{
                    "name": self.title,
                    "description": self.board,
                    "icon": facts.icon,
                    "tags": self.imager_devices,
                    "matching_type": "exclusive",
                    "default": true,
                }],
            },
            "os_list": [{
                "name": format!("Pillarbox {}", self.version),
                "description": format!("A plug-in mailserver for Status, for {}", self.title),
                "icon": facts.icon,
                "url": facts.url,
                "release_date": facts.date,
                "extract_size": facts.bytes,
                "extract_sha256": facts.digest,
                "image_download_size": facts.download_bytes,
                "image_download_sha256": facts.download_digest,
                "devices": self.imager_devices,
                "init_format": "cloudinit",
                "architecture": "armv8",
            }]
        })
    }
}

fn copyright_file(root: &Path, package: &str) -> PathBuf {
    root.join("usr/share/doc").join(package).join("copyright")
}

struct Facts {
    url: String,
    icon: String,
    date: String,
    bytes: u64,
    digest: String,
    download_bytes: u64,
    download_digest: String,
}

/// As `sha256sum` prints them.
fn sums(published: &[PathBuf]) -> Result<String> {
    let mut sums = String::new();
    for file in published {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        sums.push_str(&format!("{}  {name}\n", sha256(file)?));
    }
    Ok(sums)
}

fn size(path: &Path) -> Result<u64> {
    let metadata = std::fs::metadata(path).with_context(|| format!("cannot look at {}", path.display()))?;
    Ok(metadata.len())
}

fn sha256(path: &Path) -> Result<String> {
    let said = || format!("cannot read {}", path.display());
    let mut file = File::open(path).with_context(said)?;
    let mut hasher = Sha256::new();
    let mut piece = vec![0; 1 << 16];
    loop {
        match file.read(&mut piece).with_context(said)? {
            0 => return Ok(hex::encode(hasher.finalize())),
            read => hasher.update(&piece[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Required fields and their forms by Imager's schema and its notes: sizes in bytes, a date as YYYY-MM-DD, at least one
    /// device, one of the known forms of customisation.
    #[test]
    fn the_manifest_is_what_imager_reads() {
        let devices = ["pi4-64bit".to_owned()];
        let output = |stage| Output {
            stage,
            key: String::new(),
            dir: PathBuf::new(),
        };
        let publish = Publish {
            disk: &output(Stage::Disk),
            packages: &output(Stage::Packages),
            boot_packages: &output(Stage::BootPackages),
            board: "rpi-4",
            version: "1.2.3",
            title: "Raspberry Pi 4",
            boot_package_names: &[],
            crates: Path::new(""),
            published_at: None,
            imager_devices: &devices,
            icon: PathBuf::new(),
        };
        let facts = Facts {
            url: "https://example.org/x.img.xz".to_owned(),
            icon: "https://example.org/x.svg".to_owned(),
            date: "2026-01-01".to_owned(),
            bytes: 5,
            digest: "aa".to_owned(),
            download_bytes: 2,
            download_digest: "bb".to_owned(),
        };
        let manifest = publish.imager_manifest(&facts);
        let keys: Vec<&String> = manifest.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["imager", "os_list"], "the schema has no others");
        let entry = &manifest["os_list"][0];
        for key in ["name", "description", "icon", "url", "extract_sha256", "release_date"] {
            assert!(entry[key].as_str().is_some_and(|text| !text.is_empty()), "{key}");
        }
        // Of the uncompressed image the one, of the download the other.
        assert_eq!(
            (&entry["extract_size"], &entry["extract_sha256"]),
            (&json!(5), &json!("aa"))
        );
        assert_eq!(
            (&entry["image_download_size"], &entry["image_download_sha256"]),
            (&json!(2), &json!("bb"))
        );
        assert_eq!(entry["release_date"].as_str().unwrap().split('-').count(), 3);
        assert!(["cloudinit", "rpi-preseed"].contains(&entry["init_format"].as_str().unwrap()));
        let device = &manifest["imager"]["devices"][0];
        assert!(device["name"].is_string() && device["default"] == true);
        // By these the board that was chosen finds the image.
        assert_eq!(device["tags"], entry["devices"]);
        assert!(!entry["devices"].as_array().unwrap().is_empty());
    }
}
