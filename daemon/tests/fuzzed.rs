//! The fuzz targets without a fuzzer: each runs over its seeds and thousands of mutations of them, in every test run.
//! `scripts/campaign fuzz --of daemon` runs the same bodies under libFuzzer, from the same seeds.

#![expect(clippy::unwrap_used, reason = "a seed that cannot be read fails the test")]

#[path = "../../mailserver/tests/fuzzed/mutation.rs"]
mod mutation;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use mutation::Mutation;
use pillarboxd::fuzzed::TARGETS;

/// Mutations of each target. Enough for what a careless change breaks, little enough for a debug build.
const MUTATIONS: usize = 1_500;
/// The run is the same each time: what it finds, it finds again.
const CHANCE: u64 = 0x5eed;

/// The target's own seeds, and what is shipped of its kind.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shipped = match target {
        "service" => Some(own.join("services")),
        "settings" => Some(own.join("configs")),
        _ => None,
    };
    let folders = [Some(own.join("fuzz/seeds").join(target)), shipped];
    let files = folders
        .iter()
        .flatten()
        .flat_map(|folder| fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())));
    let mut paths: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn every_target_has_a_program_that_runs_it() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/Cargo.toml");
    let manifest: toml::Table = fs::read_to_string(manifest).unwrap().parse().unwrap();
    let programs = manifest["bin"].as_array().unwrap();
    let names: Vec<&str> = programs
        .iter()
        .map(|program| program["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, TARGETS.map(|(target, _)| target));
}

/// What an earlier campaign found is among the seeds, so it is run again here before anything else.
#[test]
fn no_seed_and_no_mutation_of_one_panics() {
    for (target, run) in TARGETS {
        let seeds = seeds(target);
        assert!(seeds.len() >= 3, "{target} has seeds");
        let check = |input: &[u8]| {
            let ended = catch_unwind(AssertUnwindSafe(|| run(input)));
            assert!(
                ended.is_ok(),
                "{target} failed on {:?}",
                input.escape_ascii().to_string()
            );
        };
        seeds.iter().for_each(|seed| check(seed));
        check(&[]);
        let mut mutation = Mutation::new(CHANCE, &seeds);
        for _ in 0..MUTATIONS {
            check(&mutation.next_input());
        }
    }
}
