//! What peers send and what an operator writes, one file per target.

mod config_file;
mod enrtree;
mod envelope;
mod flags;
mod framing;
mod gaps;
mod igd;
mod nat_pmp;
mod node_record;
mod ranges;
mod rest;
mod store_query;
mod wire;

use crate::Target;

/// In the order of their names.
pub(crate) const TARGETS: [Target; 13] = [
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
