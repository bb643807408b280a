//! What the page is told at its start.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::backup::Vault;
use crate::log::Logbook;

#[derive(Clone, Debug)]
pub struct Options {
    pub listen: SocketAddr,
    /// Host names that the page answers to beside addresses, `localhost` and `pillarbox*.local`.
    pub names: Vec<String>,
    /// Whether to answer peers that are neither private nor on the same link.
    pub any_peer: bool,
    /// Seconds since the Unix epoch, for "… ago".
    pub unix_time: fn() -> i64,
    /// For the last lines.
    pub log: Logbook,
    /// Whether the machine can be restarted and powered off from here.
    pub switches: bool,
    /// A file with an access code that unlocks the page.
    pub token_file: Option<PathBuf>,
    /// For backup and restore.
    pub vault: Vault,
}
