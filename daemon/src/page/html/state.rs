//! The state in one word and one sentence, what to do about it, and what the lights show.

use maud::{Markup, html};

use super::light;
use super::parts;
use crate::detail::Detail;
use crate::fault::Fault;
use crate::indicator::{Pattern, words};
use crate::page::view::View;
use crate::snapshot::BoxState;
use crate::wording::Wording;

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
            (what_is_wrong(fault, view.words))
        }
        @if !lights.is_empty() {
            ul class="lights" aria-label=(view.words.lights.label) {
                @for (name, pattern) in &lights {
                    (what_it_shows(view, (lights.len() > 1).then_some(name), *pattern))
                }
            }
        }
    }
}

fn what_is_wrong(fault: Fault, wording: &Wording) -> Markup {
    let words = fault.in_words(wording);
    html! {
        div class="fault" {
            p class="number" { span { (wording.state.code) } " " b { (fault.code()) } }
            p class="title" { (words.title) }
            p class="meaning" { (words.meaning) }
            p { b { (wording.state.fix) } " " (words.fix) }
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
                (words::looks(pattern, view.words))
            }
            (light::strip(&steps))
            p class="means" { (means(view, pattern)) }
        }
    }
}

pub(super) fn word(view: &View<'_>) -> &'static str {
    let words = &view.words.state;
    match (view.silent, view.snapshot.state) {
        (Some(_), _) => words.silent,
        (None, BoxState::Starting) => words.starting,
        (None, BoxState::Ok) => words.ok,
        (None, BoxState::Degraded) => words.degraded,
        (None, BoxState::Failed) => words.failed,
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
        .map(|(name, pattern)| (name.as_str(), *pattern))
        .collect();
    lights.sort_by_key(|(name, _)| !matches!(*name, "status" | "board"));
    lights
}

fn means(view: &View<'_>, pattern: Pattern) -> String {
    let wording = view.words;
    match pattern {
        Pattern::Off if view.snapshot.state == BoxState::Failed => wording.lights.off_in_failure.to_owned(),
        Pattern::Degraded(code) | Pattern::Failed(code) => match Fault::from_code(code) {
            Some(fault) => format!("{}.", fault.in_words(wording).title),
            None => words::means(pattern, wording).to_owned(),
        },
        Pattern::Asking(number) => wording.lights.asking_number_means.fill(&[("number", &number)]),
        pattern => words::means(pattern, wording).to_owned(),
    }
}

/// The supervisor's reason where it is more precise than the state alone.
fn sentence(view: &View<'_>) -> Markup {
    let words = &view.words.state;
    let snapshot = view.snapshot;
    let text = match (view.silent, snapshot.state, &snapshot.reason) {
        (Some(silent), ..) => words.silent_sentence.fill(&[("seconds", &silent.as_secs())]),
        (None, BoxState::Ok, _) => match snapshot.archive.retention_secs {
            Some(secs) => words.ok_sentence_for.fill(&[("span", &view.words.retention(secs))]),
            None => words.ok_sentence.to_owned(),
        },
        (None, BoxState::Starting, Detail::Starting) => words.starting_sentence.to_owned(),
        (None, _, reason) => return parts::sentence(view, reason),
    };
    html! { (text) }
}
