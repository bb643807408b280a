//! nwaku's `--mode`: one word for which services are on.

use crate::config::{error::Error, source::Given};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Relay and every service.
    Core,
    /// A client only.
    Edge,
    /// What the switches of single protocols say.
    AsGiven,
}

impl Mode {
    pub(super) fn of(given: &Given) -> Result<Self, Error> {
        given.value("mode", |text| match text.to_ascii_lowercase().as_str() {
            "core" => Ok(Self::Core),
            "edge" => Ok(Self::Edge),
            "nomode" => Ok(Self::AsGiven),
            _ => Err("give Core, Edge or noMode"),
        })
    }
}
