//! The HTML of each state, word for word, without the style and the script, which are files of their own. After a
//! change that is meant: `UPDATE_GOLDEN=1 cargo test -p pillarboxd`, and look at the difference.

use std::path::Path;

use super::sample;
use crate::asking::{Asker, Resting, Turn};
use crate::page::history::HOURS;
use crate::page::html::{self as drawn, SCRIPT, STYLE};
use crate::page::lock::Lock;
use crate::page::view::View;
use crate::program::Program;
use crate::snapshot::Snapshot;
use crate::wording::{ENGLISH, Language};
use std::net::IpAddr;
use std::time::Duration;

fn at(last: u8) -> IpAddr {
    IpAddr::from([192, 168, 1, last])
}

fn html(snapshot: &Snapshot, silent: Option<Duration>, lock: Lock<'_>) -> String {
    html_in(Language::English, snapshot, silent, lock)
}

fn html_in(language: Language, snapshot: &Snapshot, silent: Option<Duration>, lock: Lock<'_>) -> String {
    drawn::document(&View {
        words: language.wording(),
        ..view_of(snapshot, silent, lock)
    })
}

fn view_of<'a>(snapshot: &'a Snapshot, silent: Option<Duration>, lock: Lock<'a>) -> View<'a> {
    let mut hours = [None; HOURS];
    let mut sizes = Vec::new();
    if snapshot.archive.envelopes.is_some() {
        for (index, hour) in hours.iter_mut().enumerate().skip(5) {
            *hour = Some((index as u64 * 7919) % 6100);
        }
        let quarters = (0..76u64)
            .rev()
            .map(|quarter| (Duration::from_secs(900 * quarter), 271_000_000 - quarter * 2_100_000));
        sizes = quarters.collect();
    }
    let seen_for = Duration::from_secs(19 * 3600);
    View {
        words: &ENGLISH,
        snapshot,
        silent,
        hours,
        sizes,
        seen_for,
        now: sample::NOW,
        host: "pillarbox.local",
        lock,
        log: sample::log(),
        done: None,
        switches: true,
        has_code: false,
    }
}

#[test]
fn each_state_looks_as_it_did() {
    let asker = |browser, number, last, program: &str, turn| Asker {
        browser,
        number,
        address: at(last),
        program: Program::Said(program.to_owned()),
        turn,
    };
    let mut asked = sample::degraded();
    asked.asking = vec![
        asker(1, 34, 1, "Firefox on Android", Turn::Ready),
        asker(2, 51, 2, "Safari on iPhone", Turn::Waiting),
    ];
    let mut rests = sample::ok();
    rests.unlock.resting = vec![Resting {
        address: at(3),
        left: Duration::from_secs(42),
    }];
    let csrf = "0123456789abcdef";
    let mut granted = sample::failed();
    granted.unlock.granted = Some(7);
    let states = [
        ("starting", sample::starting(), None, None, at(1)),
        ("ok", sample::ok(), None, None, at(1)),
        ("degraded", asked, None, Some((1, "secret")), at(1)),
        ("failed", granted, None, Some((7, csrf)), at(1)),
        ("silent", rests, Some(Duration::from_secs(7)), None, at(3)),
    ];
    for language in Language::ALL {
        for (state, snapshot, silent, own, peer) in &states {
            let lock = Lock::of(snapshot, *own, *peer);
            is_as_it_was(state, language, &html_in(language, snapshot, *silent, lock));
        }
        let left_out = ["services.mailserver.program".to_owned(), "<b>".to_owned()];
        is_as_it_was("left-out", language, &drawn::left_out(&left_out, language.wording()));
    }
}

fn is_as_it_was(state: &str, language: Language, html: &str) {
    let html = html.replace(STYLE, "").replace(SCRIPT, "");
    // A line for each element: readable differences.
    let html = html.replace('<', "\n<").replace("\n</", "</").trim_start().to_owned();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/page/tests/golden");
    let path = dir.join(format!("{state}.{}.html", language.tag()));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(&path, &html).unwrap();
        return;
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        html == golden,
        "{state} looks different in {language:?}; if that is meant, run with UPDATE_GOLDEN=1 and look at it"
    );
}

#[test]
fn a_machine_that_cannot_be_switched_is_not_offered_to_be() {
    let snapshot = sample::ok();
    let open = Lock::Open { csrf: "0" };
    for switches in [true, false] {
        let view = View {
            switches,
            ..view_of(&snapshot, None, open)
        };
        let html = drawn::document(&view);
        for what in ["value=\"reboot\"", "value=\"power-off\""] {
            assert_eq!(html.contains(what), switches, "{what}");
        }
        assert!(html.contains("value=\"factory-reset\""));
    }
}

#[test]
fn nothing_hostile_gets_through() {
    let html = html(
        &sample::failed(),
        None,
        Lock::Open {
            csrf: "0123456789abcdef",
        },
    );
    assert_eq!(html.matches("<script").count(), 1, "only the page's own");
    assert!(!html.contains("alert(\""), "quotes are escaped");
    assert!(
        !html.contains("<i>") && !html.contains("203.0.113.9"),
        "the log is escaped and redacted"
    );
    assert!(
        html.contains("&lt;script&gt;alert(&quot;1&quot;)"),
        "and shown for what they are"
    );
}

#[test]
fn nothing_is_loaded_from_elsewhere() {
    for snapshot in [sample::ok(), sample::failed()] {
        let html = html(&snapshot, None, Lock::Open { csrf: "0" });
        for needle in ["src=", "@import", "url(", "https://"] {
            assert!(!html.contains(needle), "{needle}");
        }
        let links: Vec<&str> = html
            .split("href=\"")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap())
            .collect();
        assert!(
            links
                .iter()
                .all(|link| link.starts_with('/') || link.starts_with("data:")),
            "{links:?}"
        );
        assert!(!html.contains(" style=\""), "the policy would refuse it");
        assert!(html.len() < 60_000, "{} bytes", html.len());
    }
}
