//! The fuzz targets without a fuzzer, in every test run.

#![expect(clippy::unwrap_used, reason = "a seed that cannot be read or made fails the test")]

mod archive;
mod card;
mod mailserver;
mod mutation;
mod sample;
mod vectors;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use pillarbox_fuzz::{ARCHIVE, BOARD_CONFIGS, CARD_SETTINGS, DAEMON, MAILSERVER, Suite};

const SUITES: [Suite; 5] = [ARCHIVE, BOARD_CONFIGS, CARD_SETTINGS, DAEMON, MAILSERVER];

fn folders(of: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(of).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

/// Every folder of seeds is a target's, and every suite has a program.
#[test]
fn suites_have_seeds_and_programs() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest: toml::Table = fs::read_to_string(package.join("Cargo.toml")).unwrap().parse().unwrap();
    let programs = manifest["bin"].as_array().unwrap().iter();
    let programs: Vec<&str> = programs.map(|program| program["name"].as_str().unwrap()).collect();
    assert_eq!(programs, SUITES.map(|suite| suite.of));
    assert_eq!(
        folders(&package.join("seeds")),
        SUITES.map(|suite| suite.of.to_owned()).into()
    );
    for suite in SUITES {
        let targets: Vec<String> = suite.targets.iter().map(|(target, _)| (*target).to_owned()).collect();
        assert!(targets.is_sorted(), "{}", suite.of);
        assert_eq!(
            folders(&package.join("seeds").join(suite.of)),
            targets.into_iter().collect()
        );
        let program = format!("fuzz_targets/{}.rs", suite.of.replace('-', "_"));
        let program = fs::read_to_string(package.join(program)).unwrap();
        let name = suite.of.replace('-', "_").to_uppercase();
        assert!(
            program.contains(&format!("run_chosen(&pillarbox_fuzz::{name}, data)")),
            "{name}"
        );
    }
}

// How many mutations: enough for what a careless change breaks, little enough for a debug build.

#[test]
fn no_board() {
    sample::run(&BOARD_CONFIGS, 4_000, |_| Some("board-configs/boards"));
}

/// An answer, never a panic, and never a line of somebody else's file that was not asked for.
#[test]
fn no_card() {
    sample::run(&CARD_SETTINGS, 4_000, |target| match target {
        "pillarbox_toml" => Some("image-builder/overlay/firmware"),
        _ => None,
    });
}

#[test]
fn nothing_that_the_daemon_is_told() {
    sample::run(&DAEMON, 1_500, |target| match target {
        "service" => Some("daemon/services"),
        "settings" => Some("daemon/configs"),
        _ => None,
    });
}
