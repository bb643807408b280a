//! What is kept, for how long, and what became of the rest.

use maud::{Markup, html};

use super::parts::{ago, as_sentence, fact};
use crate::page::view::View;
use crate::page::{format, texts};
use crate::snapshot::WriterStatus;

pub(super) fn section(view: &View<'_>) -> Markup {
    let archive = &view.snapshot.archive;
    let shown = |value: Option<String>| value.unwrap_or_else(|| texts::UNKNOWN.to_owned());
    let when = |then: Option<i64>| shown(then.map(|then| ago(view, then)));
    html! {
        h2 { (texts::ARCHIVE) }
        dl class="facts" {
            (fact(texts::RETENTION, &shown(archive.retention_secs.map(texts::for_long))))
            (fact(texts::OLDEST, &when(archive.oldest)))
            (fact(texts::NEWEST, &when(archive.newest)))
            (fact(texts::PRUNED, &format::count(archive.pruned_total)))
            (fact(texts::LAST_PRUNE, &when(archive.last_prune)))
            (written(&archive.writer))
            @if !archive.newer.is_empty() {
                (fact(texts::NEWER, &format::count(archive.newer.len() as u64)))
            }
            @if !archive.quarantined.is_empty() {
                div {
                    dt { (texts::SET_ASIDE) }
                    dd {
                        ul {
                            @for file in &archive.quarantined {
                                li { code { (file.file) } " " (as_sentence(&file.reason)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What the archive's writer counts, as far as it does.
fn written(writer: &WriterStatus) -> Markup {
    let ratio = |ratio: f64| format!(" ({ratio:.1} × the messages)");
    let refused = writer.refused.iter();
    let refused: Vec<String> = refused
        .map(|(reason, count)| format!("{} ({})", format::count(*count), reason.replace('_', " ")))
        .collect();
    html! {
        @if let Some(bytes) = writer.written_bytes_last_day {
            (fact(texts::WEAR, &(format::bytes(bytes) + &writer.written_per_payload.map(ratio).unwrap_or_default())))
        }
        @if let Some(dropped) = writer.dropped_early.filter(|dropped| *dropped > 0) {
            (fact(texts::DROPPED_EARLY, &format::count(dropped)))
        }
        @if !refused.is_empty() {
            (fact(texts::REFUSED, &refused.join(", ")))
        }
    }
}
