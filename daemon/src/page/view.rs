//! The page itself: what it says of a snapshot, from top to bottom. Pure: the same view makes the same HTML.

use std::time::Duration;

use super::change::{self, Lock};
use super::history::HOURS;
use super::markup::{Markup, put};
use super::sections;
use super::{format, lamp, texts};
use crate::fault::Fault;
use crate::indicator::{Pattern, Step};
use crate::log::Entry;
use crate::snapshot::{BoxState, Snapshot};

/// All that the page is made of.
pub(super) struct View<'a> {
    pub(super) snapshot: &'a Snapshot,
    /// How long the supervisor has been silent, when that is too long.
    pub(super) silent: Option<Duration>,
    /// Envelopes an hour, and the archive's size by time before now.
    pub(super) hours: [Option<u64>; HOURS],
    pub(super) sizes: Vec<(Duration, u64)>,
    pub(super) seen_for: Duration,
    /// Seconds since the Unix epoch.
    pub(super) now: i64,
    pub(super) host: &'a str,
    pub(super) lock: Lock<'a>,
    /// The last lines, oldest first.
    pub(super) log: Vec<Entry>,
    /// What was just done, from the page's own address.
    pub(super) done: Option<&'static str>,
    /// Whether the machine can be restarted and switched off from here.
    pub(super) switches: bool,
    /// Whether a word on the card lets a browser in, too.
    pub(super) has_word: bool,
}

/// The page's own style and script; their hashes are all that its security policy admits.
pub(super) const STYLE: &str = include_str!("page.css");
pub(super) const SCRIPT: &str = include_str!("page.js");

/// A page of its own for a restore that left settings of the backup out.
pub(super) fn left_out(keys: &[String]) -> String {
    let mut out = Markup::new();
    head(&mut out, texts::NAME);
    put!(out, "<style>");
    out.raw(STYLE);
    put!(
        out,
        "</style></head><body><header><p class=\"brand\">",
        &texts::NAME,
        "</p></header><main><p class=\"done\" role=\"status\">",
        &texts::RESTORING_PARTLY,
        "</p><section class=\"card wide\"><h2>",
        &texts::LEFT_OUT,
        "</h2><p>",
        &texts::LEFT_OUT_WHY,
        "</p><ul class=\"asking\">"
    );
    for key in keys {
        put!(out, "<li><code>", key, "</code></li>");
    }
    put!(
        out,
        "</ul><p><a href=\"/\">",
        &texts::BACK,
        "</a></p></section></main></body></html>\n"
    );
    out.into_string()
}

fn head(out: &mut Markup, title: &str) {
    put!(
        *out,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>",
        &title,
        "</title>"
    );
    put!(
        *out,
        "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
    );
    put!(*out, "<meta name=\"color-scheme\" content=\"light dark\">");
}

pub(super) fn document(view: &View<'_>) -> String {
    let mut out = Markup::new();
    head(&mut out, &format!("{} \u{2013} {}", word(view), texts::NAME));
    // Who has no script still sees the page grow.
    put!(out, "<noscript><meta http-equiv=\"refresh\" content=\"20\"></noscript>");
    put!(out, "<link rel=\"icon\" href=\"", &icon(view), "\"><style>");
    out.raw(STYLE);
    put!(
        out,
        "</style></head><body><header><p class=\"brand\">",
        &texts::NAME,
        "</p><p class=\"what\">"
    );
    put!(out, &texts::WHAT, "</p></header><main>");
    put!(
        out,
        "<p id=\"offline\" role=\"alert\" hidden>",
        &texts::NO_ANSWER,
        "</p>"
    );
    put!(out, "<p id=\"announce\" class=\"unseen-text\" role=\"status\"></p>");
    let mut hero_class = String::from("card hero ");
    hero_class.push_str(class(view));
    if let Some(done) = view.done {
        put!(out, "<p class=\"done\" role=\"status\">", &done, "</p>");
    }
    put!(
        out,
        "<section id=\"state\" class=\"",
        &hero_class,
        "\" data-live>",
        hero(view),
        "</section>"
    );
    live(&mut out, "facts", "", sections::tiles(view));
    put!(out, "<div class=\"grid\">");
    live(&mut out, "day", "card wide", sections::day(view));
    live(&mut out, "use", "card wide", sections::how_to_use(view));
    put!(out, "<div class=\"column\">");
    live(&mut out, "services", "card", sections::services(view));
    live(&mut out, "archive", "card", sections::archive(view));
    live(&mut out, "change", "card", change::section(view));
    put!(out, "</div><div class=\"column\">");
    live(&mut out, "health", "card", sections::health(view));
    live(&mut out, "system", "card", sections::system(view));
    put!(out, "</div>");
    live(&mut out, "log", "card wide", sections::log(view));
    put!(
        out,
        "</div></main><footer><span>",
        &texts::NAME,
        " ",
        &view.snapshot.version,
        "</span><span>",
        &view.host
    );
    put!(
        out,
        "</span><a href=\"/status.json\">",
        &texts::JSON,
        "</a><a href=\"/metrics\">",
        &texts::METRICS,
        "</a></footer><script>"
    );
    out.raw(SCRIPT);
    put!(out, "</script></body></html>\n");
    out.into_string()
}

fn live(out: &mut Markup, id: &'static str, class: &'static str, content: Markup) {
    put!(
        *out,
        "<section id=\"",
        &id,
        "\" class=\"",
        &class,
        "\" data-live>",
        content,
        "</section>"
    );
}

