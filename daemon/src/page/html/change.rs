//! The section that changes something: closed to every browser but the one that was given access.

use maud::{Markup, html};

use super::parts::hint;
use crate::asking::{Asker, Refusal, Turn};
use crate::indicator::words::flashes;
use crate::page::lock::Lock;
use crate::page::view::View;
use crate::snapshot::{Level, ServiceStateName, Snapshot, Subject};
use crate::wording::{Change as Words, Wording};

pub(super) fn section(view: &View<'_>) -> Markup {
    let takes_code = view.has_code && !matches!(view.lock, Lock::Open { .. } | Lock::Refused(Refusal::Taken));
    html! {
        h2 { (view.words.change.heading) }
        (lock(view))
        @if takes_code {
            (by_code(&view.words.change))
        }
        (who_asks(&view.snapshot.asking, view.words))
    }
}

fn lock(view: &View<'_>) -> Markup {
    let words = &view.words.change;
    match view.lock {
        Lock::Closed => html! {
            (hint(words.how))
            form method="post" action="/ask" { button { (words.request) } }
        },
        Lock::Refused(refusal) => hint(&refusal.in_words(view.words)),
        Lock::Asking { number, turn, before } => html! {
            p class="press" { span class="badge tone-busy" { (words.your_number.fill(&[("number", &number)])) } }
            p { (turn_in_words(turn, number, before as u64, view.words)) }
            (hint(words.other_number))
        },
        Lock::Open { csrf } => html! {
            (hint(words.open))
            ul class="actions" { (actions(view, csrf)) }
        },
    }
}

fn by_code(words: &Words) -> Markup {
    html! {
        form method="post" action="/ask" {
            label {
                (words.by_code)
                " "
                input type="password" name="code" autocomplete="off" required;
            }
            " "
            button { (words.by_code_button) }
        }
    }
}

/// What the browser that asks is to do.
fn turn_in_words(turn: Turn, number: u8, before: u64, wording: &Wording) -> String {
    let words = &wording.change;
    let template = match turn {
        Turn::Waiting => return words.waiting.fill(before, &[]),
        Turn::Showing => words.showing,
        Turn::Ready => words.ready,
    };
    template.fill(&[("flashes", &flashes(number, wording))])
}

/// Everybody sees who asks, in the order of their turns: who is about to press the button needs to know.
fn who_asks(asking: &[Asker], wording: &Wording) -> Markup {
    let words = &wording.change;
    html! {
        @if !asking.is_empty() {
            h3 { (words.asking) }
            ul class="asking" {
                @for asker in asking {
                    li { (asker.in_words(wording)) }
                }
            }
            (hint(words.asking_refuse))
        }
    }
}

/// A form that asks the supervisor for something.
struct Action<'a> {
    what: &'a str,
    label: &'a str,
    hint: &'a str,
    service: Option<&'a str>,
    /// Whether a person has to tick that they are sure.
    grave: bool,
}

impl<'a> Action<'a> {
    const fn new(what: &'a str, label: &'a str, hint: &'a str) -> Action<'a> {
        Action {
            what,
            label,
            hint,
            service: None,
            grave: false,
        }
    }

    fn form(&self, csrf: &str, words: &Words) -> Markup {
        html! {
            li {
                form method="post" action="/act" {
                    (secret(csrf))
                    input type="hidden" name="what" value=(self.what);
                    @if let Some(service) = self.service {
                        input type="hidden" name="service" value=(service);
                    }
                    (hint(self.hint))
                    @if self.grave {
                        (sure(words))
                        button class="grave" { (self.label) }
                    } @else {
                        button { (self.label) }
                    }
                }
            }
        }
    }
}

fn actions(view: &View<'_>, csrf: &str) -> Markup {
    let words = &view.words.change;
    let services = view.snapshot.services.iter();
    let services = services.filter(|service| service.state != ServiceStateName::Disabled);
    let confirm_time = Action::new("confirm-time", words.confirm_time, words.confirm_time_hint);
    let reset = Action {
        grave: true,
        ..Action::new("factory-reset", words.factory_reset, words.factory_reset_hint)
    };
    html! {
        @for service in services {
            (restart(&service.name, csrf, words))
        }
        (report(csrf, words))
        (backup(csrf, words))
        (restore(csrf, words))
        @if doubts_time(view.snapshot) {
            (confirm_time.form(csrf, words))
        }
        @if view.switches {
            (Action::new("reboot", words.reboot, words.reboot_hint).form(csrf, words))
            (Action::new("power-off", words.power_off, words.power_off_hint).form(csrf, words))
        }
        (reset.form(csrf, words))
    }
}

fn restart(service: &str, csrf: &str, words: &Words) -> Markup {
    let label = words.restart.fill(&[("service", &service)]);
    let action = Action {
        service: Some(service),
        ..Action::new("restart", &label, words.restart_hint)
    };
    action.form(csrf, words)
}

fn doubts_time(snapshot: &Snapshot) -> bool {
    let clock = snapshot.health.get(&Subject::Clock).and_then(Option::as_ref);
    clock.is_some_and(|finding| finding.level > Level::Ok)
}

fn report(csrf: &str, words: &Words) -> Markup {
    html! {
        li {
            form method="post" action="/diagnostics" {
                (secret(csrf))
                (hint(words.report_hint))
                button { (words.report) }
            }
        }
    }
}

fn backup(csrf: &str, words: &Words) -> Markup {
    html! {
        li {
            form method="post" action="/backup" {
                (secret(csrf))
                (hint(words.backup_hint))
                @for (name, label) in [("passphrase", words.passphrase), ("again", words.passphrase_again)] {
                    label class="line" {
                        (label)
                        " "
                        input type="password" name=(name) autocomplete="new-password" minlength="10" required;
                    }
                }
                button { (words.backup) }
            }
        }
    }
}

fn restore(csrf: &str, words: &Words) -> Markup {
    html! {
        li {
            form method="post" action="/restore" enctype="multipart/form-data" {
                (secret(csrf))
                (hint(words.restore_hint))
                label class="line" { (words.restore_file) " " input type="file" name="file" required; }
                label class="line" {
                    (words.passphrase)
                    " "
                    input type="password" name="passphrase" autocomplete="off" required;
                }
                label class="sure" {
                    input type="checkbox" name="identity" value="only";
                    " "
                    (words.restore_identity)
                }
                (sure(words))
                button class="grave" { (words.restore) }
            }
        }
    }
}

fn secret(csrf: &str) -> Markup {
    html! {
        input type="hidden" name="csrf" value=(csrf);
    }
}

fn sure(words: &Words) -> Markup {
    html! {
        label class="sure" {
            input type="checkbox" name="sure" value="yes" required;
            " "
            (words.sure)
        }
    }
}
