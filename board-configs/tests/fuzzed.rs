//! A board's file, over those that ship and thousands of mutations of them. `scripts/campaign fuzz --of board-configs`
//! runs the same body under libFuzzer.

#![expect(clippy::unwrap_used, reason = "a seed that cannot be read fails the test")]

#[path = "../../tests/fuzzed/sample.rs"]
mod sample;

/// Of each target: enough for what a careless change breaks, little enough for a debug build.
const MUTATIONS: usize = 4_000;

#[test]
fn no_seed_and_no_mutation_of_one_panics() {
    let targets = board_configs::fuzzed::TARGETS;
    sample::run(env!("CARGO_MANIFEST_DIR"), &targets, MUTATIONS, |target| match target {
        "board" => Some("boards"),
        _ => None,
    });
}
