use std::path::PathBuf;

use super::*;
use crate::fat::tests::volume;
use crate::{imager, settings, word};

use crate::settings::FILE;

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
            ethernet: at("ethernet"),
            wireless: at("wireless"),
            kept: at("kept"),
            restored: at("restored.toml"),
        };
        std::fs::create_dir(at("run")).unwrap();
        Box { folder, places }
    }

    fn card(&self) -> PathBuf {
        self.folder.path().join("card")
    }

    fn apply(&self) -> Outcome {
        super::apply(&self.card(), &self.places).unwrap()
    }

    /// What is below /run is gone.
    fn start_again(&self) -> Outcome {
        for folder in ["run", "ethernet", "wireless"] {
            let _ = std::fs::remove_dir_all(self.folder.path().join(folder));
        }
        std::fs::create_dir(self.folder.path().join("run")).unwrap();
        self.apply()
    }

    fn text(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.folder.path().join(path)).ok()
    }

    fn on_card(&self, name: &str) -> String {
        let mut fat = Fat::open(File::open(self.card()).unwrap()).unwrap();
        let file = fat.find(name).unwrap().unwrap();
        String::from_utf8(fat.read(&file, 4096).unwrap()).unwrap()
    }

    fn answer(&self) -> String {
        self.on_card(answer::FILE)
    }
}

const ANSWER: (&str, &[u8]) = (answer::FILE, &[b' '; 2048]);

#[test]
fn wishes_arrive_where_they_are_read() {
    let wishes = format!(
        "name = \"kitchen\"\ntime_zone = \"Europe/Vienna\"\nretention_hours = 2\n[network]\naddress = \
         \"10.9.8.7/24\"\n[ssh]\nkeys = [\"{KEY} me\"]\n"
    );
    let tested = Box::with(&[(FILE, wishes.as_bytes()), ANSWER]);
    assert_eq!(tested.apply().settings.name.as_deref(), Some("kitchen"));
    assert!(
        tested
            .text("run/pillarboxd.toml")
            .unwrap()
            .contains("retention = \"2h\"")
    );
    assert!(tested.text("run/environment").unwrap().contains("run/pillarboxd.toml"));
    assert_eq!(tested.text("run/localtime").as_deref(), Some("TZif"));
    assert!(tested.text("ethernet/card.conf").unwrap().contains("10.9.8.7/24"));
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
        let tested = Box::with(&[(FILE, wishes.as_bytes()), ANSWER]);
        let trouble = tested.apply().trouble.unwrap();
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
    assert_eq!(silent.apply(), Outcome::default());
    let before = std::fs::read(silent.folder.path().join("card")).unwrap();
    assert_eq!(before, volume(&[]));

    std::fs::write(silent.folder.path().join("card"), [0; 4096]).unwrap();
    let trouble = silent.apply().trouble.unwrap();
    assert!(trouble.contains("no FAT32"), "{trouble}");
    assert!(silent.text("run/pillarboxd.toml").is_some());

    std::fs::remove_file(silent.folder.path().join("card")).unwrap();
    assert!(silent.apply().trouble.unwrap().contains("cannot be read"));
}

#[test]
fn a_restored_backup_holds_while_the_card_says_nothing() {
    for (card, kept, name, used) in [
        (
            &b"# nothing yet\n"[..],
            Some("name = \"kitchen\""),
            Some("kitchen"),
            Some("name = \"kitchen\"\n"),
        ),
        (
            b"name = \"hall\"",
            Some("name = \"kitchen\""),
            Some("hall"),
            Some("name = \"hall\"\n"),
        ),
        (b"name = \"hall\"", None, Some("hall"), Some("name = \"hall\"\n")),
        (b"# nothing yet\n", None, None, None),
    ] {
        let tested = Box::with(&[(FILE, card), ANSWER]);
        if let Some(kept) = kept {
            std::fs::write(tested.folder.path().join("restored.toml"), kept).unwrap();
        }
        assert_eq!(tested.apply().settings.name.as_deref(), name);
        assert_eq!(tested.text("run/settings.toml").as_deref(), used);
    }
    let broken = Box::with(&[(FILE, b""), ANSWER]);
    std::fs::write(broken.folder.path().join("restored.toml"), "name = 5").unwrap();
    let trouble = broken.apply().trouble.unwrap();
    assert!(trouble.contains("of the restored backup"), "{trouble}");
    assert_eq!(broken.text("run/settings.toml"), None);
}

