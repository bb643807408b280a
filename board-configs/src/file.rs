//! One file as it is written, and how files become a board: the chain of `like` is read from the far end, and each
//! nearer file overrides what the farther ones said. LEDs are overridden by name and as a whole.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use strict_toml::{Format, MAX_DEPTH};

use crate::check::Checker;
use crate::image::{self, ImagePart};
use crate::pins::{self, Reserved};
use crate::shipped;
use crate::{Arch, Board, Button, ButtonDriver, Error, Led, LedDriver, Proof};

/// What every chain ends in.
const COMMON: &str = "common";
/// Longer bouncing is a broken button; shorter than a millisecond is no filter.
const DEBOUNCE_MS: std::ops::RangeInclusive<u64> = 1..=200;
/// More lights than anybody reads.
const MAX_LEDS: usize = 8;
/// A title stands in the page's head, and names in messages.
const MAX_NAME_BYTES: usize = 80;
/// Its length is seen to where it is read; nothing in it is a secret.
const FORMAT: Format = Format {
    max_bytes: crate::MAX_KIB as usize * 1024,
    max_depth: MAX_DEPTH,
    is_secret: |_| false,
};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    like: Option<String>,
    title: Option<String>,
    arch: Option<Arch>,
    proof: Option<Proof>,
    gpio_chip: Option<String>,
    #[serde(default)]
    leds: BTreeMap<String, Led>,
    button: Option<ButtonPart>,
    #[serde(default)]
    reserved: Vec<Reserved>,
    image: Option<ImagePart>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ButtonPart {
    driver: Option<ButtonDriver>,
    debounce_ms: Option<u64>,
}

pub(crate) fn assemble(name: &str, path: &Path, text: &str) -> Result<Board, Error> {
    let mut merged = parse(path, text)?;
    let mut seen = Vec::new();
    loop {
        let like = merged.like.take().unwrap_or_else(|| COMMON.to_owned());
        if seen.contains(&like) {
            return Err(Error::Circular {
                path: path.to_owned(),
                like,
            });
        }
        let text = shipped::base(&like).ok_or_else(|| Error::NoSuchBase {
            path: path.to_owned(),
            like: like.clone(),
            known: shipped::base_names(),
        })?;
        let base = parse(&PathBuf::from(format!("{like}.toml")), text)?;
        merged = over(merged, base);
        if like == COMMON {
            break;
        }
        seen.push(like);
    }
    board(name, path, merged)
}

fn parse(path: &Path, text: &str) -> Result<File, Error> {
    Ok(FORMAT.parse(path, text.as_bytes())?)
}

/// `near` laid over `far`; `like` is the far one's, which leads on.
fn over(near: File, far: File) -> File {
    let mut leds = far.leds;
    leds.extend(near.leds);
    let mut reserved = far.reserved;
    reserved.extend(near.reserved);
    let button = match (near.button, far.button) {
        (Some(near), Some(far)) => Some(ButtonPart {
            driver: near.driver.or(far.driver),
            debounce_ms: near.debounce_ms.or(far.debounce_ms),
        }),
        (near, far) => near.or(far),
    };
    File {
        like: far.like,
        title: near.title.or(far.title),
        arch: near.arch.or(far.arch),
        proof: near.proof.or(far.proof),
        gpio_chip: near.gpio_chip.or(far.gpio_chip),
        leds,
        button,
        reserved,
        image: image::over(near.image, far.image),
    }
}

fn board(name: &str, path: &Path, file: File) -> Result<Board, Error> {
    let checker = Checker { path };
    let own_chip = file.gpio_chip.as_deref();
    let leds = leds(&checker, own_chip, file.leds)?;
    let button = button(&checker, own_chip, file.button.unwrap_or_default())?;
    let title = checker.present("title", file.title)?;
    if !readable(&title) {
        return Err(checker.bad("title", &title, "use one line of 1 to 80 bytes"));
    }
    let board = Board {
        name: name.to_owned(),
        title,
        arch: checker.present("arch", file.arch)?,
        proof: checker.present("proof", file.proof)?,
        leds,
        button,
        image: file.image.map(|part| image::complete(part, &checker)).transpose()?,
    };
    pins::check(&board, path, own_chip.unwrap_or_default(), &file.reserved)?;
    Ok(board)
}

fn leds(
    checker: &Checker,
    own_chip: Option<&str>,
    mut leds: BTreeMap<String, Led>,
) -> Result<BTreeMap<String, Led>, Error> {
    if leds.len() > MAX_LEDS {
        return Err(checker.bad("leds", &leds.len().to_string(), "use 8 at most"));
    }
    for (name, led) in &mut leds {
        if !plain(name) {
            let expected = "an LED's name has small letters, digits and `-` only, and 80 at most";
            return Err(checker.bad("leds", name, expected));
        }
        match &mut led.driver {
            LedDriver::Gpiocdev(line) => fill(&mut line.chip, own_chip)
                .ok_or_else(|| checker.missing(&format!("gpio_chip (leds.{name} needs it)")))?,
            LedDriver::LedsClass(own)
                if !readable(&own.name) || own.name.contains('/') || own.name.starts_with('.') =>
            {
                let key = format!("leds.{name}.driver.leds-class.name");
                return Err(checker.bad(&key, &own.name, "use the name of a directory in /sys/class/leds"));
            }
            LedDriver::LedsClass(_) | LedDriver::Simulated | LedDriver::Rppal(_) => {}
        }
    }
    Ok(leds)
}

fn button(checker: &Checker, own_chip: Option<&str>, part: ButtonPart) -> Result<Option<Button>, Error> {
    let Some(mut driver) = part.driver else {
        return Ok(None);
    };
    if let ButtonDriver::Gpiocdev(line) = &mut driver {
        fill(&mut line.chip, own_chip).ok_or_else(|| checker.missing("gpio_chip (the button needs it)"))?;
    }
    let debounce_ms = checker.present("button.debounce_ms", part.debounce_ms)?;
    if !DEBOUNCE_MS.contains(&debounce_ms) {
        return Err(checker.bad("button.debounce_ms", &debounce_ms.to_string(), "use 1 to 200"));
    }
    Ok(Some(Button {
        driver,
        debounce: Duration::from_millis(debounce_ms),
    }))
}

/// Sets an absent chip to the board's.
fn fill(chip: &mut String, own_chip: Option<&str>) -> Option<()> {
    if chip.is_empty() {
        own_chip?.clone_into(chip);
    }
    Some(())
}

/// An LED's name is also a file's name and a key in `/status.json`.
fn plain(name: &str) -> bool {
    readable(name)
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn readable(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_NAME_BYTES && !text.contains(char::is_control)
}
