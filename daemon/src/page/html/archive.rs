//! What is kept, for how long, and what became of the rest.

use maud::{Markup, html};

use super::names;
use super::parts::{ago, fact, foreign};
use crate::page::view::View;
use crate::snapshot::WriterStatus;
use crate::wording::{UNKNOWN, Wording};

pub(super) fn section(view: &View<'_>) -> Markup {
    let (words, units) = (&view.words.page, &view.words.units);
    let archive = &view.snapshot.archive;
    let shown = |value: Option<String>| value.unwrap_or_else(|| UNKNOWN.to_owned());
    let when = |then: Option<i64>| shown(then.map(|then| ago(view, then)));
    let retention = archive.retention_secs.map(|secs| view.words.retention(secs));
    html! {
        h2 { (words.archive) }
        dl class="facts" {
            (fact(words.retention, &shown(retention)))
            (fact(words.oldest, &when(archive.oldest)))
            (fact(words.newest, &when(archive.newest)))
            (fact(words.pruned, &units.count(archive.pruned_total)))
            (fact(words.last_prune, &when(archive.last_prune)))
            (written(&archive.writer, view.words))
            @if !archive.newer.is_empty() {
                (fact(words.newer, &units.count(archive.newer.len() as u64)))
            }
            @if !archive.quarantined.is_empty() {
                div {
                    dt { (words.set_aside) }
                    dd {
                        ul {
                            @for file in &archive.quarantined {
                                li { code { (file.file) } " " (foreign(view, &file.reason)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What the archive's writer counts, as far as it does.
fn written(writer: &WriterStatus, wording: &Wording) -> Markup {
    let (words, units) = (&wording.page, &wording.units);
    let ratio = writer.written_per_payload.map(|ratio| {
        let ratio = units.decimal(ratio, 1);
        words.written_ratio.fill(&[("ratio", &ratio)])
    });
    let refused = writer.refused.iter().map(|(reason, count)| {
        let (count, reason) = (units.count(*count), names::refusal(reason, wording));
        words.refused_for.fill(&[("count", &count), ("reason", &reason)])
    });
    let refused: Vec<String> = refused.collect();
    html! {
        @if let Some(bytes) = writer.written_bytes_last_day {
            (fact(words.written, &(units.bytes(bytes) + &ratio.unwrap_or_default())))
        }
        @if let Some(dropped) = writer.dropped_early.filter(|dropped| *dropped > 0) {
            (fact(words.dropped_early, &units.count(dropped)))
        }
        @if !refused.is_empty() {
            (fact(words.refused, &refused.join(", ")))
        }
    }
}
