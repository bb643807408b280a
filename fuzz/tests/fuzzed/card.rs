//! What the reader of the card lets through never stops the daemon: mutations of a file with every wish in use, laid over a
//! box's own settings, are settings that the daemon takes.

use std::collections::BTreeSet;
use std::path::Path;

use card_settings::{daemon, settings};
use pillarbox_fuzz::CARD_SETTINGS;
use pillarboxd::config::Config;

use crate::mutation::Mutation;
use crate::sample::{files, seeds_folder};

const MUTATIONS: usize = 20_000;
/// The run is the same each time.
const CHANCE: u64 = 0x5eed;

#[test]
fn what_the_card_may_say_is_what_the_daemon_takes() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = tempfile::tempdir().unwrap();
    let base = format!(
        "board = \"dev\"\nstate_dir = {:?}\nservices_dir = {:?}\nrequired = [\"mailserver\"]\n\
         [network]\ncluster = 16\nshards = [32]\n[page]\nlisten = \"127.0.0.1:0\"\n[services.mailserver]\nprogram = \"/bin/true\"\n",
        folder.path().join("state"),
        repository.join("daemon/services"),
    );
    let seeds = files(&seeds_folder(&CARD_SETTINGS, "pillarbox_toml"));
    let mut seeds: Vec<Vec<u8>> = seeds.into_values().collect();
    seeds.sort();
    let mut mutation = Mutation::new(CHANCE, &seeds);
    let mutations = (0..MUTATIONS).map(|_| mutation.next_input());
    let files: Vec<Vec<u8>> = seeds.iter().cloned().chain(mutations).collect();
    let good = files.iter().filter_map(|bytes| settings::parse(bytes).ok());
    // Most mutations are of comments, or say what another says.
    let overlaid: BTreeSet<String> = good
        .map(|wishes| daemon::overlay(&base, &wishes, None).unwrap())
        .collect();
    assert!(overlaid.len() > 100, "only {} files were good", overlaid.len());
    let file = folder.path().join("pillarboxd.toml");
    for text in overlaid {
        std::fs::write(&file, &text).unwrap();
        if let Err(mistake) = Config::read(&file) {
            panic!("{mistake}\n{text}");
        }
    }
}
