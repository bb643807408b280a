//! Factory reset: everything that the services have made is set aside under a dated name, nothing is destroyed, and the
//! files that are a service's identity are put back. Archives that were set aside go on being pruned (`retention`), for
//! a reset must not keep envelopes longer.
//!
//! Done while no service runs.

use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use crate::config::service::Service;

/// Between a directory's name and the date in the name that it is set aside under.
pub const SET_ASIDE: &str = ".set-aside-";

/// Sets the services' state aside; `stamp` dates it. Returns where it is now.
pub fn set_aside(services: &[Service], stamp: &str) -> io::Result<Vec<PathBuf>> {
    let mut moved = Vec::new();
    for service in services {
        let archive = service.archive.as_ref().map(|archive| archive.path.as_path());
        for directory in [Some(service.directory.as_path()), archive].into_iter().flatten() {
            moved.extend(move_away(directory, stamp)?);
        }
        let Some(old) = moved.iter().find(|old| is_set_aside(old, &service.directory)) else {
            continue;
        };
        for name in &service.identity {
            let kept = old.join(name);
            if kept.exists() {
                std::fs::create_dir_all(&service.directory)?;
                like(old, &service.directory)?;
                // A copy keeps the permissions but not the owner; the original stays where it was set aside.
                let back = service.directory.join(name);
                std::fs::copy(&kept, &back)?;
                like(&kept, &back)?;
            }
        }
    }
    Ok(moved)
}

/// Gives `new` the owner of `old`: a service runs as a user of its own and must be able to read its identity again.
fn like(old: &Path, new: &Path) -> io::Result<()> {
    let (old, new_now) = (std::fs::metadata(old)?, std::fs::metadata(new)?);
    if (old.uid(), old.gid()) == (new_now.uid(), new_now.gid()) {
        return Ok(());
    }
    chown(new, Some(old.uid()), Some(old.gid()))
}

/// Renames a directory or file to a dated name that is free.
pub(crate) fn move_away(directory: &Path, stamp: &str) -> io::Result<Option<PathBuf>> {
    if !directory.exists() {
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
        if !target.exists() {
            std::fs::rename(directory, &target)?;
            return Ok(Some(target));
        }
        number += 1;
    }
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
            chown(at(path), Some(owner), None).unwrap();
        }
        let config = crate::config::Config::read(&at("main.toml")).unwrap();
        let moved = set_aside(&config.services.enabled, "x").unwrap();
        assert_eq!(moved, [at("state/one.set-aside-x")]);
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
