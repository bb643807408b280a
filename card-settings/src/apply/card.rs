//! The files of the card's FAT partition: read, and written over in place.

use std::collections::BTreeSet;
use std::io::{Read, Seek, Write};

use super::places::{Places, put_secret};
use crate::fat::{self, Fat};
use crate::imager::{self, Wishes, cloud, preseed};
use crate::kept::Kept;
use crate::settings::{self, Mistake, Settings};
use crate::{answer, secrets, word};

/// In the folder for others: the word that lets a browser in.
pub(super) const WORD: &str = "word";
/// What Imager 1 leaves, and what Imager 2 leaves on a card that it takes for Raspberry Pi OS.
const FIRST_RUN: &str = "firstrun.sh";
/// What people put on the cards of Raspberry Pi OS, by habit or with tools for it.
const OTHERS: &[(&str, &str)] = &[
    (
        "ssh",
        "ssh is a file for Raspberry Pi OS: write your key into pillarbox.toml, [ssh].",
    ),
    (
        "ssh.txt",
        "ssh.txt is a file for Raspberry Pi OS: write your key into pillarbox.toml, [ssh].",
    ),
    (
        "wpa_supplicant.conf",
        "wpa_supplicant.conf is a file for Raspberry Pi OS: write the network into pillarbox.toml, [wifi].",
    ),
    (
        "custom.toml",
        "custom.toml is a file for Raspberry Pi OS: say it in pillarbox.toml.",
    ),
    (
        "userconf",
        "userconf is a file for Raspberry Pi OS: a Pillarbox has no users.",
    ),
    (
        "userconf.txt",
        "userconf.txt is a file for Raspberry Pi OS: a Pillarbox has no users.",
    ),
];
/// A file that is written over was made with the image; one that was made larger by somebody is left alone.
const MAX_OVERWRITE_BYTES: u64 = 64 * 1024;

pub(super) struct Card<'a, D> {
    pub(super) fat: &'a mut Fat<D>,
    pub(super) places: &'a Places,
}

type Read1<T> = Result<Result<T, Mistake>, fat::Error>;

