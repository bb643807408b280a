//! What a release consists of: the compressed image with its checksum, and the map of its blocks.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::files;
use crate::tool::Tools;

pub(crate) struct Release<'a> {
    pub(crate) board: &'a str,
    pub(crate) version: &'a str,
    pub(crate) image: &'a Path,
}

pub(crate) fn publish(tools: &Tools, release: &Release, into: &Path) -> Result<()> {
    let name = format!("pillarbox-{}-{}.img", release.board, release.version);
    let image = into.join(&name);
    // The uncompressed image stays as well, for emulators; a hard link costs nothing.
    std::fs::hard_link(release.image, &image).with_context(|| format!("cannot link {}", image.display()))?;
    tools.bmaptool(&image, &into.join(format!("{name}.bmap")))?;
    tools.xz(&image)?;
    let compressed = into.join(format!("{name}.xz"));
    let mut sums = String::new();
    for file in [&compressed, &into.join(format!("{name}.bmap"))] {
        let base = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        sums.push_str(&format!("{}  {base}\n", sha256(file)?));
    }
    files::write(&into.join("SHA256SUMS"), sums.as_bytes(), 0o644)
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
