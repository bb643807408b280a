//! What several sections are made of.

use maud::{Markup, html};

use crate::page::view::View;
use crate::page::{format, texts};

/// A row of a list of facts.
pub(super) fn fact(name: &str, value: &str) -> Markup {
    html! {
        div { dt { (name) } dd { (value) } }
    }
}

pub(super) fn hint(text: &str) -> Markup {
    html! {
        p class="hint" { (text) }
    }
}

/// How long ago `then` was. It is after `now` only if the clock was set back; then nothing is said.
pub(super) fn ago(view: &View<'_>, then: i64) -> String {
    match u64::try_from(view.now - then) {
        Ok(secs) => texts::ago(&format::span(secs)),
        Err(_) => texts::UNKNOWN.to_owned(),
    }
}

/// The supervisor's words with a capital and a full stop.
pub(super) fn as_sentence(text: &str) -> String {
    let mut letters = text.trim().chars();
    let mut out: String = letters
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .chain(letters)
        .collect();
    if !out.ends_with(['.', '!', '?']) {
        out.push('.');
    }
    out
}
