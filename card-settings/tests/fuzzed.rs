//! Everything that reads a card, over good files and thousands of mutations of them: an answer, never a panic, and never
//! a line of somebody else's file that was not asked for. `scripts/campaign fuzz --of card-settings` runs the same bodies
//! under libFuzzer.

#![expect(clippy::unwrap_used, reason = "a seed that cannot be read fails the test")]

#[path = "../../tests/fuzzed/sample.rs"]
mod sample;

use std::path::Path;

use card_settings::fuzzed::TARGETS;

/// Mutations of each target. Enough for what a careless change breaks, little enough for a debug build.
const MUTATIONS: usize = 4_000;

#[test]
fn every_target_has_a_program_that_runs_it() {
    sample::every_target_has_a_program(Path::new(env!("CARGO_MANIFEST_DIR")), &TARGETS);
}

#[test]
fn no_seed_and_no_mutation_of_one_panics() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    sample::no_seed_and_no_mutation_panics(package, &TARGETS, MUTATIONS, |target| match target {
        "pillarbox_toml" => Some(package.join("../image-builder/overlay/firmware")),
        _ => None,
    });
}
