//! The settings as TOML: read strictly, within bounds that no settings reach.

use std::path::Path;

use serde::de::DeserializeOwned;
use strict_toml::{Format, MAX_DEPTH};

pub use strict_toml::Mistake;

const SETTINGS: Format = Format {
    max_bytes: 256 * 1024,
    max_depth: MAX_DEPTH,
    is_secret,
};

/// Ways to reach somebody: their addresses are secrets, too, and a value in the wrong place may be one.
fn is_secret(key: &str) -> bool {
    let ends = ["notify", "webhook", "ntfy", "email", "password", "token", "url"];
    key.starts_with("notify") && ends.iter().any(|end| key.ends_with(end))
}

pub fn read<T: DeserializeOwned>(file: &Path) -> Result<T, Mistake> {
    SETTINGS.read(file)
}

pub fn parse<T: DeserializeOwned>(file: &Path, text: &str) -> Result<T, Mistake> {
    SETTINGS.parse(file, text.as_bytes())
}
