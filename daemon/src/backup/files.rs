//! The files of a backup on this box: where each is read and written, staging, and putting in place.
//!
//! An identity's directory belongs to its service's account. So nothing there is followed: a link is neither read nor
//! written through.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::unistd::{User, geteuid};

use super::bundle::{Bundle, Kind, MAX_FILE_BYTES, Name};
use super::identity::{self, Flaw};
use super::settings;
use crate::config::{Config, Mistake};
use crate::reset;

/// Between a file's name and nothing: what a restore will put in its place.
const STAGED: &str = ".restored";

#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("there is nothing to back up yet; wait until the mailserver has run once")]
    NothingHere,
    #[error("the backup holds nothing that was asked for")]
    NothingWanted,
    #[error("this box has no {0}; switch that service on first, and restore again")]
    NoService(Name),
    #[error("the backup's settings are of another kind of box ({0}); restore its identity alone")]
    OtherKind(Name),
    #[error("{name} in the backup {flaw}; nothing was changed; use another backup")]
    Identity { name: Name, flaw: Flaw },
    #[error("the backup's settings cannot be used here: {0}; or restore the identity alone")]
    Settings(#[from] Mistake),
    #[error("{path}: {error}")]
    File { path: PathBuf, error: io::Error },
}

/// Where one file is.
struct Place {
    from: PathBuf,
    to: PathBuf,
    /// Whose it is when there was none before.
    user: Option<String>,
}

/// Every file that a backup of this box may hold.
fn places(config: &Config) -> BTreeMap<Name, Place> {
    let mut places = BTreeMap::new();
    for service in &config.services.enabled {
        for file in &service.identity {
            let path = service.directory.join(file);
            let name = Name::Identity {
                service: service.name.clone(),
                file: file.display().to_string(),
            };
            let place = Place {
                from: path.clone(),
                to: path,
                user: service.user.clone(),
            };
            places.insert(name, place);
        }
    }
    let (kind, from, to) = match &config.backup {
        Some(backup) => (Kind::Card, &backup.settings, &backup.restored),
        None => (Kind::Daemon, &config.file, &config.file),
    };
    let place = Place {
        from: from.clone(),
        to: to.clone(),
        user: None,
    };
    places.insert(Name::Settings(kind), place);
    places
}

pub(super) fn collect(config: &Config) -> Result<Bundle, Trouble> {
    let mut bundle = Bundle::default();
    for (name, place) in places(config) {
        let Some(mut content) = read(&place.from).map_err(|error| trouble(&place.from, error))? else {
            continue;
        };
        if let Name::Settings(kind) = name {
            content = settings::for_backup(kind, &place.from, &text(&place.from, content)?)?.into_bytes();
        }
        bundle.files.insert(name, content);
    }
    let identities = bundle.files.keys().any(|name| matches!(name, Name::Identity { .. }));
    if identities {
        Ok(bundle)
    } else {
        Err(Trouble::NothingHere)
    }
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = match OpenOptions::new().read(true).custom_flags(flags.bits()).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("is not a file"));
    }
    let mut content = Vec::new();
    file.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut content)?;
    Ok(Some(content))
}

fn text(path: &Path, content: Vec<u8>) -> Result<String, Trouble> {
    String::from_utf8(content).map_err(|_| Trouble::File {
        path: path.to_owned(),
        error: io::Error::other("is not text"),
    })
}

/// Writes the bundle's files beside those that they will replace; all of them, or none. Returns the settings that it
/// leaves out.
pub(super) fn stage(config: &Config, bundle: Bundle, identity_only: bool) -> Result<Vec<String>, Trouble> {
    let places = places(config);
    forget_staged(config);
    let staged = try_stage(&places, bundle, identity_only);
    if staged.is_err() {
        forget_staged(config);
    }
    staged
}

fn try_stage(places: &BTreeMap<Name, Place>, bundle: Bundle, identity_only: bool) -> Result<Vec<String>, Trouble> {
    let mut left_out = Vec::new();
    let mut wanted = Vec::new();
    for (name, content) in bundle.files {
        let settings = matches!(name, Name::Settings(_));
        if settings && identity_only {
            continue;
        }
        let Some(place) = places.get(&name) else {
            return Err(if settings {
                Trouble::OtherKind(name)
            } else {
                Trouble::NoService(name)
            });
        };
        identity::check(&name, &content).map_err(|flaw| Trouble::Identity {
            name: name.clone(),
            flaw,
        })?;
        let content = match name {
            Name::Settings(kind) => take_settings(kind, place, content, &mut left_out)?,
            Name::Identity { .. } => content,
        };
        wanted.push((name, place, content));
    }
    if wanted.is_empty() {
        return Err(Trouble::NothingWanted);
    }
    for (name, place, content) in wanted {
        let path = staged(&place.to);
        write(&path, place, &content).map_err(|error| trouble(&path, error))?;
        if name == Name::Settings(Kind::Daemon) {
            Config::read(&path)?;
        }
    }
    Ok(left_out)
}

