//! Everything that reads what lies on a card, to be run on any bytes: in every test run over seeds and mutations of them
//! (`fuzz/tests/fuzzed`), and under libFuzzer by `scripts/campaign fuzz --of card-settings`. What must hold is asserted here;
//! that nothing panics goes without saying.

use std::collections::BTreeSet;
use std::io::Cursor;

use crate::fat::{self, Fat};
use crate::imager::{Wishes, cloud, preseed};
use crate::settings::{self, Mistake, Settings};
use crate::ssh::Key;
use crate::{address, answer, daemon, network, secrets, wifi, word};

/// A name, and what runs on any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// In the order of their names.
pub const TARGETS: [Target; 7] = [
    ("fat", fat),
    ("network_config", |bytes| imager(cloud::network_config(bytes))),
    ("pillarbox_toml", pillarbox_toml),
    ("preseed", |bytes| imager(preseed::parse(bytes))),
    ("ssh_key", ssh_key),
    ("user_data", |bytes| imager(cloud::user_data(bytes))),
    ("word", read_word),
];

/// The image's own configuration, which wishes are laid over.
const BASE: &str = include_str!("../../image-builder/overlay/root/etc/pillarbox/pillarboxd.toml");

fn pillarbox_toml(bytes: &[u8]) {
    let read = match settings::read(bytes) {
        Ok(read) => read,
        Err(mistake) => return one_sentence(&mistake),
    };
    written(&read.settings);
    let Some(content) = secrets::emptied(bytes, &read.secrets) else {
        return;
    };
    assert_eq!(content.len(), bytes.len(), "a file keeps its length");
    let after = settings::read(&content).expect("without its secrets it is still good");
    assert!(after.secrets.is_empty(), "every secret has gone");
    // A file that already had a place for what was taken needs that, too.
    if read.settings.clone().recall(&Settings::default()).is_ok() {
        assert_eq!(
            after.settings.recall(&read.settings),
            Ok(read.settings),
            "and comes back"
        );
    }
}

fn imager(read: Result<Wishes, Mistake>) {
    match read {
        Ok(wishes) => written(&wishes.settings),
        Err(mistake) => one_sentence(&mistake),
    }
}

/// For the page, the journal and the answer, whatever was in the file.
fn one_sentence(mistake: &Mistake) {
    let sentence = mistake.to_string();
    assert!(!sentence.contains(char::is_control), "{sentence:?}");
    assert!(sentence.chars().count() < 1000, "{sentence}");
    assert!(!mistake.fix().is_empty(), "{sentence}");
}

/// What others read line by line has as many lines as it should, and what is kept says the same when it is read again.
fn written(settings: &Settings) {
    let kept = settings.to_toml();
    assert_eq!(settings::parse(kept.as_bytes()).as_ref(), Ok(settings), "{kept}");
    if let Some(wanted) = &settings.wifi {
        let text = wifi::configuration(wanted);
        let lines = |start: &str| text.lines().filter(|line| line.trim_start().starts_with(start)).count();
        assert_eq!((lines("network="), lines("ssid="), lines("}")), (1, 1, 1), "{text}");
        assert!(lines("psk=") <= 1 && lines("country=") <= 1 && lines("") <= 9, "{text}");
    }
    if let Some(address) = &settings.address {
        let unit = network::unit(address);
        assert_eq!(unit.matches('[').count(), 1, "{unit}");
        assert!(unit.lines().skip(1).all(|line| line.contains('=')), "{unit}");
    }
    daemon::overlay(BASE, settings, None).expect("any wishes lie over the image's own");
    let said = answer::text("1.0.0", settings, &[], &BTreeSet::new());
    let unclear = |letter: char| letter.is_control() && letter != '\n';
    assert!(!said.contains(unclear), "{said:?}");
}

fn ssh_key(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(key) = Key::parse(text) {
        let line = key.line();
        assert!(!line.contains(char::is_control), "one line of authorized_keys");
        assert_eq!(Key::parse(&line), Some(key));
    }
}

fn read_word(bytes: &[u8]) {
    if let Some(found) = word::read(bytes) {
        let file = answer::fitted(&word::text(&found), word::FILE_BYTES);
        assert_eq!(word::read(&file), Some(found));
    }
}

/// A partition as some computer left it: files are read within their bounds, and written over without a change of what
/// the directory says.
fn fat(bytes: &[u8]) {
    const NAMES: [&str; 7] = [
        answer::FILE,
        address::FILE,
        settings::FILE,
        word::FILE,
        preseed::FILE,
        cloud::USER_DATA,
        cloud::NETWORK_CONFIG,
    ];
    let Ok(mut volume) = Fat::open(Cursor::new(bytes.to_vec())) else {
        return;
    };
    let Ok(found) = all(&mut volume, &NAMES) else { return };
    for file in found.iter().flatten() {
        let Ok(content) = volume.read(file, settings::MAX_BYTES) else {
            continue;
        };
        assert_eq!(content.len() as u64, file.bytes);
        let other: Vec<u8> = content.iter().map(|byte| !byte).collect();
        if volume.overwrite(file, &other).is_ok() {
            assert_eq!(volume.read(file, settings::MAX_BYTES).ok(), Some(other));
            assert_eq!(all(&mut volume, &NAMES).ok().as_ref(), Some(&found));
        }
    }
    assert_eq!(volume.into_device().into_inner().len(), bytes.len());
}

fn all(volume: &mut Fat<Cursor<Vec<u8>>>, names: &[&str]) -> Result<Vec<Option<fat::File>>, fat::Error> {
    names.iter().map(|name| volume.find(name)).collect()
}
