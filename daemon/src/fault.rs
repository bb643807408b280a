//! Everything that can be wrong with a box: the code that the LED blinks, and where its words are. LED, page, JSON, CLI
//! and README take them from here, so that none can drift from another.
//!
//! A code is shown as one long flash and then as many short ones as its number. The Raspberry Pi's own firmware never
//! starts a code with a single long flash (raspberrypi/documentation, `configuration/led_blink_warnings.adoc`: none, or
//! two to four), so a count seen on the board's own LED is never ambiguous.
//!
//! Codes are for ever: a number that was once printed on somebody's page keeps its meaning. New faults take new numbers.

use serde::{Deserialize, Serialize};

use crate::wording::{ENGLISH, FaultWords, Wording};

/// A fault's variants are in order of weight, the heaviest first: of several, the first is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The mailserver (or another essential service) is not running or not responding.
    ServiceDown,
    /// The archive cannot be read, pruned or written, or a part of it was set aside.
    Archive,
    /// The disk is nearly full, full, or read-only.
    Disk,
    /// No network: no link, no address, or no way out.
    Network,
    /// Undervoltage.
    Power,
    /// Too hot, or slowed down by heat.
    Temperature,
    /// The clock is not synchronised, or not believed, so nothing is pruned.
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

/// All of them, in order.
pub const ALL: [Fault; 12] = [
    Fault::ServiceDown,
    Fault::Archive,
    Fault::Disk,
    Fault::Network,
    Fault::Power,
    Fault::Temperature,
    Fault::Clock,
    Fault::Settings,
    Fault::SideService,
    Fault::Memory,
    Fault::Hardware,
    Fault::Peers,
];

impl Fault {
    /// The number of short flashes, and the `code` of `/status.json`.
    pub fn code(self) -> u8 {
        match self {
            Fault::ServiceDown => 1,
            Fault::Archive => 2,
            Fault::Disk => 3,
            Fault::Network => 4,
            Fault::Power => 5,
            Fault::Temperature => 6,
            Fault::Clock => 7,
            Fault::Settings => 8,
            Fault::SideService => 9,
            Fault::Memory => 10,
            Fault::Hardware => 11,
            Fault::Peers => 12,
        }
    }

    pub fn from_code(code: u8) -> Option<Self> {
        ALL.into_iter().find(|fault| fault.code() == code)
    }

    /// What it is called, what it means, and what to do.
    pub fn in_words(self, wording: &Wording) -> &FaultWords {
        let words = &wording.faults;
        match self {
            Self::ServiceDown => &words.service_down,
            Self::Archive => &words.archive,
            Self::Disk => &words.disk,
            Self::Network => &words.network,
            Self::Power => &words.power,
            Self::Temperature => &words.temperature,
            Self::Clock => &words.clock,
            Self::Settings => &words.settings,
            Self::SideService => &words.side_service,
            Self::Memory => &words.memory,
            Self::Hardware => &words.hardware,
            Self::Peers => &words.peers,
        }
    }
}

/// The codes as a Markdown table, for the README.
pub fn markdown() -> String {
    let columns = &ENGLISH.faults;
    let mut faults = ALL;
    faults.sort_by_key(|fault| fault.code());
    let head = format!(
        "| {} | {} | {} |\n|---|---|---|\n",
        columns.column_code, columns.column_means, columns.column_fix
    );
    let rows = faults.into_iter().map(|fault| {
        let words = fault.in_words(&ENGLISH);
        let code = fault.code();
        format!("| {code} | **{}.** {} | {} |\n", words.title, words.meaning, words.fix)
    });
    head + &rows.collect::<String>()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_fault_is_listed_in_order() {
        // A fault that is not listed could not be the last.
        assert_eq!(ALL.last(), Some(&Fault::Peers));
        assert!(ALL.windows(2).all(|pair| pair[0] < pair[1]));
        let named: BTreeSet<String> = ALL.iter().map(|fault| format!("{fault:?}")).collect();
        assert_eq!(named.len(), ALL.len());
    }

    #[test]
    fn codes_are_unique_without_gaps_and_lead_back() {
        let codes: BTreeSet<u8> = ALL.iter().map(|fault| fault.code()).collect();
        assert_eq!(codes, (1..=ALL.len() as u8).collect());
        for fault in ALL {
            assert_eq!(Fault::from_code(fault.code()), Some(fault));
        }
        assert_eq!(Fault::from_code(0), None);
    }
}