/// A person's own settings out of a backup, laid over those that are here.
fn take_settings(kind: Kind, place: &Place, content: Vec<u8>, left_out: &mut Vec<String>) -> Result<Vec<u8>, Trouble> {
    let present = match kind {
        Kind::Daemon => read(&place.to).map_err(|error| trouble(&place.to, error))?,
        Kind::Card => None,
    };
    let present = text(&place.to, present.unwrap_or_default())?;
    let restored = settings::restored(kind, &place.to, &present, &text(&place.to, content)?)?;
    left_out.extend(restored.left_out);
    Ok(restored.text.into_bytes())
}

fn write(path: &Path, place: &Place, content: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let before = std::fs::symlink_metadata(&place.to)
        .ok()
        .filter(|before| before.is_file());
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(before.as_ref().map_or(0o600, |before| before.mode() & 0o777))
        .open(path)?;
    file.write_all(content)?;
    if geteuid().is_root() {
        let account = place.user.as_deref().map(User::from_name).transpose()?.flatten();
        let owner = before
            .map(|before| (before.uid(), before.gid()))
            .or_else(|| account.map(|user| (user.uid.as_raw(), user.gid.as_raw())));
        if let Some((uid, gid)) = owner {
            // By its handle: another file may have the name by now.
            fchown(&file, Some(uid), Some(gid))?;
        }
    }
    file.sync_all()
}

fn staged(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(STAGED);
    PathBuf::from(name)
}

/// What a restore left that did not come to its end is not put in place later.
pub fn forget_staged(config: &Config) {
    for place in places(config).values() {
        // Most often there is none.
        let _ = std::fs::remove_file(staged(&place.to));
    }
}

/// Puts what is staged in its place and sets what was there aside; `stamp` dates it. To be called while no service
/// runs. Returns what was replaced.
pub fn commit(config: &Config, stamp: &str) -> io::Result<Vec<PathBuf>> {
    let mut replaced = Vec::new();
    for place in places(config).values() {
        let staged = staged(&place.to);
        if !staged.exists() {
            continue;
        }
        reset::move_away(&place.to, stamp)?;
        std::fs::rename(&staged, &place.to)?;
        if let Some(folder) = place.to.parent() {
            File::open(folder)?.sync_all()?;
        }
        replaced.push(place.to.clone());
    }
    Ok(replaced)
}

