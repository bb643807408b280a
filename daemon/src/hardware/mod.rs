//! The parts of a board that are neither network nor disk: lights and the button, each behind its driver.
//!
//! Nothing here decides anything: a [`Lamp`] is lit or dark, and the button's watcher passes on what the pure
//! classifier makes of its edges. A part that is missing or taken by another program is a sentence on the page and a
//! new try every [`RETRY`], never the daemon's end.

mod gpio;
mod leds_class;
mod push_button;
#[cfg(feature = "rppal")]
mod rppal_pin;
mod simulated;

use std::path::{Path, PathBuf};
use std::time::Duration;

use board_configs::LedDriver;

pub use push_button::{Hand, watch_button};

/// How long to wait before asking again for a part that could not be had.
pub const RETRY: Duration = Duration::from_secs(10);

/// A light that can be lit and darkened. Dropping it leaves it dark where the hardware allows.
pub trait Lamp: Send {
    fn set(&mut self, lit: bool) -> Result<(), Error>;
}

/// Takes hold of an LED. Simulated ones live in `dir`.
pub fn open_lamp(name: &str, driver: &LedDriver, dir: &Path) -> Result<Box<dyn Lamp>, Error> {
    Ok(match driver {
        LedDriver::Simulated => Box::new(simulated::SimulatedLamp::create(&dir.join("leds").join(name))?),
        LedDriver::Gpiocdev(line) => Box::new(gpio::GpioLamp::request(line)?),
        LedDriver::LedsClass(led) => Box::new(leds_class::KernelLamp::open(Path::new(leds_class::SYSFS), &led.name)?),
        #[cfg(feature = "rppal")]
        LedDriver::Rppal(output) => Box::new(rppal_pin::RppalLamp::open(output)?),
        #[cfg(not(feature = "rppal"))]
        LedDriver::Rppal(_) => return Err(Error::NotBuiltIn { driver: "rppal" }),
    })
}

/// Why a part cannot be used; each says what was tried and how to mend it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no GPIO controller is called {chip:?}; this kernel has: {present}")]
    NoChip { chip: String, present: String },
    #[error("line {line} of {chip:?} cannot be had: {source}; is another program or the device tree using it?")]
    Line {
        chip: String,
        line: u32,
        source: gpiocdev::Error,
    },
    #[error("the kernel has no LED {name:?} in /sys/class/leds; it has: {present}")]
    NoKernelLed { name: String, present: String },
    #[error("{} cannot be used: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[cfg(not(feature = "rppal"))]
    #[error("the driver {driver:?} is not built in; build with --features {driver}, or use gpiocdev")]
    NotBuiltIn { driver: &'static str },
    #[cfg(feature = "rppal")]
    #[error("GPIO {pin} cannot be had by rppal: {source}; does the kernel offer /dev/gpiomem?")]
    Rppal { pin: u8, source: rppal::gpio::Error },
}

impl Error {
    fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::File { path, source }
    }
}

#[cfg(test)]
mod tests {
    use board_configs::{OutputLine, RppalOutput};

    use super::*;

    fn refusal(driver: &LedDriver) -> String {
        match open_lamp("status", driver, Path::new("/nonexistent")) {
            Ok(_) => panic!("this machine has such a part"),
            Err(error) => error.to_string(),
        }
    }

    /// rppal works on a Raspberry Pi whose kernel lets it, in a build that was asked for; elsewhere the box runs on and
    /// says which of the two it was.
    #[test]
    fn rppal_says_what_it_lacks() {
        let output = RppalOutput {
            pin: 17,
            active_low: false,
        };
        let said = refusal(&LedDriver::Rppal(output));
        let wanted = if cfg!(feature = "rppal") {
            "does the kernel offer /dev/gpiomem?"
        } else {
            "build with --features rppal, or use gpiocdev"
        };
        assert!(said.contains(wanted), "{said}");
    }

    #[test]
    fn a_missing_controller_is_named_with_those_that_are_there() {
        let line = OutputLine {
            chip: "no-such-controller".to_owned(),
            line: 5,
            active_low: false,
        };
        let said = refusal(&LedDriver::Gpiocdev(line));
        assert!(
            said.contains("\"no-such-controller\"") && said.contains("this kernel has: "),
            "{said}"
        );
    }
}
