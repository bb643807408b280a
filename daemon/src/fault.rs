//! Everything that can be wrong with a box, in one table: the code that the LED blinks, what it means, and what a
//! person can do. LED, page, JSON, CLI and README take their words from here, so that none can drift from another.
//!
//! A code is shown as one long flash and then as many short ones as its number. The Raspberry Pi's own firmware never
//! starts a code with a single long flash (raspberrypi/documentation, `configuration/led_blink_warnings.adoc`: none, or
//! two to four), so a count seen on the board's own LED is never ambiguous.
//!
//! Codes are for ever: a number that was once printed on somebody's page keeps its meaning. New faults take new numbers.

use serde::{Deserialize, Serialize};

/// A fault's variants are in order of weight, the heaviest first: of several, the first is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The mailserver (or another essential service) is not running, or does not answer.
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

/// One row of the table.
#[derive(Debug)]
pub struct Entry {
    pub fault: Fault,
    /// Short flashes after the long one, from 1.
    pub code: u8,
    /// A noun phrase of a few words.
    pub title: &'static str,
    /// One sentence: what this means for the person whose box it is.
    pub meaning: &'static str,
    /// One or two sentences: what to do.
    pub mend: &'static str,
}

/// The table, in the order of [`Fault`].
pub const TABLE: &[Entry] = &[
    Entry {
        fault: Fault::ServiceDown,
        code: 1,
        title: "Mailserver not running",
        meaning: "The mailserver does not run or does not answer, so no messages are kept.",
        mend: "Press the button once. If the code comes back, the page shows how the mailserver ended.",
    },
    Entry {
        fault: Fault::Archive,
        code: 2,
        title: "Archive damaged",
        meaning: "Kept messages cannot be read or written, or a damaged file was set aside and its messages are missing.",
        mend: "The page names the file. If it happens again, replace the card.",
    },
    Entry {
        fault: Fault::Disk,
        code: 3,
        title: "Storage full or read-only",
        meaning: "Room is running out or nothing can be written: old messages go early, or new ones are not kept.",
        mend: "Use a larger card or set a smaller quota; a card that became read-only is worn out.",
    },
    Entry {
        fault: Fault::Network,
        code: 4,
        title: "No network",
        meaning: "The box has no network connection, no address or no way out.",
        mend: "Check the cable at both ends, or the Wi-Fi name and password.",
    },
    Entry {
        fault: Fault::Power,
        code: 5,
        title: "Weak power",
        meaning: "The supply voltage drops too low; the box may restart or damage its card.",
        mend: "Use the board's own power supply and a short, thick cable.",
    },
    Entry {
        fault: Fault::Temperature,
        code: 6,
        title: "Too hot",
        meaning: "The processor is so hot that it slows itself down.",
        mend: "Give the box air, or a heat sink.",
    },
    Entry {
        fault: Fault::Clock,
        code: 7,
        title: "Time not known",
        meaning: "The clock was not set from the network yet, or shows a time that cannot be believed, so nothing is removed for being old.",
        mend: "Wait until time servers are reached; if it stays, let the router pass NTP (UDP port 123). If the page shows the right time and does not believe it, confirm it there, or do a factory reset.",
    },
    Entry {
        fault: Fault::Settings,
        code: 8,
        title: "Settings not usable",
        meaning: "A settings file could not be read; what it asks for is not done.",
        mend: "The page names the file, the key and the mend.",
    },
    Entry {
        fault: Fault::SideService,
        code: 9,
        title: "Service not running",
        meaning: "A service beside the mailserver does not run or does not answer.",
        mend: "Press the button once. If the code comes back, the page shows how the service ended.",
    },
    Entry {
        fault: Fault::Memory,
        code: 10,
        title: "Memory used up",
        meaning: "Hardly any memory is left; the box answers slowly.",
        mend: "Stop other programs on the box, or use a board with more memory.",
    },
    Entry {
        fault: Fault::Hardware,
        code: 11,
        title: "Part of the box missing",
        meaning: "A light, the button or the page's port could not be used.",
        mend: "The page, or the journal, says which one and why.",
    },
    Entry {
        fault: Fault::Peers,
        code: 12,
        title: "No peers",
        meaning: "The mailserver runs but is connected to nobody, so no new messages arrive.",
        mend: "Wait a few minutes. If it stays, check that the router lets the box reach the internet.",
    },
];

impl Fault {
    pub fn entry(self) -> &'static Entry {
        TABLE
            .iter()
            .find(|entry| entry.fault == self)
            .expect("a test shows that every fault has a row")
    }

    /// The number of short flashes, and the `code` of `/status.json`.
    pub fn code(self) -> u8 {
        self.entry().code
    }

    pub fn from_code(code: u8) -> Option<Fault> {
        TABLE.iter().find(|entry| entry.code == code).map(|entry| entry.fault)
    }
}

/// The table as Markdown, ordered by code, for the README.
pub fn markdown() -> String {
    let mut entries: Vec<&Entry> = TABLE.iter().collect();
    entries.sort_by_key(|entry| entry.code);
    let mut out = String::from("| short flashes | what it means | what to do |\n|---|---|---|\n");
    for entry in entries {
        out.push_str(&format!(
            "| {} | **{}.** {} | {} |\n",
            entry.code, entry.title, entry.meaning, entry.mend
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Names every variant, so that a new one does not compile before it is listed.
    fn position(fault: Fault) -> usize {
        match fault {
            Fault::ServiceDown => 0,
            Fault::Archive => 1,
            Fault::Disk => 2,
            Fault::Network => 3,
            Fault::Power => 4,
            Fault::Temperature => 5,
            Fault::Clock => 6,
            Fault::Settings => 7,
            Fault::SideService => 8,
            Fault::Memory => 9,
            Fault::Hardware => 10,
            Fault::Peers => 11,
        }
    }

    #[test]
    fn every_fault_has_one_row_in_order() {
        for (index, entry) in TABLE.iter().enumerate() {
            assert_eq!(position(entry.fault), index, "{:?}", entry.fault);
        }
        assert_eq!(TABLE.len(), position(Fault::Peers) + 1);
        assert!(TABLE.windows(2).all(|pair| pair[0].fault < pair[1].fault));
    }

    #[test]
    fn codes_are_unique_without_gaps_and_lead_back() {
        let codes: BTreeSet<u8> = TABLE.iter().map(|entry| entry.code).collect();
        assert_eq!(codes, (1..=TABLE.len() as u8).collect());
        for entry in TABLE {
            assert_eq!(Fault::from_code(entry.code), Some(entry.fault));
            assert_eq!(entry.fault.code(), entry.code);
        }
        assert_eq!(Fault::from_code(0), None);
    }

    #[test]
    fn words_are_sentences() {
        for entry in TABLE {
            for text in [entry.meaning, entry.mend] {
                assert!(
                    text.ends_with('.') && text.starts_with(char::is_uppercase),
                    "{:?}: {text}",
                    entry.fault
                );
            }
            assert!(!entry.title.ends_with('.'));
        }
    }
}