pub(super) fn word(view: &View<'_>) -> &'static str {
    if view.silent.is_some() {
        texts::WORD_SILENT
    } else {
        texts::word(view.snapshot.state)
    }
}

fn class(view: &View<'_>) -> &'static str {
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

fn hero(view: &View<'_>) -> Markup {
    let lights = lights(view);
    let steps = lights
        .first()
        .map(|(_, pattern)| pattern.steps())
        .unwrap_or_else(|| Pattern::Off.steps());
    let mut out = Markup::new();
    put!(
        out,
        "<div class=\"box-cell\">",
        pillar_box(&steps),
        "</div><div><h1 id=\"word\">",
        &word(view),
        "</h1>"
    );
    put!(out, "<p class=\"reason\">", &sentence(view), "</p></div>");
    if let Some(fault) = view.snapshot.code.and_then(Fault::from_code) {
        let entry = fault.entry();
        put!(
            out,
            "<div class=\"fault\"><p class=\"number\"><span>",
            &texts::CODE_LABEL,
            "</span> <b>",
            &entry.code
        );
        put!(
            out,
            "</b></p><p class=\"title\">",
            &entry.title,
            "</p><p class=\"meaning\">",
            &entry.meaning
        );
        put!(out, "</p><p><b>", &texts::MEND, "</b> ", &entry.mend, "</p></div>");
    }
    if !lights.is_empty() {
        put!(out, "<ul class=\"lights\" aria-label=\"", &texts::LIGHTS, "\">");
        let several = lights.len() > 1;
        for (name, pattern) in &lights {
            let steps = pattern.steps();
            put!(out, "<li>", small_lamp(&steps), "<p class=\"looks\">");
            if several {
                put!(out, "<span class=\"name\">", name, ":</span> ");
            }
            put!(out, &texts::looks(*pattern), "</p>", lamp::strip(&steps));
            put!(out, "<p class=\"means\">", &means(view, *pattern), "</p></li>");
        }
        put!(out, "</ul>");
    }
    out
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

/// The supervisor's reason with a capital and a full stop.
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

/// The glass, and the light in it: moving, and still for who asked for less motion.
fn light(cx: &'static str, cy: &'static str, radius: &'static str, halo: &'static str, steps: &[Step]) -> Markup {
    let mut out = Markup::new();
    let circle = |class: &'static str, r: &'static str| {
        let mut circle = Markup::new();
        put!(
            circle,
            "<circle class=\"",
            &class,
            "\" cx=\"",
            &cx,
            "\" cy=\"",
            &cy,
            "\" r=\"",
            &r,
            "\"/>"
        );
        circle
    };
    let lit = {
        let mut lit = Markup::new();
        put!(lit, circle("halo", halo), circle("glow", radius));
        lit
    };
    put!(out, "<g class=\"lamp\">", circle("glass", radius));
    put!(
        out,
        "<g class=\"moving\" opacity=\"",
        &lamp::opacity(steps),
        "\">",
        lit,
        lamp::blink(steps),
        "</g>"
    );
    put!(
        out,
        "<g class=\"still\" opacity=\"",
        &lamp::opacity(steps),
        "\">",
        lit,
        "</g></g>"
    );
    out
}

/// A pillar box, with the box's light on its top.
fn pillar_box(steps: &[Step]) -> Markup {
    let mut out = Markup::new();
    put!(out, "<svg class=\"box\" viewBox=\"0 0 120 172\" aria-hidden=\"true\">");
    put!(
        out,
        "<rect class=\"socket\" x=\"52\" y=\"25\" width=\"16\" height=\"10\" rx=\"2\"/>"
    );
    put!(out, light("60", "18", "9", "17", steps));
    put!(out, "<path class=\"cap\" d=\"M20 58C20 40 37 32 60 32s40 8 40 26z\"/>");
    put!(
        out,
        "<rect class=\"body\" x=\"24\" y=\"64\" width=\"72\" height=\"88\"/>"
    );
    put!(
        out,
        "<path class=\"shade\" d=\"M78 64h18v88H78zM78 34.5C91 38 100 46 100 58H78z\"/>"
    );
    put!(
        out,
        "<rect class=\"rim\" x=\"14\" y=\"56\" width=\"92\" height=\"9\" rx=\"4.5\"/>"
    );
    put!(
        out,
        "<rect class=\"slot\" x=\"36\" y=\"75\" width=\"48\" height=\"7\" rx=\"3.5\"/>"
    );
    put!(
        out,
        "<rect class=\"plate\" x=\"40\" y=\"94\" width=\"40\" height=\"32\" rx=\"3\"/>"
    );
    put!(
        out,
        "<path class=\"letter\" d=\"M47 101h26v18H47zM47 102l13 10 13-10\"/>"
    );
    put!(
        out,
        "<rect class=\"foot\" x=\"18\" y=\"150\" width=\"84\" height=\"14\" rx=\"4\"/></svg>"
    );
    out
}

fn small_lamp(steps: &[Step]) -> Markup {
    let mut out = Markup::new();
    put!(
        out,
        "<svg class=\"lamp\" viewBox=\"0 0 24 24\" aria-hidden=\"true\">",
        light("12", "12", "6", "11", steps),
        "</svg>"
    );
    out
}

/// A dot in the state's colour on the browser's tab.
fn icon(view: &View<'_>) -> String {
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

/// `now` is before `then` only if the clock was set back; then nothing is said.
pub(super) fn ago(view: &View<'_>, then: i64) -> String {
    match u64::try_from(view.now - then) {
        Ok(secs) => texts::ago(&format::span(secs)),
        Err(_) => texts::UNKNOWN.to_owned(),
    }
}
