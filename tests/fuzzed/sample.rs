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

/// The files of these folders, in the order of their paths.
fn seeds(folders: &[PathBuf]) -> Vec<Vec<u8>> {
    let files = folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())));
    let mut paths: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Every target is a program of the package's `fuzz/Cargo.toml`, and the other way round.
fn assert_programs(package: &Path, targets: &[Target]) {
    let manifest = fs::read_to_string(package.join("fuzz/Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let programs = manifest["bin"].as_array().unwrap().iter();
    let names: Vec<&str> = programs.map(|program| program["name"].as_str().unwrap()).collect();
    let wanted: Vec<&str> = targets.iter().map(|(target, _)| *target).collect();
    assert_eq!(names, wanted);
}

/// Runs each target over the package's own seeds, those that ship with it and `mutations` of them. What an earlier
/// campaign found is among the seeds, so it is run again before anything else.
pub(crate) fn run(package: &str, targets: &[Target], mutations: usize, shipped: impl Fn(&str) -> Option<&str>) {
    let package = Path::new(package);
    assert_programs(package, targets);
    for (target, run) in targets {
        let own = package.join("fuzz/seeds").join(target);
        let shipped = shipped(target).map(|folder| package.join(folder));
        let folders: Vec<PathBuf> = [Some(own), shipped].into_iter().flatten().collect();
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
