//! The four figures at a glance.

use maud::{Markup, html};

use super::parts::fact;
use crate::page::view::View;
use crate::wording::UNKNOWN;

pub(super) fn section(view: &View<'_>) -> Markup {
    let (words, units) = (&view.words.page, &view.words.units);
    let snapshot = view.snapshot;
    let node = &snapshot.mailserver;
    let shown = |value: Option<String>| value.unwrap_or_else(|| UNKNOWN.to_owned());
    let ways = node.peers_in.zip(node.peers_out);
    let peers = ways.map_or_else(
        || words.peers_connected.to_owned(),
        |(inbound, outbound)| {
            words
                .peers_by_way
                .fill(&[("inbound", &inbound), ("outbound", &outbound)])
        },
    );
    html! {
        h2 class="unseen-text" { (words.at_a_glance) }
        dl class="tiles" {
            (fact(words.messages_kept, &shown(snapshot.archive.envelopes.map(|count| units.count(count)))))
            (fact(&peers, &shown(node.peers.map(|count| units.count(count)))))
            (fact(words.storage_used, &shown(snapshot.archive.bytes.map(|bytes| units.bytes(bytes)))))
            (fact(words.running_for, &units.span(snapshot.uptime_secs)))
        }
    }
}
