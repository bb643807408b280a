//! The command line: one argument a line. Files are not read: what is fuzzed is the parser.

use pillarbox_mailserver::config;

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let args: Vec<String> = text
        .lines()
        .filter(|line| !line.contains("config-file"))
        .map(str::to_owned)
        .collect();
    if let Err(error) = config::read(&args) {
        assert!(!error.to_string().contains('\n'), "one line: {error}");
    }
}