fn trouble(path: &Path, error: io::Error) -> Trouble {
    Trouble::File {
        path: path.to_owned(),
        error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: &str = "program = \"/bin/true\"\nidentity = [\"token\"]\n";

    struct Tree {
        folder: tempfile::TempDir,
    }

    impl Tree {
        fn new(more: &str) -> Tree {
            let tree = Tree {
                folder: tempfile::tempdir().unwrap(),
            };
            let main = format!("board = \"dev\"\nstate_dir = \"state\"\nservices_dir = \"services\"\n{more}");
            tree.put("services/one.toml", SERVICE);
            tree.put("main.toml", &main);
            tree
        }

        fn at(&self, path: &str) -> PathBuf {
            self.folder.path().join(path)
        }

        fn put(&self, path: &str, text: &str) {
            std::fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
            std::fs::write(self.at(path), text).unwrap();
        }

        fn text(&self, path: &str) -> Option<String> {
            std::fs::read_to_string(self.at(path)).ok()
        }

        fn config(&self) -> Config {
            Config::read(&self.at("main.toml")).unwrap()
        }

        fn refusal(&self, bundle: Bundle, identity_only: bool) -> String {
            let error = stage(&self.config(), bundle, identity_only).unwrap_err().to_string();
            assert_eq!(self.text("state/one/token.restored"), None, "nothing is left: {error}");
            assert_eq!(self.text("main.toml.restored"), None, "nothing is left: {error}");
            error
        }
    }

    fn bundle(files: &[(&str, &str)]) -> Bundle {
        let named = |text: &str| match text {
            "card" => Name::Settings(Kind::Card),
            "daemon" => Name::Settings(Kind::Daemon),
            service => Name::Identity {
                service: service.to_owned(),
                file: "token".to_owned(),
            },
        };
        Bundle {
            files: files
                .iter()
                .map(|(name, text)| (named(name), text.as_bytes().to_vec()))
                .collect(),
        }
    }

    #[test]
    fn what_is_collected_is_put_back_and_the_present_is_set_aside() {
        let tree = Tree::new("");
        assert!(matches!(collect(&tree.config()), Err(Trouble::NothingHere)));
        tree.put("state/one/token", "old");
        tree.put("state/one/other", "not an identity");
        let kept = collect(&tree.config()).unwrap();
        assert_eq!(kept.files.len(), 2, "{kept:?}");
        let settings = tree.text("main.toml").unwrap();
        tree.put("state/one/token", "new");
        tree.put("main.toml", &format!("{settings}retention = \"2h\"\n"));

        stage(&tree.config(), kept, false).unwrap();
        assert_eq!(tree.text("state/one/token").unwrap(), "new", "staged beside");
        let replaced = commit(&tree.config(), "x").unwrap();
        assert_eq!(replaced.len(), 2);
        assert_eq!(tree.text("state/one/token").unwrap(), "old");
        assert_eq!(tree.text("state/one/token.set-aside-x").unwrap(), "new");
        assert_eq!(tree.text("main.toml").unwrap(), settings);
        assert!(tree.text("main.toml.set-aside-x").unwrap().contains("2h"));
        assert_eq!(tree.text("state/one/token.restored"), None);
        assert_eq!(commit(&tree.config(), "y").unwrap(), [] as [PathBuf; 0], "once");
    }

    #[test]
    fn what_does_not_fit_changes_nothing() {
        let tree = Tree::new("");
        tree.put("state/one/token", "mine");
        for (files, wanted) in [
            (&[("one", "x"), ("two", "x")][..], "no services/two/token"),
            (&[("one", "x"), ("card", "x")], "another kind"),
            (&[("one", "x"), ("daemon", "retention = \"0s\"")], "retention"),
            (&[("one", "x"), ("daemon", "colour = ")], "no TOML"),
            (&[("one", "")], "services/one/token in the backup is empty"),
            (&[], "nothing"),
        ] {
            let error = tree.refusal(bundle(files), false);
            assert!(error.contains(wanted), "{error}");
        }
        let error = tree.refusal(bundle(&[("daemon", "retention = \"2h\"")]), true);
        assert!(error.contains("nothing"), "{error}");
        stage(&tree.config(), bundle(&[("one", "x"), ("card", "x")]), true).unwrap();
        forget_staged(&tree.config());
        assert_eq!(commit(&tree.config(), "x").unwrap(), [] as [PathBuf; 0]);
        assert_eq!(tree.text("state/one/token").unwrap(), "mine");
    }

    /// A backup of another installation gives what a person set there, and says what it would have changed beside.
    #[test]
    fn where_things_are_is_this_boxs_own() {
        let tree = Tree::new("");
        tree.put("state/one/token", "mine");
        let elsewhere =
            "board = \"rpi-4\"\nstate_dir = \"elsewhere\"\nservices_dir = \"services\"\nretention = \"2h\"\n";
        let left_out = stage(&tree.config(), bundle(&[("daemon", elsewhere)]), false).unwrap();
        assert_eq!(left_out, ["board", "state_dir"]);
        commit(&tree.config(), "x").unwrap();
        let config = tree.config();
        assert_eq!(config.state_dir, tree.at("state"));
        assert_eq!((config.board.name.as_str(), config.retention.as_secs()), ("dev", 7200));
    }

    /// On a board the person's settings come from the card, and a restore puts them where the next start finds them.
    #[test]
    fn a_card_s_settings_are_read_here_and_put_there() {
        let tree = Tree::new("[backup]\nsettings = \"run/settings.toml\"\nrestored = \"data/settings.toml\"\n");
        tree.put("state/one/token", "mine");
        tree.put("run/settings.toml", "name = \"kitchen\"\n");
        let kept = collect(&tree.config()).unwrap();
        assert!(kept.files.contains_key(&Name::Settings(Kind::Card)), "{kept:?}");
        stage(&tree.config(), kept, false).unwrap();
        commit(&tree.config(), "x").unwrap();
        assert_eq!(tree.text("data/settings.toml").unwrap(), "name = \"kitchen\"\n");
    }

    /// A service that was taken over by somebody else must not have other files read or written for it.
    #[test]
    fn links_are_neither_read_nor_written_through() {
        let tree = Tree::new("");
        tree.put("secret", "of root");
        std::fs::create_dir_all(tree.at("state/one")).unwrap();
        std::os::unix::fs::symlink(tree.at("secret"), tree.at("state/one/token")).unwrap();
        assert!(matches!(collect(&tree.config()), Err(Trouble::File { .. })));
        std::os::unix::fs::symlink(tree.at("secret"), tree.at("state/one/token.restored")).unwrap();
        stage(&tree.config(), bundle(&[("one", "x")]), true).unwrap();
        commit(&tree.config(), "x").unwrap();
        assert_eq!(tree.text("secret").unwrap(), "of root");
        assert_eq!(tree.text("state/one/token").unwrap(), "x");
        assert!(tree.at("state/one/token.set-aside-x").is_symlink());
    }

    #[test]
    fn a_fifo_is_no_file() {
        let tree = Tree::new("");
        std::fs::create_dir_all(tree.at("state/one")).unwrap();
        nix::unistd::mkfifo(&tree.at("state/one/token"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(matches!(collect(&tree.config()), Err(Trouble::File { .. })));
    }
}
