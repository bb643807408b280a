//! From the partition to the files that others read, and back to the answer beside `pillarbox.toml`.
//!
//! Everything is written below `/run`, so a wish that is taken back is gone with the next start. What cannot be read
//! or used leaves the box as the image has it, and a sentence for the page.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::fat::{self, Fat};
use crate::settings::{self, Mistake, Settings};
use crate::{answer, daemon, network};

pub const FILE: &str = "pillarbox.toml";
/// In the folder for others: the wishes that are used, as they were written, for a backup.
const USED: &str = "settings.toml";
/// An answer that was made larger by somebody is not written over.
const MAX_ANSWER_BYTES: u64 = 64 * 1024;

/// Where things are on a box; a test has them elsewhere.
#[derive(Clone, Debug)]
pub struct Places {
    /// The image's own configuration of the daemon.
    pub base: PathBuf,
    /// The time zone database.
    pub zones: PathBuf,
    /// For what the daemon, the SSH server and the C library read.
    pub run: PathBuf,
    /// The folder of additions to the image's network file.
    pub network: PathBuf,
    /// Where the daemon puts the settings of a backup that was restored. They hold while the card says nothing.
    pub restored: PathBuf,
}

/// The wishes, or the sentence for the page when they are not used. `Err` is a box that cannot be written to at all.
pub fn apply(device: &Path, places: &Places) -> Result<Result<Settings, String>> {
    let outcome = File::options()
        .read(true)
        .write(true)
        .open(device)
        .map_err(fat::Error::from)
        .and_then(|device| read(device, places));
    let mut text = Vec::new();
    let (settings, trouble) = match outcome {
        Ok((Ok((settings, used)), answered)) => {
            text = used;
            // An answer that does not arrive is no reason not to do what was asked for.
            (settings, answered.err().map(|error| error.to_string()))
        }
        Ok((Err(mistake), _)) => (Settings::default(), Some(mistake.to_string())),
        Err(error) => (
            Settings::default(),
            Some(format!("{FILE}: {error}; look at the card on a computer")),
        ),
    };
    write(&settings, places)?;
    if !text.is_empty() {
        put(&places.run.join(USED), &String::from_utf8_lossy(&text))?;
    }
    match trouble {
        None => Ok(Ok(settings)),
        Some(trouble) => {
            put(&places.run.join("card-fault"), &format!("{trouble}\n"))?;
            Ok(Err(trouble))
        }
    }
}

/// The wishes and their text, and whether the answer arrived.
type Outcome = (Result<(Settings, Vec<u8>), Mistake>, Result<(), fat::Error>);

/// Reads the wishes and leaves the answer.
fn read<D: Read + Write + Seek>(device: D, places: &Places) -> Result<Outcome, fat::Error> {
    let mut fat = Fat::open(device)?;
    let outcome = match fat.find(FILE)? {
        None => Ok((Settings::default(), Vec::new())),
        Some(file) if file.bytes > settings::MAX_BYTES => Err(Mistake {
            line: None,
            key: None,
            what: format!("has {} bytes", file.bytes),
            mend: format!("keep it under {} bytes", settings::MAX_BYTES),
        }),
        Some(file) => {
            let bytes = fat.read(&file, settings::MAX_BYTES)?;
            parse(bytes, places)
        }
    };
    let outcome = match outcome {
        Ok((settings, _)) if settings == Settings::default() => restored(places),
        other => other,
    };
    let said = outcome
        .as_ref()
        .map(|(settings, _)| settings.clone())
        .map_err(Clone::clone);
    let answered = leave_answer(&mut fat, &answer::text(env!("CARGO_PKG_VERSION"), &said));
    Ok((outcome, answered))
}

fn parse(bytes: Vec<u8>, places: &Places) -> Result<(Settings, Vec<u8>), Mistake> {
    let settings = settings::parse(&bytes).and_then(|settings| known_zone(settings, &places.zones))?;
    Ok((settings, bytes))
}

/// Of a backup that was restored to a new card, if there was one.
fn restored(places: &Places) -> Result<(Settings, Vec<u8>), Mistake> {
    let limit = settings::MAX_BYTES + 1;
    let mut bytes = Vec::new();
    match File::open(&places.restored).and_then(|file| file.take(limit).read_to_end(&mut bytes)) {
        Ok(_) => parse(bytes, places).map_err(|mistake| Mistake {
            what: format!("(of the restored backup) {}", mistake.what),
            ..mistake
        }),
        Err(_) => Ok((Settings::default(), Vec::new())),
    }
}

