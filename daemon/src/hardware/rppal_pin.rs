//! A Raspberry Pi's pins through rppal, which maps the GPIO block itself: only for kernels that offer `/dev/gpiomem`.

use board_configs::RppalOutput;
use rppal::gpio::{Gpio, OutputPin};

use super::{Error, Lamp};

pub(super) struct RppalLamp {
    pin: OutputPin,
    active_low: bool,
}

impl RppalLamp {
    pub(super) fn open(output: &RppalOutput) -> Result<RppalLamp, Error> {
        let error = |source| Error::Rppal {
            pin: output.pin,
            source,
        };
        let pin = Gpio::new().and_then(|gpio| gpio.get(output.pin)).map_err(error)?;
        let pin = if output.active_low {
            pin.into_output_high()
        } else {
            pin.into_output_low()
        };
        Ok(RppalLamp {
            pin,
            active_low: output.active_low,
        })
    }
}

impl Lamp for RppalLamp {
    fn set(&mut self, lit: bool) -> Result<(), Error> {
        if lit != self.active_low {
            self.pin.set_high();
        } else {
            self.pin.set_low();
        }
        Ok(())
    }
}
