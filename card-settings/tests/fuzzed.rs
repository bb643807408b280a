//! Everything that reads a card, over good files and thousands of mutations of them: an answer, never a panic, and never
//! a line of somebody else's file that was not asked for. `scripts/campaign fuzz --of card-settings` runs the same bodies
//! under libFuzzer.

#![expect(clippy::unwrap_used, reason = "a seed that cannot be read fails the test")]

#[path = "../../tests/fuzzed/sample.rs"]
mod sample;

/// Of each target: enough for what a careless change breaks, little enough for a debug build.
const MUTATIONS: usize = 4_000;

#[test]
fn no_seed_and_no_mutation_of_one_panics() {
    let targets = card_settings::fuzzed::TARGETS;
    sample::run(env!("CARGO_MANIFEST_DIR"), &targets, MUTATIONS, |target| match target {
        "pillarbox_toml" => Some("../image-builder/overlay/firmware"),
        _ => None,
    });
}
