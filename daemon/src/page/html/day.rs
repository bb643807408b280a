//! The last 24 hours: messages by the hour, and storage.

use maud::{Markup, html};

use super::chart;
use crate::page::view::View;

pub(super) fn section(view: &View<'_>) -> Markup {
    html! {
        h2 { (view.words.page.last_day) }
        (content(view))
    }
}

fn content(view: &View<'_>) -> Markup {
    let (words, units) = (&view.words.page, &view.words.units);
    let seen: Vec<u64> = view.hours.iter().flatten().copied().collect();
    if seen.is_empty() {
        return empty(words.nothing_counted);
    }
    let seen_for = units.span(view.seen_for.as_secs() / 60 * 60);
    if seen.iter().all(|count| *count == 0) && view.snapshot.archive.envelopes == Some(0) {
        return empty(&words.nothing_came.fill(&[("span", &seen_for)]));
    }
    let most = seen.iter().copied().max().unwrap_or(0);
    let total: u64 = seen.iter().sum();
    let messages = words.bars_label.fill(&[
        ("hours", &seen.len()),
        ("total", &units.count(total)),
        ("most", &units.count(most)),
    ]);
    let present = view.sizes.last().map_or(0, |(_, bytes)| *bytes);
    let largest = view.sizes.iter().map(|(_, bytes)| *bytes).max().unwrap_or(0);
    let (present, largest) = (units.bytes(present), units.bytes(largest));
    let storage = words.area_label.fill(&[("now", &present), ("most", &largest)]);
    let busiest = words.busiest.fill(&[("count", &units.count(most))]);
    let seen_for = words.seen_for.fill(&[("span", &seen_for)]);
    html! {
        div class="charts" {
            (figure(view, words.by_hour, &busiest, &chart::bars(&view.hours, &messages)))
            (figure(view, words.by_size, &seen_for, &chart::area(&view.sizes, &storage)))
        }
    }
}

fn empty(text: &str) -> Markup {
    html! {
        p class="empty tall" { (text) }
    }
}

fn figure(view: &View<'_>, title: &str, aside: &str, chart: &Markup) -> Markup {
    let words = &view.words.page;
    html! {
        figure {
            figcaption { h3 { (title) } span { (aside) } }
            (chart)
            p class="axis" aria-hidden="true" { span { (words.day_ago) } span { (words.now) } }
        }
    }
}
