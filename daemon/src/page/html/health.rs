//! What is looked at, one row each; what could not be measured has none.

use maud::{Markup, html};

use super::parts::as_sentence;
use crate::page::texts;
use crate::page::view::View;
use crate::snapshot::{Finding, Level, Subject};

pub(super) fn section(view: &View<'_>) -> Markup {
    let health = view.snapshot.health.iter();
    let measured: Vec<_> = health
        .filter_map(|(subject, finding)| Some((*subject, finding.as_ref()?)))
        .collect();
    html! {
        h2 { (texts::HEALTH) }
        @if measured.is_empty() {
            p class="empty" { (texts::NO_HEALTH) }
        } @else {
            ul class="rows tight" {
                @for (subject, finding) in measured {
                    (row(subject, finding))
                }
            }
        }
    }
}

fn row(subject: Subject, finding: &Finding) -> Markup {
    let tone = match finding.level {
        Level::Ok => "tone-good",
        Level::Warn => "tone-warn",
        Level::Bad => "tone-bad",
    };
    let detail = as_sentence(&finding.detail);
    html! {
        li {
            p class="top" {
                span {
                    span class="name" { (texts::subject(subject)) }
                    " "
                    span class="detail" { (detail.trim_end_matches('.')) }
                }
                span class={ "badge " (tone) } { (texts::level(finding.level)) }
            }
        }
    }
}
