//! The whole page, from top to bottom.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{archive, change, day, facts, health, log, services, state, system, usage};
use crate::page::view::View;
use crate::wording::Wording;

/// The name is the same in every language.
const NAME: &str = "Pillarbox";
/// The page's own style and script; their hashes are all that its security policy admits.
pub(in crate::page) const STYLE: &str = include_str!("page.css");
pub(in crate::page) const SCRIPT: &str = include_str!("page.js");

pub(in crate::page) fn document(view: &View<'_>) -> String {
    let words = view.words;
    let title = format!("{} \u{2013} {}", state::word(view), NAME);
    finished(html! {
        (DOCTYPE)
        html lang=(words.tag) {
            head {
                (head(&title))
                // Without a script, too, the page stays fresh.
                noscript { meta http-equiv="refresh" content="20"; }
                link rel="icon" href=(state::icon(view));
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    p class="brand" { (NAME) }
                    p class="what" { (words.page.what) }
                }
                main { (content(view)) }
                footer {
                    span { (NAME) " " (view.snapshot.version) }
                    span { (view.host) }
                    a href="/status.json" { (words.page.json) }
                    a href="/metrics" { (words.page.metrics) }
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    })
}

fn content(view: &View<'_>) -> Markup {
    html! {
        p id="offline" role="alert" hidden { (view.words.page.no_answer) }
        p id="announce" class="unseen-text" role="status" {}
        @if let Some(done) = view.done {
            p class="done" role="status" { (done) }
        }
        (live("state", &format!("card hero {}", state::class(view)), &state::section(view)))
        (live("facts", "", &facts::section(view)))
        div class="grid" {
            (live("day", "card wide", &day::section(view)))
            (live("use", "card wide", &usage::section(view)))
            div class="column" {
                (live("services", "card", &services::section(view)))
                (live("archive", "card", &archive::section(view)))
                (live("change", "card", &change::section(view)))
            }
            div class="column" {
                (live("health", "card", &health::section(view)))
                (live("system", "card", &system::section(view)))
            }
            (live("log", "card wide", &log::section(view)))
        }
    }
}

/// A part that the script keeps fresh.
fn live(id: &str, class: &str, content: &Markup) -> Markup {
    html! {
        section id=(id) class=(class) data-live { (content) }
    }
}

/// A page of its own for a restore that left settings of the backup out.
pub(in crate::page) fn left_out(keys: &[String], wording: &Wording) -> String {
    let words = &wording.change;
    finished(html! {
        (DOCTYPE)
        html lang=(wording.tag) {
            head {
                (head(NAME))
                style { (PreEscaped(STYLE)) }
            }
            body {
                header { p class="brand" { (NAME) } }
                main {
                    p class="done" role="status" { (words.restoring_partly) }
                    section class="card wide" {
                        h2 { (words.left_out) }
                        p { (words.left_out_why) }
                        ul class="asking" {
                            @for key in keys {
                                li { code { (key) } }
                            }
                        }
                        p { a href="/" { (words.back) } }
                    }
                }
            }
        }
    })
}

fn head(title: &str) -> Markup {
    html! {
        meta charset="utf-8";
        title { (title) }
        meta name="viewport" content="width=device-width,initial-scale=1";
        meta name="color-scheme" content="light dark";
    }
}

/// The text that is sent. Control characters are not allowed in HTML, and what a terminal would make of them is nobody's
/// business: whatever value brought one in, it leaves as the sign for what cannot be shown.
fn finished(document: Markup) -> String {
    let shown = |letter: char| match letter {
        '\n' | '\t' => letter,
        control if control.is_control() => '\u{fffd}',
        other => other,
    };
    let mut text: String = document.into_string().chars().map(shown).collect();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_and_control_characters_replaced() {
        let evil = "<script>alert('x')</script> \"&\u{1b}[31m";
        let text = finished(html! { b title=(evil) { (evil) } });
        assert!(!text.contains("<script") && !text.contains('\u{1b}'), "{text}");
        assert_eq!(text.matches('"').count(), 2, "{text}");
        assert!(
            text.starts_with("<b title=\"&lt;script&gt;") && text.ends_with("[31m</b>\n"),
            "{text}"
        );
    }
}
