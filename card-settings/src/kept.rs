//! What the box remembers of a card on its data partition, because the card no longer shows it: secrets that were taken
//! off `pillarbox.toml`, all of what Imager wrote, and the last network that worked. For root alone.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::settings::{self, Settings};

/// For root alone.
const MODE: u32 = 0o600;
/// Less the umask; the files in it guard themselves.
const FOLDER_MODE: u32 = 0o777;

/// What is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The card's own `pillarbox.toml`, with its secrets.
    Own,
    /// What Imager wrote.
    Imager,
    /// Wi-Fi and address that were seen to work.
    Network,
}

impl Kept {
    fn file(self) -> &'static str {
        match self {
            Kept::Own => "pillarbox.toml",
            Kept::Imager => "imager.toml",
            Kept::Network => "network.toml",
        }
    }

    fn path(self, folder: &Path) -> PathBuf {
        folder.join(self.file())
    }

    /// What cannot be read is as if it were not there: it is written again with the next card.
    pub fn read(self, folder: &Path) -> Option<Settings> {
        let mut bytes = Vec::new();
        let file = File::open(self.path(folder)).ok()?;
        file.take(settings::MAX_BYTES + 1).read_to_end(&mut bytes).ok()?;
        settings::parse(&bytes).ok()
    }

    /// On the disk when this returns. What is there already is not written again.
    pub fn write(self, folder: &Path, settings: &Settings) -> Result<(), durable_file::Error> {
        if self.read(folder).as_ref() == Some(settings) {
            return Ok(());
        }
        durable_file::make_folder(folder, FOLDER_MODE)?;
        durable_file::replace(&self.path(folder), settings.to_toml().as_bytes(), MODE)
    }

    /// Removes it; what is not there is no error.
    pub fn forget(self, folder: &Path) -> Result<(), durable_file::Error> {
        if folder.is_dir() {
            durable_file::remove(&self.path(folder))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    #[test]
    fn kept_for_root_and_written_only_when_it_says_something_new() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("card");
        let settings = settings::parse(b"[wifi]\nname = \"a\"\npassword = \"longenough\"").unwrap();
        assert_eq!(Kept::Own.read(&folder), None);
        Kept::Own.write(&folder, &settings).unwrap();
        assert_eq!(Kept::Own.read(&folder), Some(settings.clone()));
        let path = Kept::Own.path(&folder);
        let first = fs::metadata(&path).unwrap();
        assert_eq!(first.permissions().mode() & 0o777, 0o600);
        Kept::Own.write(&folder, &settings).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().ino(), first.ino());
        fs::write(&path, "name = ").unwrap();
        assert_eq!(Kept::Own.read(&folder), None);
        Kept::Own.forget(&folder).unwrap();
        Kept::Own.forget(&folder).unwrap();
    }
}
