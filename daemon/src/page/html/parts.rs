//! What several sections are made of.

use maud::{Markup, html};

use crate::detail::Detail;
use crate::page::view::View;
use crate::wording::{ENGLISH, Wording};

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

pub(super) fn ago(view: &View<'_>, then: i64) -> String {
    view.words.units.ago(view.now, then)
}

/// What was found, with a capital and without a full stop.
pub(super) fn detail(view: &View<'_>, detail: &Detail) -> Markup {
    let text = with_capital(&detail.in_words(view.words));
    let text = text.trim_end_matches('.');
    match detail {
        Detail::Said(_) => in_english(view.words, text),
        _ => html! { (text) },
    }
}

/// What comes from a program or a file, as a sentence.
pub(super) fn foreign(view: &View<'_>, text: &str) -> Markup {
    in_english(view.words, &as_sentence(text))
}

/// What is wrong, as a sentence.
pub(super) fn sentence(view: &View<'_>, detail: &Detail) -> Markup {
    let text = as_sentence(&detail.in_words(view.words));
    match detail {
        Detail::Said(_) => in_english(view.words, &text),
        _ => html! { (text) },
    }
}

/// Marked as what it is, so that it is read out right on a page in another language.
fn in_english(wording: &Wording, text: &str) -> Markup {
    match foreign_tag(wording) {
        None => html! { (text) },
        tag => html! { span lang=[tag] { (text) } },
    }
}

/// The language of what no table translates, where the page is in another.
pub(super) fn foreign_tag(wording: &Wording) -> Option<&'static str> {
    (wording.tag != ENGLISH.tag).then_some(ENGLISH.tag)
}

fn as_sentence(text: &str) -> String {
    let mut out = with_capital(text);
    if !out.ends_with(['.', '!', '?']) {
        out.push('.');
    }
    out
}

/// A name such as `eth0` stays as it is.
fn with_capital(text: &str) -> String {
    let text = text.trim();
    let first = text.split([' ', ',']).next().unwrap_or_default();
    if first.contains(|letter: char| letter.is_ascii_digit()) {
        return text.to_owned();
    }
    let mut letters = text.chars();
    letters
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .chain(letters)
        .collect()
}
