//! What a release consists of: the compressed image with its checksum, the map of its blocks, what it is made of and
//! under which licences, and the manifest by which Raspberry Pi Imager offers it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::sbom::{self, Component};
use crate::tool::Tools;
use crate::{files, image};

pub(crate) struct Release<'a> {
    pub(crate) board: &'a str,
    pub(crate) version: &'a str,
    pub(crate) title: &'a str,
    pub(crate) image: &'a Path,
    /// The root before it was cut, and the unpacked boot packages.
    pub(crate) packages: &'a Path,
    pub(crate) boot_packages: &'a Path,
    pub(crate) boot_package_names: &'a [String],
    pub(crate) crates: &'a Path,
    pub(crate) published_at: Option<&'a str>,
    pub(crate) imager_devices: &'a [String],
    /// What Raspberry Pi Imager shows beside the name.
    pub(crate) icon: &'a Path,
}

const ICON: &str = "pillarbox.svg";

pub(crate) fn publish(tools: &Tools, release: &Release, into: &Path) -> Result<()> {
    let base = format!("pillarbox-{}-{}", release.board, release.version);
    let image = into.join(format!("{base}.img"));
    // The uncompressed image stays as well, for emulators; a hard link costs nothing.
    std::fs::hard_link(release.image, &image).with_context(|| format!("cannot link {}", image.display()))?;
    let block_map = into.join(format!("{base}.img.bmap"));
    tools.bmaptool(&image, &block_map)?;
    tools.xz(&image)?;
    let compressed = into.join(format!("{base}.img.xz"));
    let digest = sha256(&image)?;

    let components = components(tools, release)?;
    let created = tools.date("%Y-%m-%dT%H:%M:%SZ")?;
    let document = sbom::spdx(&base, release.version, &created, &digest, &components);
    let bill = into.join(format!("{base}.spdx.json"));
    files::write(&bill, (format!("{document:#}") + "\n").as_bytes(), 0o644)?;
    let copyright = |name: &str| {
        let places = [release.packages, release.boot_packages].map(|root| copyright_file(root, name));
        let text = places.iter().find_map(|path| std::fs::read(path).ok())?;
        Some(String::from_utf8_lossy(&text).into_owned())
    };
    let licences = into.join(format!("{base}.licences.txt"));
    files::write(&licences, sbom::licences(&components, copyright).as_bytes(), 0o644)?;

    let mut published = vec![compressed.clone(), block_map, bill, licences];
    if let (Some(folder), false) = (release.published_at, release.imager_devices.is_empty()) {
        let manifest = into.join(format!("{base}.rpi-imager-manifest"));
        let folder = folder.trim_end_matches('/');
        let icon = into.join(ICON);
        files::copy(release.icon, &icon, 0o644)?;
        published.push(icon);
        let facts = Facts {
            url: format!("{folder}/{base}.img.xz"),
            icon: format!("{folder}/{ICON}"),
            date: tools.date("%Y-%m-%d")?,
            bytes: size(&image)?,
            digest,
            download_bytes: size(&compressed)?,
            download_digest: sha256(&compressed)?,
        };
        let text = format!("{:#}\n", imager_manifest(release, &facts));
        files::write(&manifest, text.as_bytes(), 0o644)?;
        published.push(manifest);
    }
    let mut sums = String::new();
    for file in &published {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        sums.push_str(&format!("{}  {name}\n", sha256(file)?));
    }
    files::write(&into.join("SHA256SUMS"), sums.as_bytes(), 0o644)
}

/// Everything of others that is in the image.
fn components(tools: &Tools, release: &Release) -> Result<Vec<Component>> {
    let text = |path: &Path| -> Result<String> { Ok(String::from_utf8_lossy(&files::read(path)?).into_owned()) };
    let mut found = sbom::debian_packages(&text(&release.packages.join("var/lib/dpkg/status"))?);
    let kernel = format!("linux-image-{}", image::kernel_of(release.boot_packages)?);
    for name in release.boot_package_names.iter().chain([&kernel]) {
        let name = name.split('/').next().unwrap_or(name);
        let log = release
            .boot_packages
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
    found.extend(sbom::crates(&text(release.crates)?));
    Ok(found)
}

fn copyright_file(root: &Path, package: &str) -> std::path::PathBuf {
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

/// raspberrypi/rpi-imager, doc/schema-notes.md and doc/json-schema; the boards to choose from as src/hwlistmodel.cpp reads
/// them, because Imager knows none but those of the list that it has opened. Of the forms that `init_format` names the
/// box reads two (card-settings' `imager`); every Imager 2 writes cloud-init's, few write `rpi-preseed` yet.
fn imager_manifest(release: &Release, facts: &Facts) -> Value {
    json!({
        "imager": {
            "devices": [{
                "name": release.title,
                "description": release.board,
                "icon": facts.icon,
                "tags": release.imager_devices,
                "matching_type": "exclusive",
                "default": true,
            }],
        },
        "os_list": [{
            "name": format!("Pillarbox {}", release.version),
            "description": format!("A plug-in mailserver for Status, for {}", release.title),
            "icon": facts.icon,
            "url": facts.url,
            "release_date": facts.date,
            "extract_size": facts.bytes,
            "extract_sha256": facts.digest,
            "image_download_size": facts.download_bytes,
            "image_download_sha256": facts.download_digest,
            "devices": release.imager_devices,
            "init_format": "cloudinit",
            "architecture": "armv8",
        }]
    })
}

fn size(path: &Path) -> Result<u64> {
    let metadata = std::fs::metadata(path).with_context(|| format!("cannot look at {}", path.display()))?;
    Ok(metadata.len())
}

/// As `sha256sum` prints it.
pub(crate) fn sha256(path: &Path) -> Result<String> {
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
        let nowhere = Path::new("");
        let release = Release {
            board: "rpi-4",
            version: "1.2.3",
            title: "Raspberry Pi 4",
            image: nowhere,
            packages: nowhere,
            boot_packages: nowhere,
            boot_package_names: &[],
            crates: nowhere,
            published_at: None,
            imager_devices: &devices,
            icon: nowhere,
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
        let manifest = imager_manifest(&release, &facts);
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
