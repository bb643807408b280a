//! The lines of the LED and the button, from the board's own file.

use anyhow::{Result, anyhow};
use board_configs::{Board, ButtonDriver, LedDriver};

pub(crate) struct Pins {
    pub(crate) led: u32,
    /// The light for codes alone, where there is one.
    pub(crate) fault: Option<u32>,
    pub(crate) button: u32,
}

impl Pins {
    pub(crate) fn of(board: &str) -> Result<Pins> {
        let board = Board::named(board)?;
        let led = match board.leds.get("status").map(|led| &led.driver) {
            Some(LedDriver::Gpiocdev(line)) => line.line,
            other => return Err(anyhow!("the status LED is {other:?}")),
        };
        let fault = match board.leds.get("fault").map(|led| &led.driver) {
            Some(LedDriver::Gpiocdev(line)) => Some(line.line),
            _ => None,
        };
        let button = match board.button.map(|button| button.driver) {
            Some(ButtonDriver::Gpiocdev(line)) => line.line,
            other => return Err(anyhow!("the button is {other:?}")),
        };
        Ok(Pins { led, fault, button })
    }
}
