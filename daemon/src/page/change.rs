//! The section that changes something: closed for everybody but the browser whose asking the button granted.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::markup::{Markup, put};
use super::texts;
use super::view::View;
use crate::asking::{self, Asker, Refusal, Turn};
use crate::event::{Ending, Request};
use crate::snapshot::{Level, ServiceStateName, Snapshot, Subject};

/// How the lock looks to the browser that asks for the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lock<'a> {
    Closed,
    /// This browser asked; so many are before it.
    Asking {
        number: u8,
        turn: Turn,
        before: usize,
    },
    /// It may not ask now.
    Refused(Refusal),
    /// This browser was let in; its forms carry this secret.
    Open {
        csrf: &'a str,
    },
}

impl<'a> Lock<'a> {
    /// `own` is the browser's number and secret, if it ever asked, and `peer` where it is.
    pub(super) fn of(snapshot: &Snapshot, own: Option<(u64, &'a str)>, peer: IpAddr) -> Lock<'a> {
        match (snapshot.unlock.granted, own) {
            (Some(granted), Some((browser, csrf))) if granted == browser => return Lock::Open { csrf },
            (Some(_), _) => return Lock::Refused(Refusal::Taken),
            (None, _) => {}
        }
        let place = own.and_then(|(browser, _)| snapshot.asking.iter().position(|asker| asker.browser == browser));
        if let Some(before) = place {
            let Asker { number, turn, .. } = snapshot.asking[before];
            return Lock::Asking { number, turn, before };
        }
        let resting = snapshot.unlock.resting.iter().copied();
        match asking::refusal(&snapshot.asking, resting, peer) {
            Some(refusal) => Lock::Refused(refusal),
            None => Lock::Closed,
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
        "reboot" => Some(Request::End(Ending::Reboot)),
        "power-off" => Some(Request::End(Ending::PowerOff)),
        "confirm-time" => Some(Request::ConfirmTime),
        "factory-reset" if sure => Some(Request::End(Ending::FactoryReset)),
        _ => None,
    }
}

/// The word for the address that the browser is sent back to, and what it then reads.
pub(super) fn done(request: &Request) -> &'static str {
    match request {
        Request::Restart { .. } => "restart",
        Request::End(Ending::Reboot) => "reboot",
        Request::End(Ending::PowerOff) => "power-off",
        Request::End(Ending::FactoryReset) => "factory-reset",
        Request::End(Ending::Restore) => "restore",
        Request::ConfirmTime => "confirm-time",
    }
}

pub(super) fn section(view: &View<'_>) -> Markup {
    let mut out = Markup::new();
    put!(out, "<h2>", &texts::CHANGE, "</h2>");
    match view.lock {
        Lock::Closed => {
            put_hint(&mut out, texts::CHANGE_HOW);
            put!(
                out,
                "<form method=\"post\" action=\"/ask\"><button>",
                &texts::CHANGE_ASK,
                "</button></form>"
            );
        }
        Lock::Refused(refusal) => put_hint(&mut out, &texts::may_not_ask(refusal)),
        Lock::Asking { number, turn, before } => {
            put!(
                out,
                "<p class=\"press\"><span class=\"badge tone-busy\">",
                &texts::your_number(number),
                "</span></p><p>",
                &texts::asking_turn(turn, number, before),
                "</p>"
            );
            put_hint(&mut out, texts::CHANGE_OTHER_NUMBER);
        }
        Lock::Open { csrf } => open(&mut out, view, csrf),
    }
    if view.has_word && !matches!(view.lock, Lock::Open { .. } | Lock::Refused(Refusal::Taken)) {
        word(&mut out);
    }
    who_asks(&mut out, &view.snapshot.asking);
    out
}

fn put_hint(out: &mut Markup, text: &str) {
    put!(*out, "<p class=\"hint\">", &text, "</p>");
}

fn word(out: &mut Markup) {
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

/// Everybody sees who asks, in the order of their turns: whoever is about to press the button needs to know.
fn who_asks(out: &mut Markup, asking: &[Asker]) {
    if asking.is_empty() {
        return;
    }
    put!(*out, "<h3>", &texts::ASKING, "</h3><ul class=\"asking\">");
    for asker in asking {
        put!(*out, "<li>", &texts::asker(asker), "</li>");
    }
    put!(*out, "</ul>");
    put_hint(out, texts::ASKING_REFUSE);
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
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_lock_by_browser() {
        const ME: u64 = 1;
        const OTHER: u64 = 2;
        let (mine, theirs, third): (IpAddr, IpAddr, IpAddr) =
            ([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), [10, 0, 0, 3].into());
        let asker = |browser, address, turn| Asker {
            browser,
            number: 34,
            address,
            program: String::new(),
            turn,
        };
        let asking = |turn, before| Lock::Asking {
            number: 34,
            turn,
            before,
        };
        let taken = Lock::Refused(Refusal::Taken);
        let another = Lock::Refused(Refusal::Another);
        let me = asker(ME, mine, Turn::Showing);
        let other = asker(OTHER, theirs, Turn::Ready);
        let behind = asker(ME, mine, Turn::Waiting);
        for (granted, askers, to_me, to_third, beside_me) in [
            (None, vec![], Lock::Closed, Lock::Closed, Lock::Closed),
            (None, vec![me], asking(Turn::Showing, 0), Lock::Closed, another),
            (None, vec![other.clone()], Lock::Closed, Lock::Closed, Lock::Closed),
            (
                None,
                vec![other, behind],
                asking(Turn::Waiting, 1),
                Lock::Closed,
                another,
            ),
            (Some(ME), vec![], Lock::Open { csrf: "s" }, taken, taken),
            (Some(OTHER), vec![], taken, taken, taken),
        ] {
            let mut snapshot = Snapshot::at_start("dev");
            (snapshot.unlock.granted, snapshot.asking) = (granted, askers);
            assert_eq!(Lock::of(&snapshot, Some((ME, "s")), mine), to_me, "{snapshot:?}");
            assert_eq!(Lock::of(&snapshot, None, third), to_third, "{snapshot:?}");
            assert_eq!(Lock::of(&snapshot, None, mine), beside_me, "{snapshot:?}");
        }
        let mut snapshot = Snapshot::at_start("dev");
        let left = Duration::from_secs(30);
        snapshot.unlock.resting = vec![asking::Resting { address: mine, left }];
        let resting = Lock::Refused(Refusal::Resting { left });
        assert_eq!(Lock::of(&snapshot, Some((ME, "s")), mine), resting);
        assert_eq!(Lock::of(&snapshot, None, third), Lock::Closed);
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
        assert_eq!(asked(&[("what", "reboot")]), Some(Request::End(Ending::Reboot)));
        assert_eq!(asked(&[("what", "power-off")]), Some(Request::End(Ending::PowerOff)));
        assert_eq!(asked(&[("what", "confirm-time")]), Some(Request::ConfirmTime));
        assert_eq!(
            asked(&[("what", "factory-reset"), ("sure", "yes")]),
            Some(Request::End(Ending::FactoryReset))
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
