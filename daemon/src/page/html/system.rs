//! The box itself: what it has, how much of it is used, and what it is.

use maud::{Markup, html};

use super::parts::fact;
use crate::page::view::View;
use crate::page::{format, texts};

pub(super) fn section(view: &View<'_>) -> Markup {
    let system = &view.snapshot.system;
    html! {
        h2 { (texts::SYSTEM) }
        dl class="facts" {
            @if let Some(memory) = system.memory {
                (used(texts::MEMORY, memory.total_bytes, memory.available_bytes))
            }
            @if let Some(disk) = system.disk {
                (used(texts::DISK, disk.total_bytes, disk.available_bytes))
            }
            @if let Some(degrees) = system.temperature {
                (fact(texts::TEMPERATURE, &format!("{degrees:.0}\u{a0}°C")))
            }
            @if let Some([one, five, fifteen]) = system.load {
                (fact(texts::LOAD, &format!("{one:.2} \u{b7} {five:.2} \u{b7} {fifteen:.2}")))
            }
            (traffic(view))
            (fact(texts::BOARD, &view.snapshot.board))
            (fact(texts::VERSION, &view.snapshot.version))
            @if let Some(peer_id) = &view.snapshot.mailserver.peer_id {
                div { dt { (texts::PEER_ID) } dd { code { (peer_id) } } }
            }
        }
    }
}

fn traffic(view: &View<'_>) -> Markup {
    let traffic = &view.snapshot.traffic;
    let amounts = || {
        texts::in_and_out(
            &format::bytes(traffic.received_bytes),
            &format::bytes(traffic.sent_bytes),
        )
    };
    html! {
        @if traffic.month.is_some() {
            (fact(texts::TRAFFIC, &amounts()))
        }
        @if let Some(cap) = traffic.cap_kib_per_sec {
            (fact(texts::CAP, &texts::each_way(cap)))
        }
    }
}

/// How much of something is used, with a bar.
fn used(name: &str, total: u64, available: u64) -> Markup {
    let used = total.saturating_sub(available);
    let share = if total == 0 {
        0.0
    } else {
        used as f64 / total as f64 * 100.0
    };
    html! {
        div {
            dt { (name) }
            dd {
                (texts::of_total(&format::bytes(used), &format::bytes(total)))
                svg class="meter" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true" {
                    rect class="all" width="100" height="4" {}
                    rect class="used" height="4" width=(format!("{share:.1}")) {}
                }
            }
        }
    }
}
