//! How a pattern looks, and what it says, in words. Those of faults say it by their code ([`crate::fault`]).

use crate::button::Held;
use crate::pattern::Pattern;
use crate::wording::{ENGLISH, Wording};

/// How a pattern looks.
pub fn looks(pattern: Pattern, wording: &Wording) -> String {
    let words = &wording.lights;
    match pattern {
        Pattern::Off => words.off.to_owned(),
        Pattern::Starting => words.starting.to_owned(),
        Pattern::Ok => words.ok.to_owned(),
        Pattern::Degraded(code) => words.degraded.fill(u64::from(code), &[]),
        Pattern::Failed(code) => words.failed.fill(u64::from(code), &[]),
        Pattern::Silent => words.silent.to_owned(),
        Pattern::Updating => words.updating.to_owned(),
        Pattern::Resetting => words.resetting.to_owned(),
        Pattern::Asking(number) => {
            let [tens, ones] = short_flashes(number, wording);
            words.asking.fill(&[("tens", &tens), ("ones", &ones)])
        }
        Pattern::Unlocked => words.unlocked.to_owned(),
        Pattern::Address(number) => words.address.fill(&[("number", &number)]),
        Pattern::Holding(Held::Refuse) => words.holding_refuse.to_owned(),
        Pattern::Holding(Held::Reboot) => words.holding_reboot.to_owned(),
        Pattern::Holding(Held::FactoryReset) => words.holding_reset.to_owned(),
        Pattern::Holding(Held::Cancelled) => words.holding_cancelled.to_owned(),
    }
}

/// What a pattern says.
pub fn means(pattern: Pattern, wording: &Wording) -> &'static str {
    let words = &wording.lights;
    match pattern {
        Pattern::Off => words.off_means,
        Pattern::Starting => words.starting_means,
        Pattern::Ok => words.ok_means,
        Pattern::Degraded(_) => words.degraded_means,
        Pattern::Failed(_) => words.failed_means,
        Pattern::Silent => words.silent_means,
        Pattern::Updating => words.updating_means,
        Pattern::Resetting => words.resetting_means,
        Pattern::Asking(_) => words.asking_means,
        Pattern::Unlocked => words.unlocked_means,
        Pattern::Address(_) => words.address_means,
        Pattern::Holding(Held::Refuse) => words.holding_refuse_means,
        Pattern::Holding(Held::Reboot) => words.holding_reboot_means,
        Pattern::Holding(Held::FactoryReset) => words.holding_reset_means,
        Pattern::Holding(Held::Cancelled) => words.holding_cancelled_means,
    }
}

/// A browser's number as the light blinks it.
pub fn flashes(number: u8, wording: &Wording) -> String {
    let [tens, ones] = short_flashes(number, wording);
    wording.lights.flashes.fill(&[("tens", &tens), ("ones", &ones)])
}

fn short_flashes(number: u8, wording: &Wording) -> [String; 2] {
    [number / 10, number % 10].map(|digit| wording.lights.short_flashes.fill(u64::from(digit), &[]))
}

/// The lights as a Markdown table, for the README.
pub fn markdown() -> String {
    let wording = &ENGLISH;
    let words = &wording.lights;
    let row = |pattern: Pattern| (looks(pattern, wording), means(pattern, wording));
    let any = |looks: &str, means: &'static str| (looks.to_owned(), means);
    let rows = [
        row(Pattern::Starting),
        row(Pattern::Ok),
        any(words.degraded_any, words.degraded_means),
        any(words.failed_any, words.failed_means),
        any(words.frozen, words.frozen_means),
        row(Pattern::Silent),
        row(Pattern::Updating),
        row(Pattern::Resetting),
        any(words.asking_any, words.asking_means),
        row(Pattern::Unlocked),
        any(words.address_any, words.address_means),
        row(Pattern::Holding(Held::Refuse)),
        row(Pattern::Holding(Held::Reboot)),
        row(Pattern::Holding(Held::FactoryReset)),
        row(Pattern::Holding(Held::Cancelled)),
    ];
    let head = format!("| {} | {} |\n|---|---|\n", words.column_looks, words.column_means);
    let rows = rows.iter().map(|(looks, means)| format!("| {looks} | {means} |\n"));
    head + &rows.collect::<String>()
}
