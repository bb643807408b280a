//! Factory reset: everything that the services have made is set aside under a dated name, nothing is destroyed, and the
//! files that are a service's identity are put back. Archives that were set aside go on being pruned (`retention`), for
//! a reset must not keep envelopes longer.
//!
//! Done while no service runs.

use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};

use archive::folder::Folder;

use crate::config::service::Service;

/// Between a directory's name and the date in the name that it is set aside under.
pub const SET_ASIDE: &str = ".set-aside-";
/// What a backup takes of a file, too; a key has some hundred bytes.
const MAX_IDENTITY_BYTES: u64 = 64 * 1024;

/// What a reset has done.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reset {
    /// Where what was set aside is now.
    pub moved: Vec<PathBuf>,
    /// The identities that could not be put back, each a sentence.
    pub lost: Vec<String>,
}

/// Sets the services' state aside; `stamp` dates it. The service's account owns what is in its directory, so an identity
/// may be anything by now: what is no file is left where it is, and said.
pub fn set_aside(services: &[Service], stamp: &str) -> io::Result<Reset> {
    let mut moved = Vec::new();
    let mut lost = Vec::new();
    for service in services {
        let archive = service.archive.as_ref().map(|archive| archive.path.as_path());
        for directory in [Some(service.directory.as_path()), archive].into_iter().flatten() {
            moved.extend(move_away(directory, stamp)?);
        }
        let Some(old) = moved.iter().find(|old| is_set_aside(old, &service.directory)) else {
            continue;
        };
        for name in service.identity.iter().filter_map(|name| name.to_str()) {
            if let Err(error) = put_back(old, &service.directory, name) {
                lost.push(format!("{} was not kept: {error}", old.join(name).display()));
            }
        }
    }
    Ok(Reset { moved, lost })
}

/// Left for the next start, in the state directory: what the reset could not keep.
const WORD: &str = "reset-lost";
const MAX_WORD_BYTES: u64 = 4096;

/// Has the next start say what was not kept.
pub fn leave_word(state_dir: &Path, reset: &Reset) -> io::Result<()> {
    match reset.lost.first() {
        Some(lost) => std::fs::write(state_dir.join(WORD), lost),
        None => Ok(()),
    }
}

/// What the reset before this start has left to say; it is said until the next start.
pub fn take_word(state_dir: &Path) -> Option<String> {
    let word = Folder::open(state_dir).and_then(|folder| folder.read(WORD, MAX_WORD_BYTES));
    let (word, _) = word.ok()?;
    if let Err(error) = std::fs::remove_file(state_dir.join(WORD)) {
        tracing::warn!(%error, "what a factory reset left to say stays");
    }
    String::from_utf8(word).ok()
}

/// Copies a file back into a service's new directory, with its permissions and its owner: a service runs as a user of
/// its own and must be able to read its identity again. The original stays where it was set aside.
fn put_back(old: &Path, new: &Path, name: &str) -> io::Result<()> {
    let old = Folder::open(old)?;
    if old.look(name)?.is_none() {
        return Ok(());
    }
    let (content, whose) = old.read(name, MAX_IDENTITY_BYTES)?;
    std::fs::create_dir_all(new)?;
    let new = Folder::open(new)?;
    let (owner, now) = (old.metadata()?, new.metadata()?);
    if (owner.uid(), owner.gid()) != (now.uid(), now.gid()) {
        new.give(owner.uid(), owner.gid())?;
    }
    let mut file = new.create(name, whose.mode() & 0o777)?;
    let written = (|| {
        file.write_all(&content)?;
        let now = file.metadata()?;
        if (whose.uid(), whose.gid()) != (now.uid(), now.gid()) {
            fchown(&file, Some(whose.uid()), Some(whose.gid()))?;
        }
        file.sync_all()
    })();
    if written.is_err() {
        // Half an identity would keep its service from starting; without one it makes a new one.
        new.unlink(name)?;
    }
    written?;
    new.sync()
}

