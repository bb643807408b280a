//! The last 24 hours: messages by the hour, and storage.

use maud::{Markup, html};

use super::chart;
use crate::page::view::View;
use crate::page::{format, texts};

pub(super) fn section(view: &View<'_>) -> Markup {
    html! {
        h2 { (texts::LAST_DAY) }
        (content(view))
    }
}

fn content(view: &View<'_>) -> Markup {
    let seen: Vec<u64> = view.hours.iter().flatten().copied().collect();
    if seen.is_empty() {
        return empty(texts::NOTHING_COUNTED);
    }
    let seen_for = format::span(view.seen_for.as_secs() / 60 * 60);
    if seen.iter().all(|count| *count == 0) && view.snapshot.archive.envelopes == Some(0) {
        return empty(&texts::nothing_came(&seen_for));
    }
    let most = seen.iter().copied().max().unwrap_or(0);
    let messages = texts::bars_label(seen.len(), seen.iter().sum(), most);
    let present = view.sizes.last().map_or(0, |(_, bytes)| *bytes);
    let largest = view.sizes.iter().map(|(_, bytes)| *bytes).max().unwrap_or(0);
    let storage = texts::area_label(&format::bytes(present), &format::bytes(largest));
    html! {
        div class="charts" {
            (figure(texts::BY_HOUR, &texts::busiest(&format::count(most)), &chart::bars(&view.hours, &messages)))
            (figure(texts::BY_SIZE, &texts::seen_for(&seen_for), &chart::area(&view.sizes, &storage)))
        }
    }
}

fn empty(text: &str) -> Markup {
    html! {
        p class="empty tall" { (text) }
    }
}

fn figure(title: &str, aside: &str, chart: &Markup) -> Markup {
    html! {
        figure {
            figcaption { h3 { (title) } span { (aside) } }
            (chart)
            p class="axis" aria-hidden="true" { span { (texts::DAY_AGO) } span { (texts::NOW) } }
        }
    }
}
