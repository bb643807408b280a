//! The section that changes something: closed for everybody but the browser whose asking the button granted.

use std::collections::BTreeMap;

use super::markup::{Markup, put};
use super::texts;
use super::view::View;
use crate::event::Request;
use crate::snapshot::{Level, ServiceStateName, Snapshot, Subject, Unlock};

/// How the lock looks to the browser that asks for the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lock<'a> {
    Closed,
    /// This browser asked, and the button was not pressed yet.
    Waiting,
    /// Several browsers asked.
    Contested,
    /// This browser was let in; its forms carry this secret.
    Open {
        csrf: &'a str,
    },
    /// Another browser was let in.
    Taken,
}

impl<'a> Lock<'a> {
    /// `own` is the browser's number and secret, if it ever asked.
    pub(super) fn of(snapshot: &Snapshot, own: Option<(u64, &'a str)>) -> Lock<'a> {
        match (snapshot.unlock, own) {
            (Unlock::Granted { browser }, Some((number, csrf))) if browser == number => Lock::Open { csrf },
            (Unlock::Granted { .. }, _) => Lock::Taken,
            (Unlock::Waiting { browser }, Some((number, _))) if browser == number => Lock::Waiting,
            (Unlock::Contested, _) => Lock::Contested,
            (Unlock::Locked | Unlock::Waiting { .. }, _) => Lock::Closed,
        }
    }
}

/// What a form of the open section asks for; nothing if it is not one of them.
pub(super) fn asked(fields: &BTreeMap<String, String>) -> Option<Request> {
    let sure = fields.get("sure").is_some_and(|sure| sure == "yes");
    match fields.get("what").map(String::as_str)? {
        "restart" => Some(Request::Restart {
            service: fields.get("service")?.clone(),
        }),
        "reboot" => Some(Request::Reboot),
        "power-off" => Some(Request::PowerOff),
        "confirm-time" => Some(Request::ConfirmTime),
        "factory-reset" if sure => Some(Request::FactoryReset),
        _ => None,
    }
}

/// The word for the address that the browser is sent back to, and what it then reads.
pub(super) fn done(request: &Request) -> &'static str {
    match request {
        Request::Restart { .. } => "restart",
        Request::Reboot => "reboot",
        Request::PowerOff => "power-off",
        Request::FactoryReset => "factory-reset",
        Request::Restore => "restore",
        Request::ConfirmTime => "confirm-time",
    }
}

pub(super) fn section(view: &View<'_>) -> Markup {
    let mut out = Markup::new();
    put!(out, "<h2>", &texts::CHANGE, "</h2>");
    match view.lock {
        Lock::Closed => closed(&mut out, texts::CHANGE_HOW, view.has_word),
        Lock::Contested => closed(&mut out, texts::CHANGE_CONTESTED, view.has_word),
        Lock::Waiting => {
            put!(
                out,
                "<p class=\"press\"><span class=\"badge tone-busy\">",
                &texts::CHANGE_PRESS,
                "</span></p>"
            );
            put!(out, "<p class=\"hint\">", &texts::CHANGE_PRESS_HINT, "</p>");
        }
        Lock::Taken => put_hint(&mut out, texts::CHANGE_TAKEN),
        Lock::Open { csrf } => open(&mut out, view, csrf),
    }
    out
}

fn put_hint(out: &mut Markup, text: &str) {
    put!(*out, "<p class=\"hint\">", &text, "</p>");
}

fn closed(out: &mut Markup, text: &str, has_word: bool) {
    put_hint(out, text);
    put!(
        *out,
        "<form method=\"post\" action=\"/ask\"><button>",
        &texts::CHANGE_ASK,
        "</button></form>"
    );
    if has_word {
        put!(
            *out,
            "<form method=\"post\" action=\"/ask\"><label>",
            &texts::CHANGE_WORD
        );
        put!(
            *out,
            " <input type=\"password\" name=\"word\" autocomplete=\"off\" required></label> <button>"
        );
        put!(*out, &texts::CHANGE_WORD_ASK, "</button></form>");
    }
}

fn open(out: &mut Markup, view: &View<'_>, csrf: &str) {
    put_hint(out, texts::CHANGE_OPEN);
    put!(*out, "<ul class=\"deeds\">");
    for service in &view.snapshot.services {
        if service.state != ServiceStateName::Disabled {
            let label = texts::restart_service(&service.name);
            deed(
                out,
                csrf,
                "restart",
                &label,
                texts::RESTART_HINT,
                Some(&service.name),
                false,
            );
        }
    }
    put!(
        *out,
        "<li><form method=\"post\" action=\"/diagnostics\"><input type=\"hidden\" name=\"csrf\" value=\""
    );
    put!(
        *out,
        &csrf,
        "\"><p class=\"hint\">",
        &texts::DIAGNOSTICS_HINT,
        "</p><button>",
        &texts::DIAGNOSTICS
    );
    put!(*out, "</button></form></li>");
    copies(out, csrf);
    if doubts_time(view.snapshot) {
        deed(
            out,
            csrf,
            "confirm-time",
            texts::CONFIRM_TIME,
            texts::CONFIRM_TIME_HINT,
            None,
            false,
        );
    }
    if view.switches {
        for (what, label, hint) in [
            ("reboot", texts::REBOOT, texts::REBOOT_HINT),
            ("power-off", texts::POWER_OFF, texts::POWER_OFF_HINT),
        ] {
            deed(out, csrf, what, label, hint, None, false);
        }
    }
    deed(
        out,
        csrf,
        "factory-reset",
        texts::FACTORY_RESET,
        texts::FACTORY_RESET_HINT,
        None,
        true,
    );
    put!(*out, "</ul>");
}

fn doubts_time(snapshot: &Snapshot) -> bool {
    let clock = snapshot.health.get(&Subject::Clock).and_then(Option::as_ref);
    clock.is_some_and(|finding| finding.level > Level::Ok)
}

/// Backup and restore.
fn copies(out: &mut Markup, csrf: &str) {
    put!(
        *out,
        "<li><form method=\"post\" action=\"/backup\"><input type=\"hidden\" name=\"csrf\" value=\"",
        &csrf,
        "\"><p class=\"hint\">",
        &texts::BACKUP_HINT,
        "</p>"
    );
    for (name, label) in [("passphrase", texts::PASSPHRASE), ("again", texts::PASSPHRASE_AGAIN)] {
        put!(
            *out,
            "<label class=\"line\">",
            &label,
            " <input type=\"password\" name=\"",
            &name,
            "\" autocomplete=\"new-password\" minlength=\"10\" required></label>"
        );
    }
    put!(*out, "<button>", &texts::BACKUP, "</button></form></li>");
    put!(
        *out,
        "<li><form method=\"post\" action=\"/restore\" enctype=\"multipart/form-data\"><input type=\"hidden\" name=\"csrf\" value=\"",
        &csrf,
        "\"><p class=\"hint\">",
        &texts::RESTORE_HINT,
        "</p>"
    );
    put!(
        *out,
        "<label class=\"line\">",
        &texts::RESTORE_FILE,
        " <input type=\"file\" name=\"file\" required></label>"
    );
    put!(
        *out,
        "<label class=\"line\">",
        &texts::PASSPHRASE,
        " <input type=\"password\" name=\"passphrase\" autocomplete=\"off\" required></label>"
    );
    put!(
        *out,
        "<label class=\"sure\"><input type=\"checkbox\" name=\"identity\" value=\"only\"> ",
        &texts::RESTORE_IDENTITY,
        "</label><label class=\"sure\"><input type=\"checkbox\" name=\"sure\" value=\"yes\" required> ",
        &texts::SURE,
        "</label><button class=\"grave\">",
        &texts::RESTORE,
        "</button></form></li>"
    );
}

fn deed(out: &mut Markup, csrf: &str, what: &str, label: &str, hint: &str, service: Option<&str>, grave: bool) {
    put!(
        *out,
        "<li><form method=\"post\" action=\"/act\"><input type=\"hidden\" name=\"csrf\" value=\"",
        &csrf
    );
    put!(*out, "\"><input type=\"hidden\" name=\"what\" value=\"", &what, "\">");
    if let Some(service) = service {
        put!(
            *out,
            "<input type=\"hidden\" name=\"service\" value=\"",
            &service,
            "\">"
        );
    }
    put!(*out, "<p class=\"hint\">", &hint, "</p>");
    if grave {
        put!(
            *out,
            "<label class=\"sure\"><input type=\"checkbox\" name=\"sure\" value=\"yes\" required> "
        );
        put!(
            *out,
            &texts::SURE,
            "</label><button class=\"grave\">",
            &label,
            "</button>"
        );
    } else {
        put!(*out, "<button>", &label, "</button>");
    }
    put!(*out, "</form></li>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_by_browser() {
        const ME: u64 = 1;
        const OTHER: u64 = 2;
        let open = Lock::Open { csrf: "s" };
        for (unlock, mine, stranger) in [
            (Unlock::Locked, Lock::Closed, Lock::Closed),
            (Unlock::Waiting { browser: ME }, Lock::Waiting, Lock::Closed),
            (Unlock::Waiting { browser: OTHER }, Lock::Closed, Lock::Closed),
            (Unlock::Contested, Lock::Contested, Lock::Contested),
            (Unlock::Granted { browser: ME }, open, Lock::Taken),
            (Unlock::Granted { browser: OTHER }, Lock::Taken, Lock::Taken),
        ] {
            let mut snapshot = Snapshot::at_start("dev");
            snapshot.unlock = unlock;
            assert_eq!(Lock::of(&snapshot, Some((ME, "s"))), mine, "{unlock:?}");
            assert_eq!(Lock::of(&snapshot, None), stranger, "{unlock:?}");
        }
    }

    #[test]
    fn forms_and_what_they_ask_for() {
        let asked = |pairs: &[(&str, &str)]| {
            asked(
                &pairs
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                    .collect(),
            )
        };
        let restart = Request::Restart {
            service: "mailserver".to_owned(),
        };
        assert_eq!(asked(&[("what", "restart"), ("service", "mailserver")]), Some(restart));
        assert_eq!(asked(&[("what", "reboot")]), Some(Request::Reboot));
        assert_eq!(asked(&[("what", "power-off")]), Some(Request::PowerOff));
        assert_eq!(asked(&[("what", "confirm-time")]), Some(Request::ConfirmTime));
        assert_eq!(
            asked(&[("what", "factory-reset"), ("sure", "yes")]),
            Some(Request::FactoryReset)
        );
        for not in [
            &[][..],
            &[("what", "factory-reset")],
            &[("what", "restart")],
            &[("what", "rm -rf")],
        ] {
            assert_eq!(asked(not), None, "{not:?}");
        }
    }
}
