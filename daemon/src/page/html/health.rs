//! What is looked at, one row each; what could not be measured has none.

use maud::{Markup, html};

use super::names;
use super::parts::detail;
use crate::page::view::View;
use crate::snapshot::{Finding, Level, Subject};

pub(super) fn section(view: &View<'_>) -> Markup {
    let health = view.snapshot.health.iter();
    let measured: Vec<_> = health
        .filter_map(|(subject, finding)| Some((*subject, finding.as_ref()?)))
        .collect();
    html! {
        h2 { (view.words.page.health) }
        @if measured.is_empty() {
            p class="empty" { (view.words.page.no_health) }
        } @else {
            ul class="rows tight" {
                @for (subject, finding) in measured {
                    (row(view, subject, finding))
                }
            }
        }
    }
}

fn row(view: &View<'_>, subject: Subject, finding: &Finding) -> Markup {
    let tone = match finding.level {
        Level::Ok => "tone-good",
        Level::Warn => "tone-warn",
        Level::Bad => "tone-bad",
    };
    html! {
        li {
            p class="top" {
                span {
                    span class="name" { (names::subject(subject, view.words)) }
                    " "
                    span class="detail" { (detail(view, &finding.detail)) }
                }
                span class={ "badge " (tone) } { (names::level(finding.level, view.words)) }
            }
        }
    }
}
