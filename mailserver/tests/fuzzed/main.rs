//! The fuzz targets without a fuzzer: each runs over its seeds and thousands of mutations of them, in every test run.
//! `scripts/campaign fuzz` runs the same bodies under libFuzzer, which finds its way by coverage and starts from the
//! same seeds.

#![expect(clippy::unwrap_used, reason = "a seed that cannot be made or read fails the test")]

#[path = "../../../tests/fuzzed/mutation.rs"]
mod mutation;
mod seeds;
#[path = "../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "it is a library where the targets use it")]
mod targets;

use std::{
    collections::BTreeMap,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use mutation::Mutation;

/// Mutations of each target. Enough for what a careless change breaks, little enough for a debug build.
const MUTATIONS: usize = 1_500;
/// The run is the same each time: what it finds, it finds again.
const CHANCE: u64 = 0x5eed;

fn seeds_folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target)
}

/// The files of a folder by name; none when there is no folder.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let Ok(entries) = fs::read_dir(folder) else {
        return BTreeMap::new();
    };
    let read = |entry: fs::DirEntry| {
        (
            entry.file_name().into_string().unwrap(),
            fs::read(entry.path()).unwrap(),
        )
    };
    entries.map(|entry| read(entry.unwrap())).collect()
}

/// `UPDATE_GOLDEN=1 cargo test -p pillarbox-mailserver --test fuzzed` writes them anew.
#[test]
fn the_seeds_are_the_vectors() {
    for (target, _) in targets::TARGETS {
        let folder = seeds_folder(target);
        let wanted: BTreeMap<String, Vec<u8>> = seeds::of(target).into_iter().collect();
        assert!(wanted.len() >= 3, "{target} has seeds");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder).unwrap();
            for (name, bytes) in &wanted {
                fs::write(folder.join(name), bytes).unwrap();
            }
        }
        assert_eq!(
            files(&folder),
            wanted,
            "{target}: UPDATE_GOLDEN=1 writes the seeds anew"
        );
    }
}

#[test]
fn every_target_has_a_program_that_runs_it() {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest: toml::Table = fs::read_to_string(crate_folder.join("Cargo.toml"))
        .unwrap()
        .parse()
        .unwrap();
    let programs = manifest["bin"].as_array().unwrap();
    let mut names: Vec<&str> = programs
        .iter()
        .map(|program| program["name"].as_str().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, targets::TARGETS.map(|(target, _)| target));
    for name in names {
        let program = fs::read_to_string(crate_folder.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(
            program.contains(&format!("pillarbox_mailserver_fuzz::{name}::run(")),
            "{name}"
        );
    }
}

/// The first input, seed or mutation of one, on which a target panics.
fn failing_input(run: fn(&[u8]), seeds: &[Vec<u8>]) -> Option<Vec<u8>> {
    let mut mutation = Mutation::new(CHANCE, seeds);
    let mutations = (0..MUTATIONS).map(|_| mutation.next_input());
    seeds
        .iter()
        .cloned()
        .chain([Vec::new()])
        .chain(mutations)
        .find(|input| catch_unwind(AssertUnwindSafe(|| run(input))).is_err())
}

/// What an earlier campaign found is among the seeds, so it is run again here before anything else.
#[test]
fn no_seed_and_no_mutation_of_one_panics() {
    for (target, run) in targets::TARGETS {
        let seeds: Vec<Vec<u8>> = files(&seeds_folder(target)).into_values().collect();
        let failing = failing_input(run, &seeds).map(hex::encode);
        assert_eq!(failing, None, "{target} failed on this input");
    }
}

/// A mistake that only some mutations meet is met: a length that is believed.
#[test]
fn a_target_that_fails_is_noticed() {
    fn believes_a_length(data: &[u8]) {
        if let Some((length, rest)) = data.split_first() {
            let _ = rest[..usize::from(*length)].len();
        }
    }
    let seed = vec![3, 1, 2, 3];
    believes_a_length(&seed);
    let failing = failing_input(believes_a_length, std::slice::from_ref(&seed)).unwrap();
    assert_ne!(failing, seed);
}
