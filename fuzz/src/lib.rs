//! Everything that reads what somebody else wrote, and what must hold whatever is in it; that nothing panics goes without
//! saying.
//!
//! A suite is a crate's targets, each with a folder of seeds, `seeds/CRATE/TARGET`. `cargo test -p pillarbox-fuzz` runs
//! every target over its seeds and thousands of mutations of them, without instrumentation and a second build;
//! `scripts/campaign fuzz` runs the same bodies under libFuzzer, which finds its way by coverage.
//!
//! What is fuzzed is what ships: this is a member of the workspace, so both are built from one lock. Bodies that need
//! only what a library makes public stand here. The others stand in their library, behind its feature `fuzzed`, which
//! nothing but this crate turns on.

#![warn(missing_docs)]

#[cfg(feature = "archive")]
mod archive;
#[cfg(feature = "mailserver")]
mod mailserver;

use std::sync::OnceLock;

#[cfg(feature = "archive")]
pub use self::archive::{HOUR_SECS, NOW, SECOND};

/// A target: its name, which is also that of its folder of seeds, and what runs on any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// The targets of a crate, in the order of their names.
#[derive(Clone, Copy, Debug)]
pub struct Suite {
    /// The crate's folder.
    pub of: &'static str,
    /// At least one.
    pub targets: &'static [Target],
}

/// Files that anybody may have written.
#[cfg(feature = "archive")]
pub const ARCHIVE: Suite = Suite {
    of: "archive",
    targets: &self::archive::TARGETS,
};
/// A board's file.
#[cfg(feature = "board-configs")]
pub const BOARD_CONFIGS: Suite = Suite {
    of: "board-configs",
    targets: &board_configs::fuzzed::TARGETS,
};
/// What lies on a card.
#[cfg(feature = "card-settings")]
pub const CARD_SETTINGS: Suite = Suite {
    of: "card-settings",
    targets: &card_settings::fuzzed::TARGETS,
};
/// What browsers, services and files tell the daemon.
#[cfg(feature = "daemon")]
pub const DAEMON: Suite = Suite {
    of: "daemon",
    targets: &pillarboxd::fuzzed::TARGETS,
};
/// What peers send, and an operator's flags.
#[cfg(feature = "mailserver")]
pub const MAILSERVER: Suite = Suite {
    of: "mailserver",
    targets: &self::mailserver::TARGETS,
};

/// Names the target that a program of a suite runs: one program a target would be the same code linked many times.
pub const CHOICE: &str = "FUZZ_TARGET";

/// Runs the target that the environment names.
///
/// # Panics
/// Without such a target, and when what must hold does not.
pub fn run_chosen(suite: &Suite, bytes: &[u8]) {
    static CHOSEN: OnceLock<fn(&[u8])> = OnceLock::new();
    let body = CHOSEN.get_or_init(|| {
        let name = std::env::var(CHOICE).unwrap_or_default();
        let found = suite.targets.iter().find(|(target, _)| *target == name);
        let (_, body) = found.unwrap_or_else(|| panic!("{CHOICE} names no target of {}: {name:?}", suite.of));
        *body
    });
    body(bytes);
}
