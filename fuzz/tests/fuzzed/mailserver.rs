//! What peers send. The seeds are test vectors, written from [`vectors`].

use std::collections::BTreeMap;
use std::fs;

use pillarbox_fuzz::MAILSERVER;

use crate::sample::{self, files, seeds_folder};
use crate::vectors;

#[test]
fn nothing_that_a_peer_sends() {
    sample::run(&MAILSERVER, 1_500, |_| None);
}

/// `UPDATE_GOLDEN=1 cargo test -p pillarbox-fuzz` writes them again.
#[test]
fn the_seeds_are_the_vectors() {
    for (target, _) in MAILSERVER.targets {
        let folder = seeds_folder(&MAILSERVER, target);
        let wanted: BTreeMap<String, Vec<u8>> = vectors::of(target).into_iter().collect();
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
            "{target}: UPDATE_GOLDEN=1 writes the seeds again"
        );
    }
}
