//! What was found of the board: storage, memory, heat, supply, and the parts.

use std::fmt::Display;

use archive::DiskStage;

use crate::wording::Wording;

#[derive(Clone, Debug, PartialEq)]
pub enum BoardDetail {
    LostOnPowerOff {
        why: String,
    },
    CardReadOnly,
    Free {
        bytes: u64,
        stage: DiskStage,
    },
    MemoryAvailable {
        available_bytes: u64,
        total_bytes: u64,
    },
    /// Jobs at a time, over five minutes.
    Load(f64),
    /// Of the processor.
    Temperature {
        celsius: f32,
        slowed: bool,
    },
    Slowed,
    VoltageLow,
    VoltageWasLow,
    VoltageOk,
    Complete,
    LimitsHeld {
        services: usize,
    },
    LimitsMissing {
        why: String,
    },
    WatchdogOff {
        name: String,
    },
    /// It counts to something else than it was asked to.
    WatchdogOther {
        name: String,
        secs: u32,
        wanted_secs: u64,
    },
    WatchdogOn {
        name: String,
        secs: u32,
    },
}

impl BoardDetail {
    pub(super) fn in_words(&self, wording: &Wording) -> String {
        let (words, units) = (&wording.details, &wording.units);
        match self {
            Self::LostOnPowerOff { why } => words.lost_on_power_off.fill(&[("why", why)]),
            Self::CardReadOnly => words.card_read_only.to_owned(),
            Self::Free { bytes, stage } => {
                let template = match stage {
                    DiskStage::Fine => words.free,
                    DiskStage::Warn => words.free_warn,
                    DiskStage::DropOldest => words.free_dropping,
                    DiskStage::ReadOnly => words.free_full,
                };
                template.fill(&[("bytes", &units.bytes(*bytes))])
            }
            Self::MemoryAvailable {
                available_bytes,
                total_bytes,
            } => {
                let (available, total) = (units.bytes(*available_bytes), units.bytes(*total_bytes));
                words
                    .memory_available
                    .fill(&[("available", &available), ("total", &total)])
            }
            Self::Load(jobs) => words.load.fill(&[("jobs", &units.decimal(*jobs, 1))]),
            Self::Temperature { celsius, slowed } => {
                let template = if *slowed { words.degrees_slowed } else { words.degrees };
                template.fill(&[("degrees", &format!("{celsius:.0}"))])
            }
            Self::Slowed => words.slowed.to_owned(),
            Self::VoltageLow => words.voltage_low.to_owned(),
            Self::VoltageWasLow => words.voltage_was_low.to_owned(),
            Self::VoltageOk => words.voltage_ok.to_owned(),
            Self::Complete => words.hardware_complete.to_owned(),
            Self::LimitsHeld { services } => words.limits_held.fill(*services as u64, &[]),
            Self::LimitsMissing { why } => words.limits_missing.fill(&[("why", why)]),
            Self::WatchdogOff { name } => words.watchdog_off.fill(&[("name", name)]),
            Self::WatchdogOther {
                name,
                secs,
                wanted_secs,
            } => {
                let values: [(&str, &dyn Display); 3] = [("name", name), ("secs", secs), ("wanted", wanted_secs)];
                words.watchdog_other.fill(&values)
            }
            Self::WatchdogOn { name, secs } => words.watchdog_on.fill(&[("name", name), ("secs", secs)]),
        }
    }
}
