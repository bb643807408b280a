//! The state in one word and one sentence, what to do about it, and what the lights show.

use maud::{Markup, html};

use super::light;
use super::parts::as_sentence;
use crate::fault::Fault;
use crate::indicator::Pattern;
use crate::page::texts;
use crate::page::view::View;
use crate::snapshot::BoxState;

pub(super) fn section(view: &View<'_>) -> Markup {
    let lights = lights(view);
    let steps = lights.first().map_or(Pattern::Off, |(_, pattern)| *pattern).steps();
    html! {
        div class="box-cell" { (light::pillar_box(&steps)) }
        div {
            h1 id="word" { (word(view)) }
            p class="reason" { (sentence(view)) }
        }
        @if let Some(fault) = view.snapshot.code.and_then(Fault::from_code) {
            (what_is_wrong(fault))
        }
        @if !lights.is_empty() {
            ul class="lights" aria-label=(texts::LIGHTS) {
                @for (name, pattern) in &lights {
                    (what_it_shows(view, (lights.len() > 1).then_some(name), *pattern))
                }
            }
        }
    }
}

fn what_is_wrong(fault: Fault) -> Markup {
    let entry = fault.entry();
    html! {
        div class="fault" {
            p class="number" { span { (texts::CODE_LABEL) } " " b { (entry.code) } }
            p class="title" { (entry.title) }
            p class="meaning" { (entry.meaning) }
            p { b { (texts::MEND) } " " (entry.mend) }
        }
    }
}

fn what_it_shows(view: &View<'_>, name: Option<&str>, pattern: Pattern) -> Markup {
    let steps = pattern.steps();
    html! {
        li {
            (light::lamp(&steps))
            p class="looks" {
                @if let Some(name) = name {
                    span class="name" { (name) ":" } " "
                }
                (texts::looks(pattern))
            }
            (light::strip(&steps))
            p class="means" { (means(view, pattern)) }
        }
    }
}

pub(super) fn word(view: &View<'_>) -> &'static str {
    if view.silent.is_some() {
        texts::WORD_SILENT
    } else {
        texts::word(view.snapshot.state)
    }
}

pub(super) fn class(view: &View<'_>) -> &'static str {
    if view.silent.is_some() {
        return "is-silent";
    }
    match view.snapshot.state {
        BoxState::Starting => "is-starting",
        BoxState::Ok => "is-ok",
        BoxState::Degraded => "is-degraded",
        BoxState::Failed => "is-failed",
    }
}

/// A dot in the state's colour on the browser's tab.
pub(super) fn icon(view: &View<'_>) -> String {
    let color = match class(view) {
        "is-ok" => "2fbf71",
        "is-starting" => "58a6ff",
        "is-degraded" => "f5a524",
        "is-failed" => "f04438",
        _ => "98a2b3",
    };
    format!(
        "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect x='2' y='3' width='12' \
         height='12' rx='3' fill='%23b8162c'/%3E%3Ccircle cx='8' cy='5' r='4' fill='%23{color}'/%3E%3C/svg%3E"
    )
}

/// The lights as the indicator last reported them, the one that shows most first.
fn lights<'a>(view: &View<'a>) -> Vec<(&'a str, Pattern)> {
    let mut lights: Vec<(&str, Pattern)> = view
        .snapshot
        .leds
        .iter()
        .filter_map(|(name, pattern)| Some((name.as_str(), pattern.parse().ok()?)))
        .collect();
    lights.sort_by_key(|(name, _)| !matches!(*name, "status" | "board"));
    lights
}

fn means(view: &View<'_>, pattern: Pattern) -> String {
    match pattern {
        Pattern::Off if view.snapshot.state == BoxState::Failed => texts::DARK_IN_FAILURE.to_owned(),
        Pattern::Degraded(code) | Pattern::Failed(code) => match Fault::from_code(code) {
            Some(fault) => format!("{}.", fault.entry().title),
            None => texts::means(pattern).to_owned(),
        },
        Pattern::Asking(number) => texts::asks(number),
        pattern => texts::means(pattern).to_owned(),
    }
}

fn sentence(view: &View<'_>) -> String {
    let snapshot = view.snapshot;
    match (view.silent, snapshot.state) {
        (Some(silent), _) => texts::sentence_silent(silent.as_secs()),
        (None, BoxState::Degraded | BoxState::Failed) if !snapshot.reason.is_empty() => as_sentence(&snapshot.reason),
        // What the start waits for, when the supervisor knows it.
        (None, BoxState::Starting) if snapshot.reason.contains(' ') => as_sentence(&snapshot.reason),
        (None, state) => texts::sentence(state, snapshot.archive.retention_secs),
    }
}
