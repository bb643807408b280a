//! The four figures at a glance.

use maud::{Markup, html};

use super::parts::fact;
use crate::page::view::View;
use crate::page::{format, texts};

pub(super) fn section(view: &View<'_>) -> Markup {
    let snapshot = view.snapshot;
    let node = &snapshot.mailserver;
    let shown = |value: Option<String>| value.unwrap_or_else(|| texts::UNKNOWN.to_owned());
    let ways = node.peers_in.zip(node.peers_out);
    let peers = ways.map_or_else(|| texts::PEERS.to_owned(), |(came, went)| texts::peers(came, went));
    html! {
        h2 class="unseen-text" { (texts::MENU_FACTS) }
        dl class="tiles" {
            (fact(texts::KEPT, &shown(snapshot.archive.envelopes.map(format::count))))
            (fact(&peers, &shown(node.peers.map(format::count))))
            (fact(texts::STORAGE, &shown(snapshot.archive.bytes.map(format::bytes))))
            (fact(texts::RUNNING, &format::span(snapshot.uptime_secs)))
        }
    }
}
