//! GPIO lines by the kernel's character device: works on every board and needs no special kernel.

use std::path::PathBuf;
use std::time::Duration;

use board_configs::{InputLine, OutputLine, Pull};
use gpiocdev::line::{Bias, EdgeDetection, EdgeKind, EventClock, Value};
use gpiocdev::{Chip, Request};

use super::{Error, Lamp};
use crate::button::Edge;

/// How `gpioinfo` names the user of our lines.
const CONSUMER: &str = "pillarbox";

pub(super) struct GpioLamp {
    request: Request,
    chip: String,
    line: u32,
}

impl GpioLamp {
    pub(super) fn request(output: &OutputLine) -> Result<GpioLamp, Error> {
        let mut builder = Request::builder();
        builder
            .with_consumer(CONSUMER)
            .on_chip(find_chip(&output.chip)?)
            .with_line(output.line);
        builder.as_output(Value::Inactive);
        if output.active_low {
            builder.as_active_low();
        }
        let request = builder.request().map_err(line_error(&output.chip, output.line))?;
        Ok(GpioLamp {
            request,
            chip: output.chip.clone(),
            line: output.line,
        })
    }
}

impl Lamp for GpioLamp {
    fn set(&mut self, lit: bool) -> Result<(), Error> {
        let value = if lit { Value::Active } else { Value::Inactive };
        self.request
            .set_lone_value(value)
            .map_err(line_error(&self.chip, self.line))
    }
}

impl Drop for GpioLamp {
    fn drop(&mut self) {
        // A light that cannot be darkened any more cannot be helped either.
        let _ = self.set(false);
    }
}

pub(super) struct GpioButton {
    request: Request,
    chip: String,
    line: u32,
}

impl GpioButton {
    pub(super) fn request(input: &InputLine, debounce: Duration) -> Result<GpioButton, Error> {
        let mut builder = Request::builder();
        builder
            .with_consumer(CONSUMER)
            .on_chip(find_chip(&input.chip)?)
            .with_line(input.line);
        builder
            .as_input()
            .with_edge_detection(EdgeDetection::BothEdges)
            .with_event_clock(EventClock::Monotonic);
        builder.with_debounce_period(debounce);
        match input.pull {
            Pull::AsIs => {}
            Pull::Up => {
                builder.with_bias(Bias::PullUp);
            }
            Pull::Down => {
                builder.with_bias(Bias::PullDown);
            }
        }
        if input.active_low {
            builder.as_active_low();
        }
        let request = builder.request().map_err(line_error(&input.chip, input.line))?;
        Ok(GpioButton {
            request,
            chip: input.chip.clone(),
            line: input.line,
        })
    }

    /// The next edge with the kernel's own time stamp, or nothing within `wait`.
    pub(super) fn next_edge(&mut self, wait: Duration) -> Result<Option<Edge>, Error> {
        let error = line_error(&self.chip, self.line);
        let read = || {
            if !self.request.wait_edge_event(wait)? {
                return Ok(None);
            }
            self.request.read_edge_event().map(Some)
        };
        let event = read().map_err(error)?;
        Ok(event.map(|event| {
            let at = Duration::from_nanos(event.timestamp_ns);
            match event.kind {
                EdgeKind::Rising => Edge::Down { at },
                EdgeKind::Falling => Edge::Up { at },
            }
        }))
    }
}

/// The controller by label or name. Its number in `/dev` is no use: it changes from kernel to kernel.
fn find_chip(wanted: &str) -> Result<PathBuf, Error> {
    let mut present = Vec::new();
    for path in gpiocdev::chip::chips().unwrap_or_default() {
        let Ok(info) = Chip::from_path(&path).and_then(|chip| chip.info()) else {
            continue;
        };
        if info.label == wanted || info.name == wanted {
            return Ok(path);
        }
        present.push(format!("{:?}", info.label));
    }
    let present = if present.is_empty() {
        "none".to_owned()
    } else {
        present.join(", ")
    };
    Err(Error::NoChip {
        chip: wanted.to_owned(),
        present,
    })
}

fn line_error(chip: &str, line: u32) -> impl FnOnce(gpiocdev::Error) -> Error {
    let chip = chip.to_owned();
    move |source| Error::Line { chip, line, source }
}
