//! A snapshot as text for a terminal. Nothing is computed here that the page would not show too.

use std::fmt::Write;

use crate::clock::utc_of;
use crate::fault::Fault;
use crate::indicator::words;
use crate::log::Entry;
use crate::snapshot::{Level, Snapshot};
use crate::wording::ENGLISH;

pub(super) fn status(snapshot: &Snapshot) -> String {
    let mut text = format!("{}: {}\n", named(&snapshot.state), snapshot.reason);
    if let Some(fault) = snapshot.code.and_then(Fault::from_code) {
        let words = fault.in_words(&ENGLISH);
        line(&mut text, "code", &format!("{} ({})", fault.code(), words.title));
        line(&mut text, "what to do", words.fix);
    }
    line(
        &mut text,
        "version",
        &format!("{} on {}", snapshot.version, snapshot.board),
    );
    line(&mut text, "running for", &duration(snapshot.uptime_secs));
    for service in &snapshot.services {
        let restarts = if service.restarts > 0 {
            format!(", {} restarts", service.restarts)
        } else {
            String::new()
        };
        line(
            &mut text,
            &service.name,
            &format!("{}{restarts}", named(&service.state)),
        );
    }
    for asker in &snapshot.asking {
        line(&mut text, "waiting", &asker.in_words(&ENGLISH));
    }
    let archive = &snapshot.archive;
    if let (Some(envelopes), Some(bytes)) = (archive.envelopes, archive.bytes) {
        line(
            &mut text,
            "archive",
            &format!("{envelopes} envelopes, {} KiB", bytes / 1024),
        );
    }
    line(&mut text, "deleted", &format!("{} envelopes", archive.pruned_total));
    if let Some(peers) = snapshot.mailserver.peers {
        line(&mut text, "peers", &peers.to_string());
    }
    text
}

/// The browsers that request access, in the order of their turns.
pub(super) fn asking(snapshot: &Snapshot) -> String {
    if snapshot.asking.is_empty() {
        return "No browser is requesting access. Open the page and request access there first.\n".to_owned();
    }
    let askers = snapshot.asking.iter();
    let mut text: String = askers.map(|asker| asker.in_words(&ENGLISH) + "\n").collect();
    text.push_str("To grant access, check that the browser shows the number, then run: pillarbox unlock NUMBER\n");
    text
}

pub(super) fn services(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    for service in &snapshot.services {
        let pid = service.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        let reason = service.reason.as_ref().map(ToString::to_string).unwrap_or_default();
        let row = format!(
            "{:12} pid {pid:>7}  restarts {:>4}  {reason}",
            named(&service.state),
            service.restarts
        );
        line(&mut text, &service.name, row.trim_end());
    }
    text
}

pub(super) fn health(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    for (subject, finding) in &snapshot.health {
        match finding {
            Some(finding) => {
                let mark = match finding.level {
                    Level::Ok => "ok  ",
                    Level::Warn => "warn",
                    Level::Bad => "bad ",
                };
                line(&mut text, &named(subject), &format!("{mark} {}", finding.detail));
            }
            None => line(&mut text, &named(subject), "not known"),
        }
    }
    text
}

pub(super) fn peers(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    let mailserver = &snapshot.mailserver;
    let peers = mailserver
        .peers
        .map_or_else(|| "not known".to_owned(), |peers| peers.to_string());
    let ways = mailserver.peers_in.zip(mailserver.peers_out);
    let ways = ways.map_or_else(String::new, |(came, went)| format!(" ({came} in, {went} out)"));
    line(&mut text, "connected", &format!("{peers}{ways}"));
    line(
        &mut text,
        "peer id",
        mailserver.peer_id.as_deref().unwrap_or("not known"),
    );
    for address in &mailserver.multiaddrs {
        line(&mut text, "address", address);
    }
    text
}

pub(super) fn leds(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    for (name, pattern) in &snapshot.leds {
        let (short, looks) = (pattern.to_string(), words::looks(*pattern, &ENGLISH));
        let means = words::means(*pattern, &ENGLISH);
        line(&mut text, name, &format!("{short:12} {looks}. {means}"));
    }
    text
}

pub(super) fn logs(entries: &[Entry]) -> String {
    let mut text = String::new();
    for entry in entries {
        let who = entry.service.as_deref().unwrap_or("pillarboxd");
        // Writing to a String does not fail.
        let _ = writeln!(text, "{} {:5} {who}: {}", utc_of(entry.at), entry.level, entry.text);
    }
    text
}

fn line(text: &mut String, name: &str, value: &str) {
    // Writing to a String does not fail.
    let _ = writeln!(text, "{name:>12}  {value}");
}

/// An enum's name as it is in the JSON.
fn named<T: serde::Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        _ => "?".to_owned(),
    }
}

fn duration(secs: u64) -> String {
    let (days, hours, minutes) = (secs / 86_400, secs / 3600 % 24, secs / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{secs} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detail::Detail;
    use crate::snapshot::BoxState;

    #[test]
    fn a_failed_box_says_what_to_do() {
        let mut snapshot = Snapshot::at_start("dev");
        snapshot.state = BoxState::Failed;
        snapshot.code = Some(1);
        snapshot.reason = Detail::said("mailserver ended with exit 1: port 60000 is in use");
        let text = status(&snapshot);
        assert!(
            text.starts_with("failed: mailserver ended with exit 1: port 60000 is in use\n"),
            "{text}"
        );
        assert!(text.contains(Fault::ServiceDown.in_words(&ENGLISH).fix), "{text}");
    }

    #[test]
    fn durations() {
        for (secs, wanted) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3660, "1 h 1 min"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(duration(secs), wanted);
        }
    }
}
