//! What a board is: its LEDs, its button and the drivers they need, read from one small TOML file a board.
//!
//! A file lists only how it differs: it starts from `boards/common.toml`, or from the file that `like` names. What is
//! merged is typed, so a mistake is reported with its file, line and key. No pin number stands anywhere else in the
//! project. A pin that is claimed twice, or that the board needs for itself, is refused here and not on the board.
//!
//! The boards that ship are compiled in ([`Board::named`]); a person's own board is a file ([`Board::from_file`]).

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]
#![warn(missing_docs)]

mod check;
mod file;
#[cfg(feature = "fuzzed")]
pub mod fuzzed;
mod image;
mod pins;
mod shipped;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use image::{BootFile, Image, Loader, PartitionTable};
pub use shipped::{markdown, names};

/// The longest file of one's own: the longest that ships has two.
const MAX_KIB: u64 = 64;

/// One board, complete and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Board {
    /// The file's name without `.toml`.
    pub name: String,
    /// What a person calls it.
    pub title: String,
    /// What its programs are compiled for.
    pub arch: Arch,
    /// How far it is known to work.
    pub proof: Proof,
    /// LEDs by name, in order of name.
    pub leds: BTreeMap<String, Led>,
    /// Its button, if it has one.
    pub button: Option<Button>,
    /// What its card holds; none for what is never flashed.
    pub image: Option<Image>,
}

/// What the programs of this board are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arch {
    /// Whatever the build runs on.
    Native,
    /// 64-bit ARM.
    Arm64,
}

/// What is known to work, said as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// Written from documents and device trees; nobody has run it on the board yet.
    Untested,
    /// Booted and driven by the tests in an emulator.
    Emulated,
    /// Run by every run of the test suite.
    TestSuite,
    /// Run on the real board.
    Hardware,
}

/// A light.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Led {
    /// What it tells.
    pub shows: Shows,
    /// How it is switched.
    pub driver: LedDriver,
}

/// Which part of the box's state an LED shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shows {
    /// State and fault codes: the only light, or the board's own.
    All,
    /// Lit while the box does its job, dark when it does not.
    State,
    /// Fault codes only, dark while all is well.
    Fault,
}

/// How a light is switched.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum LedDriver {
    /// A file in the state directory, for development and tests.
    Simulated,
    /// A line of a GPIO controller, by the kernel's character device.
    Gpiocdev(OutputLine),
    /// An LED that the kernel knows already, in `/sys/class/leds`.
    LedsClass(LedsClass),
    /// A Raspberry Pi's pin by the rppal library; works only where the kernel offers `/dev/gpiomem`.
    Rppal(RppalOutput),
}

/// A line of a GPIO controller that drives a light.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputLine {
    /// The controller's label or name, as `gpiodetect` shows it; the board's `gpio_chip` when absent.
    #[serde(default)]
    pub chip: String,
    /// The line's number on the controller.
    pub line: u32,
    /// Lit when the line is low.
    #[serde(default)]
    pub active_low: bool,
}

/// A light that the kernel drives.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedsClass {
    /// The directory's name in `/sys/class/leds`.
    pub name: String,
}

/// A Raspberry Pi's pin that drives a light.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RppalOutput {
    /// Broadcom's number of the pin.
    pub pin: u8,
    /// Lit when the pin is low.
    #[serde(default)]
    pub active_low: bool,
}

/// The board's button.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Button {
    /// How it is read.
    pub driver: ButtonDriver,
    /// How long a level must hold before the kernel reports it.
    pub debounce: Duration,
}

/// How a button is read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ButtonDriver {
    /// A FIFO in the state directory that takes the lines `down` and `up`.
    Simulated,
    /// A line of a GPIO controller, by the kernel's character device.
    Gpiocdev(InputLine),
}

/// A line of a GPIO controller that a button pulls.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputLine {
    /// As in [`OutputLine::chip`].
    #[serde(default)]
    pub chip: String,
    /// The line's number on the controller.
    pub line: u32,
    /// Pressed when the line is low.
    #[serde(default)]
    pub active_low: bool,
    /// What the line is when nobody presses.
    #[serde(default)]
    pub pull: Pull,
}

/// The resistor that holds an open button's line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pull {
    /// Whatever the line has now.
    #[default]
    AsIs,
    /// High.
    Up,
    /// Low.
    Down,
}

impl Board {
    /// A board that ships, by name.
    pub fn named(name: &str) -> Result<Board, Error> {
        let text = shipped::text(name).ok_or_else(|| Error::Unknown {
            name: name.to_owned(),
            known: names().join(", "),
        })?;
        file::assemble(name, &PathBuf::from(format!("{name}.toml")), text)
    }

    /// A board of one's own. `like` in it may name any file that ships.
    pub fn from_file(path: &Path) -> Result<Board, Error> {
        let unreadable = |source| Error::Unreadable {
            path: path.to_owned(),
            source,
        };
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(MAX_KIB * 1024 + 1)
            .read_to_string(&mut text)
            .map_err(unreadable)?;
        if text.len() as u64 > MAX_KIB * 1024 {
            return Err(Error::TooLong { path: path.to_owned() });
        }
        let name = path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
            .unwrap_or_default();
        file::assemble(&name, path, &text)
    }

    /// What a configuration's `board` key says: a shipped board's name, or the path of a file (it has a `/` or ends
    /// in `.toml`).
    pub fn find(name_or_path: &str) -> Result<Board, Error> {
        if name_or_path.contains('/') || name_or_path.ends_with(".toml") {
            Board::from_file(Path::new(name_or_path))
        } else {
            Board::named(name_or_path)
        }
    }
}

/// Why a board cannot be used. Each says which file, which key and how to mend it.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what is wrong, and where")]
pub enum Error {
    #[error("no board is called {name:?}; the boards are: {known}; a file of your own needs a path with a `/`")]
    Unknown { name: String, known: String },
    #[error("the board's file {} cannot be read: {source}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("the board's file {} is longer than {MAX_KIB} KiB; a board's file says only what is different", path.display())]
    TooLong { path: PathBuf },
    #[error("the board's file is not usable: {0}")]
    Malformed(#[from] strict_toml::Mistake),
    #[error("{}: `like = {like:?}` names no file that ships; leave it out, or use one of: {known}", path.display())]
    NoSuchBase { path: PathBuf, like: String, known: String },
    #[error("{}: `like = {like:?}` leads back to itself; leave it out", path.display())]
    Circular { path: PathBuf, like: String },
    #[error("{}: {key} is missing; add it", path.display())]
    Missing { path: PathBuf, key: String },
    #[error("{}: {first} and {second} both use {pin}; give one of them another", path.display())]
    PinTwice {
        path: PathBuf,
        pin: String,
        first: String,
        second: String,
    },
    #[error("{}: {user} uses {pin}, which the board needs for {why}; choose another", path.display())]
    PinReserved {
        path: PathBuf,
        pin: String,
        user: String,
        why: String,
    },
    #[error("{}: {key} = {value:?}: {expected}", path.display())]
    BadValue {
        path: PathBuf,
        key: String,
        value: String,
        expected: &'static str,
    },
}
