//! The configuration file's text: it is good, or there is one line that names the place.

use std::path::Path;

use pillarbox_mailserver::config;

const FILE: &str = "node.toml";

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Err(error) = config::read_text(Path::new(FILE), text) {
        let message = error.to_string();
        assert!(!message.contains('\n'), "one line: {message}");
        assert!(
            message.contains(FILE) || message.contains("--"),
            "names its place: {message}"
        );
    }
}