/// Renames a directory or file to a dated name that is free.
pub(crate) fn move_away(directory: &Path, stamp: &str) -> io::Result<Option<PathBuf>> {
    // Whatever is there: a link is renamed, and not looked through.
    if !is_there(directory) {
        return Ok(None);
    }
    let mut number = 0;
    loop {
        let suffix = if number == 0 {
            String::new()
        } else {
            format!("-{number}")
        };
        let mut name = directory.as_os_str().to_owned();
        name.push(format!("{SET_ASIDE}{stamp}{suffix}"));
        let target = PathBuf::from(name);
        if !is_there(&target) {
            std::fs::rename(directory, &target)?;
            return Ok(Some(target));
        }
        number += 1;
    }
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Whether `path` is `directory` as it was set aside some time.
fn is_set_aside(path: &Path, directory: &Path) -> bool {
    let name = |path: &Path| {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    };
    path.parent() == directory.parent() && name(path).starts_with(&(name(directory) + SET_ASIDE))
}

/// All that was ever set aside of a directory.
pub fn all_set_aside(directory: &Path) -> Vec<PathBuf> {
    let Some(entries) = directory.parent().and_then(|parent| std::fs::read_dir(parent).ok()) else {
        return Vec::new();
    };
    entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| is_set_aside(path, directory))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let directory = Path::new("/state/archive");
        for (path, wanted) in [
            ("/state/archive.set-aside-20260101T000000Z", true),
            ("/state/archive.set-aside-20260101T000000Z-1", true),
            ("/state/archive", false),
            ("/state/archive2.set-aside-x", false),
            ("/other/archive.set-aside-x", false),
        ] {
            assert_eq!(is_set_aside(Path::new(path), directory), wanted, "{path}");
        }
    }

    /// The identity must be readable by the service's own user afterwards.
    #[test]
    fn what_is_put_back_belongs_to_whom_it_belonged_to() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        std::fs::create_dir_all(at("services")).unwrap();
        std::fs::write(
            at("main.toml"),
            "board = \"dev\"\nstate_dir = \"state\"\nservices_dir = \"services\"\n",
        )
        .unwrap();
        let service = "program = \"/bin/true\"\nidentity = [\"nodekey\"]\n";
        std::fs::write(at("services/one.toml"), service).unwrap();
        std::fs::create_dir_all(at("state/one")).unwrap();
        std::fs::write(at("state/one/nodekey"), "secret").unwrap();
        // Only root can give files away; anybody else sees that the owner stays his own.
        let owner = if nix::unistd::geteuid().is_root() {
            54_321
        } else {
            nix::unistd::geteuid().as_raw()
        };
        for path in ["state/one", "state/one/nodekey"] {
            std::os::unix::fs::chown(at(path), Some(owner), None).unwrap();
        }
        let config = crate::config::Config::read(&at("main.toml")).unwrap();
        let reset = set_aside(&config.services.enabled, "x").unwrap();
        assert_eq!(reset.moved, [at("state/one.set-aside-x")]);
        assert_eq!(reset.lost, [] as [String; 0]);
        for path in ["state/one", "state/one/nodekey"] {
            assert_eq!(std::fs::metadata(at(path)).unwrap().uid(), owner, "{path}");
        }
        assert_eq!(std::fs::read(at("state/one/nodekey")).unwrap(), b"secret");
    }

    #[test]
    fn nothing_there_is_nothing_to_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(move_away(&folder.path().join("absent"), "x").unwrap(), None);
        for wanted in ["a.set-aside-x", "a.set-aside-x-1", "a.set-aside-x-2"] {
            std::fs::create_dir(folder.path().join("a")).unwrap();
            assert_eq!(
                move_away(&folder.path().join("a"), "x").unwrap(),
                Some(folder.path().join(wanted))
            );
        }
        assert_eq!(all_set_aside(&folder.path().join("a")).len(), 3);
    }
}
