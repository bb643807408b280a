//! A child's line without what the daemon's own line already says: its time and its level. The level is kept, as the
//! level of the daemon's line.
//!
//! Known forms: `tracing`'s and most others' (`2026-01-31T23:59:59.123Z  INFO text`, with a space for the `T`, too) and
//! nwaku's (`INF 2026-01-31 23:59:59.123+00:00 text`). Anything else is left as it is.

use tracing::Level;

/// The level, if the line names one, and what is left of the line.
pub(crate) fn strip(line: &str) -> (Option<Level>, &str) {
    let (mut level, mut rest, mut timed) = (None, line.trim_start(), false);
    loop {
        let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
        if level.is_none()
            && let Some(found) = level_of(word)
        {
            level = Some(found);
        } else if !timed && is_date_time(word) {
            timed = true;
        } else if !timed && is_date(word) && after.split_once(' ').is_some_and(|(next, _)| is_time(next)) {
            let (_, later) = after.split_once(' ').unwrap_or_default();
            (timed, rest) = (true, later.trim_start());
            continue;
        } else {
            break;
        }
        rest = after.trim_start();
    }
    // A word that happens to be a level is only taken with a time beside it, and a line is never left empty.
    if timed && !rest.is_empty() {
        (level, rest)
    } else {
        (None, line)
    }
}

fn level_of(word: &str) -> Option<Level> {
    Some(match word {
        "TRACE" | "TRC" => Level::TRACE,
        "DEBUG" | "DBG" => Level::DEBUG,
        "INFO" | "INF" | "NOTICE" | "NTC" | "NOT" => Level::INFO,
        "WARN" | "WRN" | "WARNING" => Level::WARN,
        "ERROR" | "ERR" | "FATAL" | "FAT" => Level::ERROR,
        _ => return None,
    })
}

fn is_date(word: &str) -> bool {
    fits(word, "0000-00-00")
}

fn is_time(word: &str) -> bool {
    let (clock, fraction) = word.split_at_checked(8).unwrap_or((word, ""));
    fits(clock, "00:00:00")
        && fraction
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b".,Z+-:".contains(&byte))
}

fn is_date_time(word: &str) -> bool {
    word.split_once('T')
        .is_some_and(|(date, time)| is_date(date) && is_time(time))
}

fn fits(word: &str, form: &str) -> bool {
    let same = |(byte, wanted): (u8, u8)| {
        if wanted == b'0' {
            byte.is_ascii_digit()
        } else {
            byte == wanted
        }
    };
    word.len() == form.len() && word.bytes().zip(form.bytes()).all(same)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_forms_and_all_others() {
        for (line, level, left) in [
            (
                "2026-11-21T14:07:34.123456Z  INFO pillarbox_mailserver::node: listening port=60000",
                Some(Level::INFO),
                "pillarbox_mailserver::node: listening port=60000",
            ),
            ("2026-11-21 14:07:34,123 WARNING disk", Some(Level::WARN), "disk"),
            (
                "WRN 2026-11-21 14:07:34.123+00:00 no peers   topics=\"waku\"",
                Some(Level::WARN),
                "no peers   topics=\"waku\"",
            ),
            ("2026-11-21T14:07:34Z started", None, "started"),
            ("ERROR 3 of 4 failed", None, "ERROR 3 of 4 failed"),
            ("2026-11-21 was a Saturday", None, "2026-11-21 was a Saturday"),
            ("2026-11-21T14:07:34Z", None, "2026-11-21T14:07:34Z"),
            ("port 60000 is in use", None, "port 60000 is in use"),
            ("", None, ""),
        ] {
            assert_eq!(strip(line), (level, left), "{line}");
        }
    }

    proptest! {
        #[test]
        fn what_is_left_is_the_end_of_the_line(line in "\\PC{0,80}") {
            prop_assert!(line.ends_with(strip(&line).1));
        }
    }
}
