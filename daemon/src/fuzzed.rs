//! Everything that reads bytes which somebody else wrote, to be run on any bytes: in every test run over seeds and
//! mutations of them (`fuzz/tests/fuzzed`), and under libFuzzer by `scripts/campaign fuzz --of daemon`. What must hold is
//! asserted here; that nothing panics goes without saying.

use std::time::Duration;

use crate::backup::bundle::Bundle;
use crate::config::{self, duration, service::HttpAddress, service::OutputRules};
use crate::health::{network, node, system, writer};
use crate::indicator::Pattern;
use crate::page::http::{form, fuzzed as page, upload};
use crate::process::output::{Lines, Piece};
use crate::process::{cgroup, keeper, strip};
use crate::{address, control, redact};

/// A name, and what runs on any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// In the order of their names.
pub const TARGETS: [Target; 9] = [
    ("backup", backup),
    ("control", control),
    ("http", page::request),
    ("kernel", kernel),
    ("node", node),
    ("output", output),
    ("service", service),
    ("settings", settings),
    ("upload", upload),
];

/// What is read back is what was written.
fn backup(bytes: &[u8]) {
    if let Ok(bundle) = Bundle::parse(bytes) {
        let again = bundle.to_bytes().map(|bytes| Bundle::parse(&bytes));
        assert!(
            again.is_err() || again == Ok(Ok(bundle)),
            "another bundle than was written"
        );
    }
}

fn control(bytes: &[u8]) {
    let request = serde_json::from_slice::<control::Request>(bytes);
    if let Ok(text) = request.as_ref().map(serde_json::to_string) {
        let again = serde_json::from_str(&text.expect("a request is plain data"));
        assert_eq!(again.ok(), request.ok());
    }
    let _ = serde_json::from_slice::<control::Answer>(bytes);
}

/// Tables of proc and sys, and what is left in files for the daemon's next start.
fn kernel(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = (network::own_v4(&text), network::own_v6(&text));
    let _ = (network::gateway_v4(&text), network::gateway_v6(&text));
    let _ = (system::load(&text), system::memory(&text));
    let _ = (cgroup::mount_point(&text), keeper::parent_of(&text));
}

/// What a mailserver tells of itself.
fn node(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = (node::public(bytes), node::reachable(&text), writer::counts(&text));
    let _ = (address::of_multiaddr(&text), HttpAddress::parse(&text));
}

/// However it writes, a service's lines stay within their bounds, and nothing of them leaves the house whole.
fn output(bytes: &[u8]) {
    let rules = OutputRules {
        lines_per_sec: 8,
        line_bytes: 64,
    };
    let (mut lines, mut pieces) = (Lines::new(rules.clone()), Vec::new());
    for (second, part) in (0..).zip(bytes.chunks(256)) {
        lines.push(part, Duration::from_secs(second), &mut pieces);
    }
    lines.finish(Duration::MAX, &mut pieces);
    for piece in &pieces {
        if let Piece::Line(line) = piece {
            assert!(line.chars().count() <= rules.line_bytes + 1 && !line.contains(char::is_control));
            let _ = strip::strip(line);
        }
    }
    let text = String::from_utf8_lossy(bytes);
    let once = redact::redact(&text);
    assert_eq!(redact::redact(&once), once, "what was taken out is not taken out again");
}

fn service(bytes: &[u8]) {
    config::read_service(&String::from_utf8_lossy(bytes));
}

fn settings(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    config::read_main(&text);
    let _ = duration::parse(&text);
    if let Ok(pattern) = text.parse::<Pattern>() {
        assert_eq!(pattern.to_string(), text, "a pattern's only name");
    }
}

/// Bodies of the page's forms; the first line is the kind of body that a browser names.
fn upload(bytes: &[u8]) {
    let _ = form::fields(bytes);
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (kind, body) = bytes.split_at(end);
    let body = body.strip_prefix(b"\n").unwrap_or(body).to_vec();
    let _ = futures::executor::block_on(upload::read(&String::from_utf8_lossy(kind), body.into()));
}
