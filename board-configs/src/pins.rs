//! No pin twice, and none that the board needs for itself.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Deserialize;

use crate::{Board, ButtonDriver, Error, LedDriver};

/// Lines of the board's own controller that are taken.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reserved {
    lines: Vec<u32>,
    why: String,
}

/// What two users may not share. A pin of rppal is the same copper as a line of that number on the board's own
/// controller, so both become a `Line`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Pin {
    Line { chip: String, line: u32 },
    KernelLed(String),
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pin::Line { chip, line } => write!(f, "line {line} of {chip:?}"),
            Pin::KernelLed(name) => write!(f, "the kernel's LED {name:?}"),
        }
    }
}

pub(crate) fn check(board: &Board, path: &Path, own_chip: &str, reserved: &[Reserved]) -> Result<(), Error> {
    let line = |chip: &str, line: u32| Pin::Line {
        chip: chip.to_owned(),
        line,
    };
    let leds = board.leds.iter().filter_map(|(name, led)| {
        let pin = match &led.driver {
            LedDriver::Simulated => return None,
            LedDriver::Gpiocdev(output) => line(&output.chip, output.line),
            LedDriver::LedsClass(led) => Pin::KernelLed(led.name.clone()),
            LedDriver::Rppal(output) => line(own_chip, u32::from(output.pin)),
        };
        Some((format!("leds.{name}"), pin))
    });
    let button = board.button.iter().filter_map(|button| match &button.driver {
        ButtonDriver::Simulated => None,
        ButtonDriver::Gpiocdev(input) => Some(("button".to_owned(), line(&input.chip, input.line))),
    });
    let mut users: BTreeMap<Pin, String> = BTreeMap::new();
    for (user, pin) in leds.chain(button) {
        let taken = |reserved: &&Reserved| reserved.lines.iter().any(|taken| line(own_chip, *taken) == pin);
        if let Some(reserved) = reserved.iter().find(taken) {
            return Err(Error::PinReserved {
                path: path.to_owned(),
                pin: pin.to_string(),
                user,
                why: reserved.why.clone(),
            });
        }
        if let Some(first) = users.insert(pin.clone(), user.clone()) {
            return Err(Error::PinTwice {
                path: path.to_owned(),
                pin: pin.to_string(),
                first,
                second: user,
            });
        }
    }
    Ok(())
}
