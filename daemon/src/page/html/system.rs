//! The box itself: what it has, how much of it is used, and what it is.

use maud::{Markup, html};

use super::parts::fact;
use crate::page::view::View;
use crate::wording::Wording;

pub(super) fn section(view: &View<'_>) -> Markup {
    let (words, units) = (&view.words.page, &view.words.units);
    let system = &view.snapshot.system;
    let load = |load: [f64; 3]| load.map(|jobs| units.decimal(jobs, 2)).join(" \u{b7} ");
    html! {
        h2 { (words.system) }
        dl class="facts" {
            @if let Some(memory) = system.memory {
                (used(view.words, words.memory, memory.total_bytes, memory.available_bytes))
            }
            @if let Some(disk) = system.disk {
                (used(view.words, words.disk, disk.total_bytes, disk.available_bytes))
            }
            @if let Some(degrees) = system.temperature {
                (fact(words.processor, &format!("{degrees:.0}\u{a0}°C")))
            }
            @if let Some(averages) = system.load {
                (fact(words.load, &load(averages)))
            }
            (traffic(view))
            (fact(words.board, &view.snapshot.board))
            (fact(words.version, &view.snapshot.version))
            @if let Some(peer_id) = &view.snapshot.mailserver.peer_id {
                div { dt { (words.peer_id) } dd { code { (peer_id) } } }
            }
        }
    }
}

fn traffic(view: &View<'_>) -> Markup {
    let (words, units) = (&view.words.page, &view.words.units);
    let traffic = &view.snapshot.traffic;
    let (received, sent) = (units.bytes(traffic.received_bytes), units.bytes(traffic.sent_bytes));
    html! {
        @if traffic.month.is_some() {
            (fact(words.traffic, &words.in_and_out.fill(&[("received", &received), ("sent", &sent)])))
        }
        @if let Some(cap) = traffic.cap_kib_per_sec {
            (fact(words.bandwidth, &words.each_way.fill(&[("kib", &cap)])))
        }
    }
}

/// How much of something is used, with a bar.
fn used(wording: &Wording, name: &str, total: u64, available: u64) -> Markup {
    let units = &wording.units;
    let used = total.saturating_sub(available);
    let share = match total {
        0 => 0.0,
        total => used as f64 / total as f64 * 100.0,
    };
    let amounts = units
        .of_total
        .fill(&[("used", &units.bytes(used)), ("total", &units.bytes(total))]);
    html! {
        div {
            dt { (name) }
            dd {
                (amounts)
                svg class="meter" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true" {
                    rect class="all" width="100" height="4" {}
                    rect class="used" height="4" width=(format!("{share:.1}")) {}
                }
            }
        }
    }
}
