//! The fuzz targets without a fuzzer: `scripts/campaign fuzz --of daemon` runs the same bodies under libFuzzer.

#![expect(clippy::unwrap_used, reason = "a seed that cannot be read fails the test")]

#[path = "../../tests/fuzzed/sample.rs"]
mod sample;

use std::path::Path;

use pillarboxd::fuzzed::TARGETS;

/// Mutations of each target. Enough for what a careless change breaks, little enough for a debug build.
const MUTATIONS: usize = 1_500;

#[test]
fn every_target_has_a_program_that_runs_it() {
    sample::every_target_has_a_program(Path::new(env!("CARGO_MANIFEST_DIR")), &TARGETS);
}

#[test]
fn no_seed_and_no_mutation_of_one_panics() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    sample::no_seed_and_no_mutation_panics(package, &TARGETS, MUTATIONS, |target| match target {
        "service" => Some(package.join("services")),
        "settings" => Some(package.join("configs")),
        _ => None,
    });
}
