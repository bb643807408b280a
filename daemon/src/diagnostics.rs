//! The report for somebody who helps: state and recent log, with what must not leave the home network taken out.

use crate::clock::utc_of;
use crate::log::Logbook;
use crate::redact::redact;
use crate::snapshot::Snapshot;

const HEAD: &str = "Report of a Pillarbox. Public addresses, keys and full peer IDs were removed.";

pub(crate) fn report(snapshot: &Snapshot, log: &Logbook) -> String {
    let status = serde_json::to_string_pretty(snapshot).unwrap_or_default();
    let mut text = format!("{HEAD}\n\n{status}\n\n");
    for entry in log.last(usize::MAX, None) {
        let service = entry.service.as_deref().unwrap_or("pillarboxd");
        let at = utc_of(entry.at);
        text.push_str(&format!("{at} {} {service}: {}\n", entry.level, entry.text));
    }
    redact(&text)
}
