//! Small work on files: walking trees, copying single files with their mode, errors that say which file.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Every file below `dir` with its path relative to it, sorted; links are not followed.
pub(crate) fn walk(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut waiting = vec![PathBuf::new()];
    while let Some(relative) = waiting.pop() {
        let here = dir.join(&relative);
        for entry in fs::read_dir(&here).with_context(|| format!("cannot list {}", here.display()))? {
            let entry = entry.with_context(|| format!("cannot list {}", here.display()))?;
            let path = relative.join(entry.file_name());
            if entry
                .file_type()
                .with_context(|| format!("cannot look at {}", path.display()))?
                .is_dir()
            {
                waiting.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

pub(crate) fn text(path: &Path) -> Result<String> {
    String::from_utf8(read(path)?).with_context(|| format!("{} is not text", path.display()))
}

pub(crate) fn write(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    if let Some(parent) = path.parent() {
        make_dir(parent)?;
    }
    // Never through a link that lies there already.
    if path.symlink_metadata().is_ok() {
        fs::remove_file(path).with_context(|| format!("cannot replace {}", path.display()))?;
    }
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .with_context(|| format!("cannot set the mode of {}", path.display()))
}

pub(crate) fn copy(from: &Path, to: &Path, mode: u32) -> Result<()> {
    write(to, &read(from)?, mode)
}

pub(crate) fn make_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))
}

/// A symbolic link, in place of whatever is there.
pub(crate) fn relink(path: &Path, target: &str) -> Result<()> {
    remove(path)?;
    symlink(target, path).with_context(|| format!("cannot link {}", path.display()))
}

/// A file or a whole directory; nothing when it is not there.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let result = match path.symlink_metadata() {
        Err(_) => return Ok(()),
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    };
    result.with_context(|| format!("cannot remove {}", path.display()))
}

/// The only directory below `dir`, by name: Debian's kernel package has one for its version.
pub(crate) fn only_entry(dir: &Path) -> Result<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .with_context(|| format!("cannot list {}", dir.display()))?
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    anyhow::ensure!(
        names.len() == 1,
        "{} should hold one entry, but holds {names:?}",
        dir.display()
    );
    Ok(names.remove(0))
}
