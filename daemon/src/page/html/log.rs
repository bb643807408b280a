//! The last log lines; what must not leave the house is not shown to the LAN either.

use maud::{Markup, html};

use super::parts::{ago, foreign_tag};
use crate::log::Entry;
use crate::page::view::View;
use crate::redact::redact;

pub(super) fn section(view: &View<'_>) -> Markup {
    html! {
        h2 { (view.words.page.log) }
        @if view.log.is_empty() {
            p class="empty" { (view.words.page.no_log) }
        } @else {
            ol class="log" {
                @for entry in &view.log {
                    (line(view, entry))
                }
            }
        }
    }
}

fn line(view: &View<'_>, entry: &Entry) -> Markup {
    let tone = match entry.level.as_str() {
        "error" => "tone-bad",
        "warn" => "tone-warn",
        _ => "tone-off",
    };
    html! {
        li class=(tone) {
            span class="when" { (ago(view, entry.at)) }
            " "
            b { (entry.service.as_deref().unwrap_or(view.words.page.log_of_box)) }
            " "
            code lang=[foreign_tag(view.words)] { (redact(&entry.text)) }
        }
    }
}