#[test]
fn a_second_start_writes_nothing() {
    let tested = Box::with(&[(FILE, b"name = \"a\""), ANSWER]);
    tested.apply();
    let card = tested.folder.path().join("card");
    let then = std::fs::metadata(&card).unwrap().modified().unwrap();
    std::fs::remove_dir_all(tested.folder.path().join("run")).unwrap();
    std::fs::create_dir(tested.folder.path().join("run")).unwrap();
    tested.apply();
    assert_eq!(std::fs::metadata(&card).unwrap().modified().unwrap(), then);
}

const HOME: &str = "name = \"kitchen\"\n[wifi]\nname = \"Home\"\npassword = \"correct horse\" # mine\n";

#[test]
fn secrets_leave_the_card_and_hold_from_then_on() {
    let tested = Box::with(&[(FILE, HOME.as_bytes()), ANSWER]);
    for _ in 0..2 {
        assert_eq!(tested.start_again().trouble, None);
        let wifi = tested.text("run/wifi.conf").unwrap();
        assert!(wifi.contains("psk=\"correct horse\""), "{wifi}");
        let card = tested.on_card(FILE);
        assert!(
            card.contains("password = \"\"") && card.contains("# mine") && !card.contains("horse"),
            "{card}"
        );
        assert_eq!(card.len(), HOME.len());
        let answer = tested.answer();
        assert!(
            answer.contains("Wi-Fi: \"Home\"") && !answer.contains("horse"),
            "{answer}"
        );
        assert!(
            tested.text("run/settings.toml").unwrap().contains("correct horse"),
            "for a backup"
        );
    }
    let secret = tested.folder.path().join("run/wifi.conf");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(secret).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);

    std::fs::remove_dir_all(tested.folder.path().join("kept")).unwrap();
    let trouble = tested.start_again().trouble.unwrap();
    assert!(
        trouble.contains("wifi.password") && trouble.contains("Home"),
        "{trouble}"
    );
}

#[test]
fn secrets_stay_on_the_card_where_nothing_else_would_keep_them() {
    let tested = Box::with(&[(FILE, HOME.as_bytes()), ANSWER]);
    std::fs::write(tested.folder.path().join("run/data-fault"), "no data\n").unwrap();
    assert_eq!(tested.apply().trouble, None);
    assert_eq!(tested.on_card(FILE), HOME);
    assert!(tested.text("run/wifi.conf").is_some());
}

#[test]
fn what_imager_wrote_is_taken_over_once_and_holds() {
    let preseed = include_bytes!("../../../fuzz/seeds/card-settings/preseed/imager");
    let user = include_bytes!("../../../fuzz/seeds/card-settings/user_data/imager");
    let network = include_bytes!("../../../fuzz/seeds/card-settings/network_config/imager");
    for files in [
        &[(imager::preseed::FILE, &preseed[..]), ANSWER][..],
        &[
            (imager::cloud::USER_DATA, &user[..]),
            (imager::cloud::NETWORK_CONFIG, &network[..]),
            ANSWER,
        ],
    ] {
        let tested = Box::with(files);
        let first = tested.apply();
        assert_eq!(first.trouble, None);
        assert_eq!(first.settings.name.as_deref(), Some("kitchen"));
        let answer = tested.answer();
        assert!(answer.contains("Not used") && answer.contains("no users"), "{answer}");
        for (file, content) in files.iter().filter(|(file, _)| *file != answer::FILE) {
            let left = tested.on_card(file);
            assert_eq!(left.len(), content.len());
            assert!(left.starts_with("# The Pillarbox") && !left.contains("cdef"), "{left}");
        }
        assert_eq!(tested.start_again().settings, first.settings);
        assert!(tested.text("run/wifi.conf").unwrap().contains("psk=0123456789abcdef"));
    }
}

#[test]
fn the_cards_own_file_goes_before_imagers() {
    let own = b"name = \"hall\"\nquota_mib = 100\n";
    let preseed = include_bytes!("../../../fuzz/seeds/card-settings/preseed/imager");
    let tested = Box::with(&[(FILE, own), (imager::preseed::FILE, preseed), ANSWER]);
    let settings = tested.apply().settings;
    assert_eq!(settings.name.as_deref(), Some("hall"));
    assert!(settings.wifi.is_some() && settings.quota_mib.is_some());

    let broken = Box::with(&[(FILE, own), (imager::preseed::FILE, b"config_version = 3"), ANSWER]);
    let outcome = broken.apply();
    assert_eq!(outcome.settings.name.as_deref(), Some("hall"));
    assert!(
        outcome
            .trouble
            .unwrap()
            .starts_with("rpi-preseed.toml:1: config_version")
    );
    assert_eq!(broken.on_card(imager::preseed::FILE), "config_version = 3");

    let script = Box::with(&[("firstrun.sh", b"#!/bin/sh\nreboot\n"), ANSWER]);
    assert!(script.apply().trouble.unwrap().contains("firstrun.sh: is a script"));
}