impl<D: Read + Write + Seek> Card<'_, D> {
    /// `pillarbox.toml`, its secrets taken.
    pub(super) fn own(&mut self) -> Read1<Settings> {
        let Some(bytes) = self.content(settings::FILE)? else {
            return Ok(Ok(Settings::default()));
        };
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(mistake) => return Ok(Err(mistake)),
        };
        let kept = Kept::Own.read(&self.places.kept).unwrap_or_default();
        let read = match settings::read(&bytes) {
            Ok(read) => read,
            Err(mistake) => return Ok(Err(mistake)),
        };
        let settings = match read.settings.recall(&kept) {
            Ok(settings) => settings,
            Err(mistake) => return Ok(Err(mistake)),
        };
        if let Some(content) = secrets::emptied(&bytes, &read.secrets)
            && self.keep(Kept::Own, &settings)
        {
            self.overwrite(settings::FILE, &content)?;
        }
        Ok(Ok(settings))
    }

    /// What Imager wrote with this card, or with an earlier start of it.
    pub(super) fn imager(&mut self) -> Read1<Wishes> {
        if self.content(FIRST_RUN)?.is_some() {
            let what = "is a script for Raspberry Pi OS, and nothing of it is used";
            let mend = "delete it, and say in pillarbox.toml what you want";
            return Ok(Err(Mistake::in_file(FIRST_RUN, what, mend)));
        }
        let mut contents = Vec::new();
        for file in [preseed::FILE, cloud::USER_DATA, cloud::NETWORK_CONFIG] {
            match self.content(file)? {
                Some(Ok(bytes)) => contents.push((file, bytes)),
                Some(Err(mistake)) => return Ok(Err(mistake)),
                None => {}
            }
        }
        let new: Vec<&(&str, Vec<u8>)> = contents.iter().filter(|(_, bytes)| !imager::is_taken(bytes)).collect();
        if new.is_empty() {
            let settings = Kept::Imager.read(&self.places.kept).unwrap_or_default();
            return Ok(Ok(Wishes {
                settings,
                ..Wishes::default()
            }));
        }
        let bytes = |file: &str| {
            new.iter()
                .find(|(name, _)| *name == file)
                .map_or(&[][..], |(_, bytes)| bytes)
        };
        let read = preseed::parse(bytes(preseed::FILE)).and_then(|near| {
            let far = cloud::parse(bytes(cloud::USER_DATA), bytes(cloud::NETWORK_CONFIG))?;
            Ok(near.over(far))
        });
        let wishes = match read {
            Ok(wishes) => wishes,
            Err(mistake) => return Ok(Err(mistake)),
        };
        let taken: Vec<(&str, usize)> = new.iter().map(|(file, bytes)| (*file, bytes.len())).collect();
        if self.keep(Kept::Imager, &wishes.settings) {
            for (file, bytes) in taken {
                self.overwrite(file, &imager::taken(bytes))?;
            }
        }
        Ok(Ok(wishes))
    }

    /// A sentence for each file of another system that lies on the card.
    pub(super) fn others(&mut self) -> Result<BTreeSet<&'static str>, fat::Error> {
        let mut sentences = BTreeSet::new();
        for (file, sentence) in OTHERS {
            if self.fat.find(file)?.is_some() {
                sentences.insert(*sentence);
            }
        }
        Ok(sentences)
    }

    /// The word for a browser: made once, and handed to the daemon at every start.
    pub(super) fn word(&mut self) -> Result<(), fat::Error> {
        let Some(file) = self.fat.find(word::FILE)? else {
            return Ok(());
        };
        if file.bytes != word::FILE_BYTES as u64 {
            return Ok(());
        }
        let content = self.fat.read(&file, file.bytes)?;
        let word = match word::read(&content) {
            Some(word) => word,
            None => {
                let word = word::fresh();
                let text = answer::fitted(&word::text(&word), word::FILE_BYTES);
                self.fat.overwrite(&file, &text)?;
                word
            }
        };
        put_secret(&self.places.run.join(WORD), &format!("{word}\n"))
            .map_err(|error| fat::Error::Io(std::io::Error::other(error)))
    }

    fn content(&mut self, name: &'static str) -> Result<Option<Result<Vec<u8>, Mistake>>, fat::Error> {
        let Some(file) = self.fat.find(name)? else {
            return Ok(None);
        };
        if file.bytes > settings::MAX_BYTES {
            let what = format!("has {} bytes", file.bytes);
            let mend = format!("keep it under {} bytes", settings::MAX_BYTES);
            return Ok(Some(Err(Mistake::in_file(name, what, mend))));
        }
        self.fat.read(&file, settings::MAX_BYTES).map(|bytes| Some(Ok(bytes)))
    }

    /// Whether it lies on the data partition now, for longer than the power stays on.
    fn keep(&self, what: Kept, settings: &Settings) -> bool {
        !self.places.data_is_lost() && what.write(&self.places.kept, settings).is_ok()
    }

    fn overwrite(&mut self, name: &str, content: &[u8]) -> Result<(), fat::Error> {
        match self.fat.find(name)? {
            Some(file) => self.fat.overwrite(&file, content),
            None => Ok(()),
        }
    }
}

/// Only over a file that is there and big enough, and only when it says something else: a start without news writes
/// nothing to the card. Says whether it wrote.
pub(super) fn replace<D: Read + Write + Seek>(fat: &mut Fat<D>, name: &str, text: &str) -> Result<bool, fat::Error> {
    let Some(file) = fat.find(name)? else {
        return Ok(false);
    };
    if file.bytes > MAX_OVERWRITE_BYTES {
        return Ok(false);
    }
    let wanted = answer::fitted(text, usize::try_from(file.bytes).unwrap_or(0));
    if fat.read(&file, MAX_OVERWRITE_BYTES)? == wanted {
        return Ok(false);
    }
    fat.overwrite(&file, &wanted)?;
    Ok(true)
}