/// Only over a file that is there and big enough, and only when it says something else: a start without news writes
/// nothing to the card.
fn leave_answer<D: Read + Write + Seek>(fat: &mut Fat<D>, text: &str) -> Result<(), fat::Error> {
    let Some(file) = fat.find(answer::FILE)? else {
        return Ok(());
    };
    if file.bytes > MAX_ANSWER_BYTES {
        return Ok(());
    }
    let wanted = answer::fitted(text, usize::try_from(file.bytes).unwrap_or(0));
    if fat.read(&file, MAX_ANSWER_BYTES)? != wanted {
        fat.overwrite(&file, &wanted)?;
    }
    Ok(())
}

fn known_zone(settings: Settings, zones: &Path) -> Result<Settings, Mistake> {
    match &settings.time_zone {
        Some(zone) if !zones.join(zone).is_file() => Err(Mistake {
            line: None,
            key: Some("time_zone".to_owned()),
            what: format!("{zone:?} is not in the box's list of time zones"),
            mend: "write one such as \"Europe/Vienna\"".to_owned(),
        }),
        _ => Ok(settings),
    }
}

fn write(settings: &Settings, places: &Places) -> Result<()> {
    let base = std::fs::read_to_string(&places.base)
        .with_context(|| format!("cannot read the image's configuration {}", places.base.display()))?;
    let config = places.run.join("pillarboxd.toml");
    put(&config, &daemon::overlay(&base, settings)?)?;
    // pillarboxd.service takes the image's own file when this one is not there.
    let environment = format!("PILLARBOX_CONFIG={}\n", config.display());
    put(&places.run.join("environment"), &environment)?;
    if let Some(zone) = &settings.time_zone {
        let link = places.run.join("localtime");
        let target = places.zones.join(zone);
        symlink(&target, &link).with_context(|| format!("cannot link {}", link.display()))?;
    }
    if let Some(address) = &settings.address {
        put(&places.network.join("card.conf"), &network::unit(address))?;
    }
    if !settings.ssh_keys.is_empty() {
        let lines: Vec<String> = settings.ssh_keys.iter().map(|key| key.line() + "\n").collect();
        put(&places.run.join("ssh/authorized_keys"), &lines.concat())?;
    }
    Ok(())
}

