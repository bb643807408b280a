//! A board's file, to be run on any bytes: in every test run over seeds and mutations of them (`fuzz/tests/fuzzed`), and
//! under libFuzzer by `scripts/campaign fuzz --of board-configs`. What must hold is asserted here; that nothing panics
//! goes without saying.

use std::path::{Component, Path};

use crate::{Board, Image, LedDriver, file};

/// A name, and what runs on any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// In the order of their names.
pub const TARGETS: [Target; 1] = [("board", board)];

fn board(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match file::assemble("mine", Path::new("mine.toml"), text) {
        Ok(board) => usable(&board),
        Err(error) => {
            let said = error.to_string();
            let unclear = |letter: char| letter.is_control() && letter != '\n';
            assert!(said.contains("mine.toml") && !said.contains(unclear), "{said:?}");
        }
    }
}

fn usable(board: &Board) {
    for (name, led) in &board.leds {
        match &led.driver {
            LedDriver::Gpiocdev(line) => assert!(!line.chip.is_empty(), "{name}"),
            LedDriver::LedsClass(led) => assert!(below(&led.name), "{name}"),
            LedDriver::Simulated | LedDriver::Rppal(_) => {}
        }
    }
    if let Some(image) = &board.image {
        built(image);
    }
}

/// What image-builder joins to a path or writes into a script stays there.
fn built(image: &Image) {
    let files = image.boot_files.iter().flat_map(|file| [&file.from, &file.to]);
    let paths = files
        .chain(image.loaders.iter().map(|loader| &loader.from))
        .chain(&image.device_trees)
        .chain(&image.modules)
        .chain(&image.firmware);
    for path in paths {
        assert!(below(path), "{path}");
    }
    for word in image.kernel_arguments.iter().chain(&image.consoles) {
        let ends = |letter: char| letter.is_whitespace() || "\"$;\\'".contains(letter);
        assert!(!word.contains(ends), "{word}");
    }
    assert!(
        image
            .loaders
            .iter()
            .all(|loader| loader.sector.checked_mul(512).is_some())
    );
}

fn below(path: &str) -> bool {
    let mut parts = Path::new(path).components().peekable();
    parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
}
