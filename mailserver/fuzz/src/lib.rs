//! What each fuzz target does with its bytes, and what must hold whatever they are.
//!
//! The bodies stand here and not in the targets so that `tests/fuzzed` runs the very same over seeds and mutations of
//! them in every test run, without instrumentation and a second build.

pub mod config_file;
pub mod enrtree;
pub mod envelope;
pub mod flags;
pub mod framing;
pub mod gaps;
pub mod igd;
pub mod nat_pmp;
pub mod node_record;
pub mod ranges;
pub mod rest;
pub mod store_query;
pub mod wire;

/// A target: its name, which is also that of its program and of its folder of seeds, and what it does.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: [Target; 13] = [
    ("config_file", config_file::run),
    ("enrtree", enrtree::run),
    ("envelope", envelope::run),
    ("flags", flags::run),
    ("framing", framing::run),
    ("gaps", gaps::run),
    ("igd", igd::run),
    ("nat_pmp", nat_pmp::run),
    ("node_record", node_record::run),
    ("ranges", ranges::run),
    ("rest", rest::run),
    ("store_query", store_query::run),
    ("wire", wire::run),
];
