//! The forms that change something, as requests to the supervisor.

use std::collections::BTreeMap;

use crate::event::{Ending, Request};
use crate::wording::Wording;

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

/// The word for the address that the browser is sent back to.
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

/// What the browser then reads, by that word.
pub(super) fn done_in_words(word: &str, wording: &'static Wording) -> Option<&'static str> {
    let words = &wording.change;
    match word {
        "restart" => Some(words.done_restart),
        "reboot" => Some(words.done_reboot),
        "power-off" => Some(words.done_power_off),
        "factory-reset" => Some(words.done_factory_reset),
        "restore" => Some(words.done_restore),
        "confirm-time" => Some(words.done_confirm_time),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