fn put(path: &Path, text: &str) -> Result<()> {
    let said = || format!("cannot write {}", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(said)?;
    }
    std::fs::write(path, text).with_context(said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fat::tests::volume;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJ5GbE0TuUjjvS7tLJZ3mSQ0Nqjb5nXYeDqOgRyJ5tF";

    struct Box {
        folder: tempfile::TempDir,
        places: Places,
    }

    impl Box {
        fn with(files: &[(&str, &[u8])]) -> Box {
            let folder = tempfile::tempdir().unwrap();
            let at = |path: &str| folder.path().join(path);
            std::fs::write(at("card"), volume(files)).unwrap();
            std::fs::write(at("base.toml"), "retention = \"24h\"\n[page]\nlisten = \"[::]:80\"\n").unwrap();
            std::fs::create_dir_all(at("zones/Europe")).unwrap();
            std::fs::write(at("zones/Europe/Vienna"), "TZif").unwrap();
            let places = Places {
                base: at("base.toml"),
                zones: at("zones"),
                run: at("run"),
                network: at("network"),
                restored: at("restored.toml"),
            };
            std::fs::create_dir(at("run")).unwrap();
            Box { folder, places }
        }

        fn apply(&self) -> Result<Settings, String> {
            super::apply(&self.folder.path().join("card"), &self.places).unwrap()
        }

        fn text(&self, path: &str) -> Option<String> {
            std::fs::read_to_string(self.folder.path().join(path)).ok()
        }

        fn answer(&self) -> String {
            let mut fat = Fat::open(File::open(self.folder.path().join("card")).unwrap()).unwrap();
            let file = fat.find(answer::FILE).unwrap().unwrap();
            String::from_utf8(fat.read(&file, 4096).unwrap()).unwrap()
        }
    }

    #[test]
    fn wishes_arrive_where_they_are_read() {
        let wishes = format!(
            "name = \"kitchen\"\ntime_zone = \"Europe/Vienna\"\nretention_hours = 2\n[network]\naddress = \
             \"10.9.8.7/24\"\n[ssh]\nkeys = [\"{KEY} me\"]\n"
        );
        let tested = Box::with(&[(FILE, wishes.as_bytes()), (answer::FILE, &[b' '; 1024])]);
        assert_eq!(tested.apply().unwrap().name.as_deref(), Some("kitchen"));
        assert!(
            tested
                .text("run/pillarboxd.toml")
                .unwrap()
                .contains("retention = \"2h\"")
        );
        assert!(tested.text("run/environment").unwrap().contains("run/pillarboxd.toml"));
        assert_eq!(tested.text("run/localtime").as_deref(), Some("TZif"));
        assert!(tested.text("network/card.conf").unwrap().contains("10.9.8.7/24"));
        assert_eq!(tested.text("run/ssh/authorized_keys"), Some(format!("{KEY}\n")));
        assert_eq!(tested.text("run/card-fault"), None);
        let answer = tested.answer();
        assert!(
            answer.contains("kitchen.local") && answer.contains("SHA256:"),
            "{answer}"
        );
        assert!(!answer.contains("AAAA"), "{answer}");
    }

    #[test]
    fn a_mistake_leaves_the_box_as_it_is_and_says_so() {
        for (wishes, what) in [
            ("name = \"kitchen\"\nretention_hours = 0", "retention_hours"),
            ("name = \"kitchen\"\ntime_zone = \"Europe/Atlantis\"", "Atlantis"),
        ] {
            let tested = Box::with(&[(FILE, wishes.as_bytes()), (answer::FILE, &[b' '; 1024])]);
            let trouble = tested.apply().unwrap_err();
            assert!(trouble.contains(what), "{trouble}");
            assert_eq!(tested.text("run/card-fault"), Some(trouble + "\n"));
            assert!(!tested.text("run/pillarboxd.toml").unwrap().contains("kitchen"));
            let answer = tested.answer();
            assert!(answer.contains("mistake") && answer.contains(what), "{answer}");
        }
    }

    #[test]
    fn no_file_no_answer_and_no_partition_are_survived() {
        let silent = Box::with(&[]);
        assert_eq!(silent.apply(), Ok(Settings::default()));
        let before = std::fs::read(silent.folder.path().join("card")).unwrap();
        assert_eq!(before, volume(&[]));

        std::fs::write(silent.folder.path().join("card"), [0; 4096]).unwrap();
        let trouble = silent.apply().unwrap_err();
        assert!(trouble.contains("no FAT32"), "{trouble}");
        assert!(silent.text("run/pillarboxd.toml").is_some());

        std::fs::remove_file(silent.folder.path().join("card")).unwrap();
        assert!(silent.apply().unwrap_err().contains("cannot be read"));
    }

    #[test]
    fn a_restored_backup_holds_while_the_card_says_nothing() {
        for (card, kept, name, used) in [
            (
                &b"# nothing yet\n"[..],
                Some("name = \"kitchen\""),
                Some("kitchen"),
                Some("name = \"kitchen\""),
            ),
            (
                b"name = \"hall\"",
                Some("name = \"kitchen\""),
                Some("hall"),
                Some("name = \"hall\""),
            ),
            (b"name = \"hall\"", None, Some("hall"), Some("name = \"hall\"")),
            (b"# nothing yet\n", None, None, None),
        ] {
            let tested = Box::with(&[(FILE, card), (answer::FILE, &[b' '; 1024])]);
            if let Some(kept) = kept {
                std::fs::write(tested.folder.path().join("restored.toml"), kept).unwrap();
            }
            assert_eq!(tested.apply().unwrap().name.as_deref(), name);
            assert_eq!(tested.text("run/settings.toml").as_deref(), used);
        }
        let broken = Box::with(&[(FILE, b""), (answer::FILE, &[b' '; 1024])]);
        std::fs::write(broken.folder.path().join("restored.toml"), "name = 5").unwrap();
        let trouble = broken.apply().unwrap_err();
        assert!(trouble.contains("of the restored backup"), "{trouble}");
        assert_eq!(broken.text("run/settings.toml"), None);
    }

    #[test]
    fn a_second_start_writes_nothing() {
        let tested = Box::with(&[(FILE, b"name = \"a\""), (answer::FILE, &[b' '; 1024])]);
        tested.apply().unwrap();
        let card = tested.folder.path().join("card");
        let then = std::fs::metadata(&card).unwrap().modified().unwrap();
        std::fs::remove_dir_all(tested.folder.path().join("run")).unwrap();
        std::fs::create_dir(tested.folder.path().join("run")).unwrap();
        tested.apply().unwrap();
        assert_eq!(std::fs::metadata(&card).unwrap().modified().unwrap(), then);
    }
}
