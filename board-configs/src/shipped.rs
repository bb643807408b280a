//! The files that ship, compiled in: a box must know its board even when its disk cannot be read.

use crate::{Board, ButtonDriver, LedDriver, Proof, Shows};

/// What the files of real boards start from, by the name that `like` gives.
const BASES: &[(&str, &str)] = &[
    ("common", include_str!("../boards/common.toml")),
    ("raspberry-pi", include_str!("../boards/raspberry-pi.toml")),
    ("raspberry-pi-act", include_str!("../boards/raspberry-pi-act.toml")),
    ("raspberry-pi-card", include_str!("../boards/raspberry-pi-card.toml")),
    ("single-board-card", include_str!("../boards/single-board-card.toml")),
];

const BOARDS: &[(&str, &str)] = &[
    ("dev", include_str!("../boards/dev.toml")),
    ("pine-a64-lts", include_str!("../boards/pine-a64-lts.toml")),
    ("qemu-raspi3b", include_str!("../boards/qemu-raspi3b.toml")),
    ("qemu-virt", include_str!("../boards/qemu-virt.toml")),
    ("rockpro64", include_str!("../boards/rockpro64.toml")),
    ("rpi-3", include_str!("../boards/rpi-3.toml")),
    ("rpi-4", include_str!("../boards/rpi-4.toml")),
    ("rpi-5", include_str!("../boards/rpi-5.toml")),
    ("rpi-zero-2-w", include_str!("../boards/rpi-zero-2-w.toml")),
];

/// The names of the boards that ship.
pub fn names() -> Vec<&'static str> {
    BOARDS.iter().map(|(name, _)| *name).collect()
}

pub(crate) fn text(name: &str) -> Option<&'static str> {
    BOARDS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// What `like` may name: a base or another board.
pub(crate) fn base(name: &str) -> Option<&'static str> {
    BASES
        .iter()
        .chain(BOARDS)
        .find(|(known, _)| *known == name)
        .map(|(_, text)| *text)
}

pub(crate) fn base_names() -> String {
    BASES
        .iter()
        .chain(BOARDS)
        .map(|(name, _)| *name)
        .collect::<Vec<_>>()
        .join(", ")
}

/// The boards as a Markdown table, for the README.
pub fn markdown() -> String {
    let mut out = String::from("| board | name | lights | button | tested |\n|---|---|---|---|---|\n");
    for name in names() {
        let board = Board::named(name).expect("a test reads every board that ships");
        let lights: Vec<String> = board.leds.values().map(light).collect();
        let button = match board.button.map(|button| button.driver) {
            None => "none".to_owned(),
            Some(ButtonDriver::Simulated) => "simulated".to_owned(),
            Some(ButtonDriver::Gpiocdev(line)) => format!("GPIO {}", line.line),
        };
        let proof = match board.proof {
            Proof::Untested => "not on hardware yet",
            Proof::Emulated => "in an emulator",
            Proof::TestSuite => "by every test run",
            Proof::Hardware => "on the board",
        };
        out.push_str(&format!(
            "| {} | `{name}` | {} | {button} | {proof} |\n",
            board.title,
            lights.join(", ")
        ));
    }
    out
}

fn light(led: &crate::Led) -> String {
    let what = match led.shows {
        Shows::All => "state and codes",
        Shows::State => "state",
        Shows::Fault => "codes",
    };
    match &led.driver {
        LedDriver::Simulated => format!("simulated ({what})"),
        LedDriver::Gpiocdev(line) => format!("GPIO {} ({what})", line.line),
        LedDriver::LedsClass(led) => format!("its own {} ({what})", led.name),
        LedDriver::Rppal(pin) => format!("GPIO {} ({what})", pin.pin),
    }
}
