//! Fuzz targets without a fuzzer: each runs over its seeds and thousands of mutations of them, in every test run of the
//! crate that includes this file. `scripts/campaign fuzz` runs the same bodies under libFuzzer, from the same seeds.

mod mutation;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use mutation::Mutation;

/// The run is the same each time: what it finds, it finds again.
const CHANCE: u64 = 0x5eed;

type Target = (&'static str, fn(&[u8]));

/// Every target is a program of the crate's `fuzz/Cargo.toml`, and the other way round.
pub(crate) fn every_target_has_a_program(package: &Path, targets: &[Target]) {
    let manifest: toml::Table = fs::read_to_string(package.join("fuzz/Cargo.toml"))
        .unwrap()
        .parse()
        .unwrap();
    let programs = manifest["bin"].as_array().unwrap();
    let names: Vec<&str> = programs
        .iter()
        .map(|program| program["name"].as_str().unwrap())
        .collect();
    let wanted: Vec<&str> = targets.iter().map(|(target, _)| *target).collect();
    assert_eq!(names, wanted);
}

/// The files of these folders, in the order of their paths.
fn seeds(folders: &[PathBuf]) -> Vec<Vec<u8>> {
    let files = folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())));
    let mut paths: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Runs each target over the crate's own seeds, those that ship with it and `mutations` of them. What an earlier campaign
/// found is among the seeds, so it is run again before anything else.
pub(crate) fn no_seed_and_no_mutation_panics(
    package: &Path,
    targets: &[Target],
    mutations: usize,
    shipped: impl Fn(&str) -> Option<PathBuf>,
) {
    for (target, run) in targets {
        let own = package.join("fuzz/seeds").join(target);
        let folders: Vec<PathBuf> = [Some(own), shipped(target)].into_iter().flatten().collect();
        let seeds = seeds(&folders);
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
        for _ in 0..mutations {
            check(&mutation.next_input());
        }
    }
}
