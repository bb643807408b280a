//! What can be wrong with the box: one closed table of faults, whose code is what the LED blinks, and what the page,
//! `/status.json` and the CLI show.
//!
//! Faults are ordered: the first of several is the one that the LED and the page's headline show.

use serde::{Deserialize, Serialize};

/// A fault's variants are in order of weight, the heaviest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The mailserver (or another essential service) is not running, or does not answer.
    ServiceDown,
    /// The archive cannot be read, pruned or written.
    Archive,
    /// The disk is nearly full, full, or read-only.
    Disk,
    /// No network: no link, no address, or no way out.
    Network,
    /// Undervoltage.
    Power,
    /// Too hot, or slowed down by heat.
    Temperature,
    /// The clock is not synchronised, so nothing is pruned.
    Clock,
    /// A setting or a service file is wrong; what it describes is off.
    Settings,
    /// A service that the box can do without keeps failing.
    SideService,
    /// Hardly any memory left.
    Memory,
    /// An LED, the button or the page's port cannot be had.
    Hardware,
    /// No peer for long.
    Peers,
}

impl Fault {
    /// The number of blinks, and the `code` of `/status.json`.
    pub fn code(self) -> u8 {
        self as u8 + 1
    }
}
