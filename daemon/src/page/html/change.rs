//! The section that changes something: closed to every browser but the one that was given access.

use maud::{Markup, html};

use super::parts::hint;
use crate::asking::{Asker, Refusal};
use crate::page::lock::Lock;
use crate::page::texts;
use crate::page::view::View;
use crate::snapshot::{Level, ServiceStateName, Snapshot, Subject};

pub(super) fn section(view: &View<'_>) -> Markup {
    let takes_code = view.has_word && !matches!(view.lock, Lock::Open { .. } | Lock::Refused(Refusal::Taken));
    html! {
        h2 { (texts::CHANGE) }
        (lock(view))
        @if takes_code {
            (by_code())
        }
        (who_asks(&view.snapshot.asking))
    }
}

fn lock(view: &View<'_>) -> Markup {
    match view.lock {
        Lock::Closed => html! {
            (hint(texts::CHANGE_HOW))
            form method="post" action="/ask" { button { (texts::CHANGE_ASK) } }
        },
        Lock::Refused(refusal) => hint(&texts::may_not_ask(refusal)),
        Lock::Asking { number, turn, before } => html! {
            p class="press" { span class="badge tone-busy" { (texts::your_number(number)) } }
            p { (texts::asking_turn(turn, number, before)) }
            (hint(texts::CHANGE_OTHER_NUMBER))
        },
        Lock::Open { csrf } => html! {
            (hint(texts::CHANGE_OPEN))
            ul class="actions" { (actions(view, csrf)) }
        },
    }
}

fn by_code() -> Markup {
    html! {
        form method="post" action="/ask" {
            label {
                (texts::CHANGE_WORD)
                " "
                input type="password" name="word" autocomplete="off" required;
            }
            " "
            button { (texts::CHANGE_WORD_ASK) }
        }
    }
}

/// Everybody sees who asks, in the order of their turns: who is about to press the button needs to know.
fn who_asks(asking: &[Asker]) -> Markup {
    html! {
        @if !asking.is_empty() {
            h3 { (texts::ASKING) }
            ul class="asking" {
                @for asker in asking {
                    li { (texts::asker(asker)) }
                }
            }
            (hint(texts::ASKING_REFUSE))
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

    fn form(&self, csrf: &str) -> Markup {
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
                        (sure())
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
    let services = view.snapshot.services.iter();
    let services = services.filter(|service| service.state != ServiceStateName::Disabled);
    let confirm_time = Action::new("confirm-time", texts::CONFIRM_TIME, texts::CONFIRM_TIME_HINT);
    let reset = Action {
        grave: true,
        ..Action::new("factory-reset", texts::FACTORY_RESET, texts::FACTORY_RESET_HINT)
    };
    html! {
        @for service in services {
            (restart(&service.name, csrf))
        }
        (report(csrf))
        (backup(csrf))
        (restore(csrf))
        @if doubts_time(view.snapshot) {
            (confirm_time.form(csrf))
        }
        @if view.switches {
            (Action::new("reboot", texts::REBOOT, texts::REBOOT_HINT).form(csrf))
            (Action::new("power-off", texts::POWER_OFF, texts::POWER_OFF_HINT).form(csrf))
        }
        (reset.form(csrf))
    }
}

fn restart(service: &str, csrf: &str) -> Markup {
    let label = texts::restart_service(service);
    let action = Action {
        service: Some(service),
        ..Action::new("restart", &label, texts::RESTART_HINT)
    };
    action.form(csrf)
}

fn doubts_time(snapshot: &Snapshot) -> bool {
    let clock = snapshot.health.get(&Subject::Clock).and_then(Option::as_ref);
    clock.is_some_and(|finding| finding.level > Level::Ok)
}

fn report(csrf: &str) -> Markup {
    html! {
        li {
            form method="post" action="/diagnostics" {
                (secret(csrf))
                (hint(texts::DIAGNOSTICS_HINT))
                button { (texts::DIAGNOSTICS) }
            }
        }
    }
}

fn backup(csrf: &str) -> Markup {
    html! {
        li {
            form method="post" action="/backup" {
                (secret(csrf))
                (hint(texts::BACKUP_HINT))
                @for (name, label) in [("passphrase", texts::PASSPHRASE), ("again", texts::PASSPHRASE_AGAIN)] {
                    label class="line" {
                        (label)
                        " "
                        input type="password" name=(name) autocomplete="new-password" minlength="10" required;
                    }
                }
                button { (texts::BACKUP) }
            }
        }
    }
}

fn restore(csrf: &str) -> Markup {
    html! {
        li {
            form method="post" action="/restore" enctype="multipart/form-data" {
                (secret(csrf))
                (hint(texts::RESTORE_HINT))
                label class="line" { (texts::RESTORE_FILE) " " input type="file" name="file" required; }
                label class="line" {
                    (texts::PASSPHRASE)
                    " "
                    input type="password" name="passphrase" autocomplete="off" required;
                }
                label class="sure" {
                    input type="checkbox" name="identity" value="only";
                    " "
                    (texts::RESTORE_IDENTITY)
                }
                (sure())
                button class="grave" { (texts::RESTORE) }
            }
        }
    }
}

fn secret(csrf: &str) -> Markup {
    html! {
        input type="hidden" name="csrf" value=(csrf);
    }
}

fn sure() -> Markup {
    html! {
        label class="sure" {
            input type="checkbox" name="sure" value="yes" required;
            " "
            (texts::SURE)
        }
    }
}
