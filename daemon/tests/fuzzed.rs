//! The fuzz targets without a fuzzer: `scripts/campaign fuzz --of daemon` runs the same bodies under libFuzzer.

#![expect(clippy::unwrap_used, reason = "a seed that cannot be read fails the test")]

#[path = "../../tests/fuzzed/sample.rs"]
mod sample;

/// Of each target: enough for what a careless change breaks, little enough for a debug build.
const MUTATIONS: usize = 1_500;

#[test]
fn no_seed_and_no_mutation_of_one_panics() {
    let targets = pillarboxd::fuzzed::TARGETS;
    sample::run(env!("CARGO_MANIFEST_DIR"), &targets, MUTATIONS, |target| match target {
        "service" => Some("services"),
        "settings" => Some("configs"),
        _ => None,
    });
}
