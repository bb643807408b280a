//! Runs each target of a suite over its seeds and thousands of mutations of them. `scripts/campaign fuzz` runs the same
//! bodies under libFuzzer, from the same seeds.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use pillarbox_fuzz::Suite;

use crate::mutation::Mutation;

/// The run is the same each time: what it finds, it finds again.
const CHANCE: u64 = 0x5eed;

pub(crate) fn seeds_folder(suite: &Suite, target: &str) -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.join("seeds").join(suite.of).join(target)
}

/// The files of a folder by name.
pub(crate) fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let read = |entry: fs::DirEntry| {
        (
            entry.file_name().into_string().unwrap(),
            fs::read(entry.path()).unwrap(),
        )
    };
    entries.map(|entry| read(entry.unwrap())).collect()
}

/// The first input, seed or mutation of one, on which a target panics.
pub(crate) fn failing_input(run: fn(&[u8]), seeds: &[Vec<u8>], mutations: usize) -> Option<Vec<u8>> {
    let mut mutation = Mutation::new(CHANCE, seeds);
    let mutations = (0..mutations).map(|_| mutation.next_input());
    seeds
        .iter()
        .cloned()
        .chain([Vec::new()])
        .chain(mutations)
        .find(|input| catch_unwind(AssertUnwindSafe(|| run(input))).is_err())
}

/// Runs each target over its own seeds, those that ship in a folder of the repository, and `mutations` of them. What an
/// earlier campaign found is among the seeds, so it is run again before anything else.
pub(crate) fn run(suite: &Suite, mutations: usize, shipped: impl Fn(&str) -> Option<&str>) {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (target, run) in suite.targets {
        let mut seeds: Vec<Vec<u8>> = files(&seeds_folder(suite, target)).into_values().collect();
        if let Some(folder) = shipped(target) {
            seeds.extend(files(&repository.join(folder)).into_values());
        }
        assert!(seeds.len() >= 3, "{target} has seeds");
        let failing = failing_input(*run, &seeds, mutations);
        let shown = failing.map(|input| input.escape_ascii().to_string());
        assert_eq!(shown, None, "{target} of {} failed on this input", suite.of);
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
    let failing = failing_input(believes_a_length, std::slice::from_ref(&seed), 1_500).unwrap();
    assert_ne!(failing, seed);
}