/// Habits from Raspberry Pi OS do nothing here, and the answer says so.
#[test]
fn files_of_another_system_are_named() {
    let tested = Box::with(&[("ssh", b""), ("wpa_supplicant.conf", b"network={}"), ANSWER]);
    assert_eq!(tested.apply(), Outcome::default());
    let answer = tested.answer();
    for words in [
        "write your key into pillarbox.toml",
        "write the network into pillarbox.toml",
    ] {
        assert!(answer.contains(words), "{answer}");
    }
    assert_eq!(tested.on_card("wpa_supplicant.conf"), "network={}");
}

#[test]
fn a_word_is_made_once_and_handed_on() {
    let empty = answer::fitted(word::NONE_YET, word::FILE_BYTES);
    let tested = Box::with(&[(word::FILE, &empty), ANSWER]);
    tested.apply();
    let first = tested.text("run/word").unwrap();
    assert!(tested.on_card(word::FILE).starts_with(first.trim()));
    assert!(tested.text("run/pillarboxd.toml").unwrap().contains("token_file"));
    tested.start_again();
    assert_eq!(tested.text("run/word"), Some(first));
}

#[test]
fn addresses_are_written_when_they_change() {
    let tested = Box::with(&[(crate::address::FILE, &[b' '; 512])]);
    let addresses = std::collections::BTreeSet::from(["10.0.0.9".parse().unwrap()]);
    let tell = || tell_address(&tested.card(), "pillarbox-1a2b", &addresses).unwrap();
    assert_eq!((tell(), tell()), (true, false));
    assert!(
        tested
            .on_card(crate::address::FILE)
            .starts_with("http://pillarbox-1a2b.local\r\nhttp://10.0.0.9\r\n")
    );
}

#[test]
fn a_changed_network_is_on_trial_until_it_worked() {
    let fixed = "[network]\naddress = \"10.0.0.2/8\"\ngateway = \"10.0.0.1\"\n";
    let tested = Box::with(&[(FILE, fixed.as_bytes()), ANSWER]);
    tested.apply();
    let wanted = settings::parse(tested.text("run/network-trial").unwrap().as_bytes()).unwrap();
    assert_eq!(wanted, settings::parse(fixed.as_bytes()).unwrap());
    assert!(tested.text("ethernet/card.conf").is_some());

    // Nothing worked before: the router's own address.
    let sentence = revert(&wanted, &tested.places).unwrap();
    assert!(
        sentence.contains("10.0.0.1 is not responding") && sentence.contains("from the router"),
        "{sentence}"
    );
    assert_eq!(tested.text("ethernet/card.conf"), None);
    assert_eq!(tested.text("run/card-fault"), Some(sentence + "\n"));

    // Something else did.
    let before = settings::parse(b"[network]\naddress = \"192.168.1.9/24\"").unwrap();
    Kept::Network.write(&tested.places.kept, &before).unwrap();
    tested.start_again();
    assert!(revert(&wanted, &tested.places).unwrap().contains("worked last"));
    assert!(tested.text("ethernet/card.conf").unwrap().contains("192.168.1.9/24"));

    // It worked: no trial any more.
    Kept::Network.write(&tested.places.kept, &wanted).unwrap();
    tested.start_again();
    assert_eq!(tested.text("run/network-trial"), None);
}

#[test]
fn a_wifi_that_fails_is_still_looked_for() {
    let tested = Box::with(&[(FILE, HOME.as_bytes()), ANSWER]);
    let wanted = tested.apply().settings.network();
    assert!(revert(&wanted, &tested.places).unwrap().contains("Home"));
    assert!(tested.text("run/wifi.conf").unwrap().contains("correct horse"));
    let with_address = format!("{HOME}[network]\naddress = \"10.0.0.2/8\"\n");
    let tested = Box::with(&[(FILE, with_address.as_bytes()), ANSWER]);
    tested.apply();
    assert!(tested.text("wireless/card.conf").is_some() && tested.text("ethernet/card.conf").is_none());
}
