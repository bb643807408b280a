//! Access by the button, with a supervisor's word for every answer, and everything that must be refused.

use super::*;
use crate::asking::{Asker, Turn};
use crate::event::{Ending, Request};
use crate::program::Program;

fn asker(browser: u64) -> Asker {
    Asker {
        browser,
        number: 34,
        address: [127, 0, 0, 1].into(),
        program: Program::of("Android Firefox/1"),
        turn: Turn::Ready,
    }
}

/// A browser: a cookie, and the forms that it saw.
struct Browser<'a> {
    served: &'a Served,
    cookie: String,
}

impl Served {
    fn post(&self, path: &str, origin: &str, cookie: &str, body: &str) -> Got {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost:80\r\nOrigin: {origin}\r\nCookie: {cookie}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.send(request.as_bytes()).expect("an answer")
    }

    fn browser(&self) -> Browser<'_> {
        Browser {
            served: self,
            cookie: String::new(),
        }
    }

    /// The next event that a page may send to the supervisor.
    fn event(&mut self) -> Event {
        let mut event = None;
        wait_for("an event", || {
            event = self.events.try_recv().ok();
            event.is_some()
        });
        event.unwrap()
    }

    fn asked(&mut self) -> u64 {
        match self.event() {
            Event::UnlockAsked { browser, address, .. } => {
                assert_eq!(address, std::net::IpAddr::from([127, 0, 0, 1]));
                browser
            }
            other => panic!("{other:?}"),
        }
    }

    /// The supervisor's word: who asks, and who has access.
    fn say(&self, asking: Option<u64>, granted: Option<u64>) {
        self.snapshots.send_modify(|snapshot| {
            let snapshot = Arc::make_mut(snapshot);
            snapshot.asking = asking.into_iter().map(asker).collect();
            snapshot.unlock.granted = granted;
        });
    }
}

impl Browser<'_> {
    /// Requests access and keeps the cookie.
    fn ask(&mut self) {
        let got = self.served.post("/ask", "http://localhost:80", &self.cookie, "");
        assert_eq!(got.status, 303, "{}", got.head);
        let cookie = got
            .head
            .lines()
            .find_map(|line| line.strip_prefix("set-cookie: "))
            .expect("a cookie");
        for part in ["httponly", "samesite=strict", "path=/"] {
            assert!(cookie.contains(part), "{cookie}");
        }
        self.cookie = cookie.split(';').next().unwrap().to_owned();
    }

    fn page(&self) -> String {
        let request = format!(
            "GET / HTTP/1.1\r\nHost: localhost:80\r\nCookie: {}\r\n\r\n",
            self.cookie
        );
        self.served.send(request.as_bytes()).unwrap().body
    }

    fn csrf(&self) -> Option<String> {
        let page = self.page();
        let (_, rest) = page.split_once("name=\"csrf\" value=\"")?;
        rest.split('"').next().map(str::to_owned)
    }

    fn act(&self, origin: &str, body: &str) -> Got {
        self.served.post("/act", origin, &self.cookie, body)
    }
}

const HERE: &str = "http://localhost:80";

#[test]
fn from_asking_to_doing_and_out_again() {
    let mut served = serve(sample::ok());
    let cookie = {
        let mut browser = served.browser();
        assert!(browser.page().contains("Request access</button>"));
        assert_eq!(browser.csrf(), None, "no form before the button");
        browser.ask();
        browser.cookie
    };
    let number = served.asked();
    served.say(Some(number), None);
    let browser = Browser {
        served: &served,
        cookie: cookie.clone(),
    };
    let page = browser.page();
    for words in [
        "Your number: 34",
        "Press the button on the box now",
        "then 3 short ones",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert_eq!(browser.csrf(), None);
    let page = served.browser().page();
    assert!(
        page.contains("34: Firefox on Android at 127.0.0.1"),
        "everybody sees who asks: {page}"
    );
    assert!(!page.contains("Your number"), "{page}");
    assert!(
        page.contains("Another browser at your address has already requested access"),
        "{page}"
    );

    served.say(None, Some(number));
    let browser = Browser {
        served: &served,
        cookie: cookie.clone(),
    };
    let csrf = browser.csrf().expect("forms");
    let got = browser.act(HERE, &format!("csrf={csrf}&what=restart&service=mailserver"));
    assert_eq!(got.status, 303);
    assert!(got.head.contains("location: /?done=restart"), "{}", got.head);
    let report = served.post("/diagnostics", HERE, &cookie, &format!("csrf={csrf}"));
    assert!(report.head.contains("attachment"), "{}", report.head);
    assert!(
        report.body.contains("\"envelopes\": 128934") && !report.body.contains("HAmPLe7Mzm8TsYUub"),
        "{}",
        report.body
    );
    let reset = format!("csrf={csrf}&what=factory-reset&sure=yes");
    assert_eq!(browser.act(HERE, &reset).status, 303);
    let page = served
        .send(b"GET /?done=restart HTTP/1.1\r\nHost: localhost:80\r\n\r\n")
        .unwrap()
        .body;
    assert!(page.contains("The service is restarting."));
    let restart = Request::Restart {
        service: "mailserver".to_owned(),
    };
    assert!(matches!(served.event(), Event::Asked(asked) if asked == restart));
    assert!(matches!(
        served.event(),
        Event::Asked(Request::End(Ending::FactoryReset))
    ));

    served.say(None, None);
    let browser = Browser {
        served: &served,
        cookie,
    };
    wait_for("the end of the grant", || {
        browser.page().contains("Request access</button>")
    });
    assert_eq!(browser.act(HERE, &reset).status, 403);
    // The cookie was good for one grant: even if the supervisor's word came back, this browser is a stranger.
    served.say(None, Some(number));
    assert_eq!(browser.csrf(), None);
    assert_eq!(browser.act(HERE, &reset).status, 403);
}

#[test]
fn a_browser_without_access_does_nothing() {
    let mut served = serve(sample::ok());
    let ask = |served: &Served| {
        let mut browser = served.browser();
        browser.ask();
        browser.cookie
    };
    let mine = ask(&served);
    let me = served.asked();
    let theirs = ask(&served);
    let _ = served.asked();
    served.say(None, Some(me));
    let my = Browser {
        served: &served,
        cookie: mine.clone(),
    };
    let csrf = my.csrf().unwrap();
    let reboot = format!("csrf={csrf}&what=reboot");
    let other = Browser {
        served: &served,
        cookie: theirs,
    };
    assert!(other.page().contains("Another browser has access"));
    let stranger = served.browser();
    let cases = [
        ("another browser with my secret", other.act(HERE, &reboot)),
        ("no cookie", stranger.act(HERE, &reboot)),
        ("no secret", my.act(HERE, "what=reboot")),
        (
            "a wrong secret",
            my.act(HERE, "csrf=00000000000000000000000000000000&what=reboot"),
        ),
        ("another site", my.act("http://evil.example", &reboot)),
        ("no site", my.act("null", &reboot)),
        ("another port", my.act("http://localhost:8081", &reboot)),
        ("no action", my.act(HERE, &format!("csrf={csrf}"))),
        ("an unknown action", my.act(HERE, &format!("csrf={csrf}&what=format"))),
        (
            "a reset without being sure",
            my.act(HERE, &format!("csrf={csrf}&what=factory-reset")),
        ),
        (
            "a broken form",
            my.act(HERE, &format!("csrf={csrf}&what=reboot&what=reboot")),
        ),
    ];
    for (what, got) in cases {
        assert_eq!(got.status, 403, "{what}");
    }
    assert_eq!(served.post("/diagnostics", HERE, &mine, "csrf=0").status, 403);
    assert_eq!(my.act(HERE, &"x".repeat(10_000)).status, 413);
    assert!(served.events.try_recv().is_err(), "nothing reached the supervisor");
}

#[test]
fn asking_twice_is_one_browser_and_another_at_the_same_address_is_told() {
    let mut served = serve(sample::ok());
    let cookie = {
        let mut browser = served.browser();
        browser.ask();
        let first = browser.cookie.clone();
        browser.ask();
        assert_eq!(browser.cookie, first);
        first
    };
    let number = served.asked();
    assert_eq!(served.asked(), number);
    served.say(Some(number), None);
    let refused = served.post("/ask", HERE, "", "");
    assert_eq!(refused.status, 429);
    assert!(
        refused.body.contains("has already requested access"),
        "{}",
        refused.body
    );
    assert_eq!(
        served.post("/ask", HERE, &cookie, "").status,
        303,
        "the one that asks is still welcome"
    );
    assert!(served.events.try_recv().is_err(), "and has its place already");
    // Somebody else has access.
    served.say(None, Some(number + 1));
    let refused = served.post("/ask", HERE, &cookie, "");
    assert_eq!(refused.status, 429);
    assert!(refused.body.contains("has access right now"), "{}", refused.body);
    assert!(served.events.try_recv().is_err(), "nothing reached the supervisor");
}

#[test]
fn a_busy_supervisor_is_said() {
    let served = serve(sample::ok());
    let mut statuses = Vec::new();
    for _ in 0..=event::CAPACITY {
        statuses.push(served.post("/ask", HERE, "", "").status);
    }
    assert_eq!(statuses.last(), Some(&503), "a full channel is not waited for");
}

#[test]
fn a_slow_form_ends() {
    let served = serve(sample::ok());
    let mut stream = served.connect();
    let head = "POST /ask HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n\
                Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\nabc";
    stream.write_all(head.as_bytes()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("closed by the page");
    assert!(parse(&answer).is_none_or(|got| got.status >= 400));
}

#[test]
fn the_access_code_from_the_card_unlocks_without_a_press() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("unlock.txt");
    std::fs::write(&file, "correct horse\n").unwrap();
    let mut served = serve_with(sample::ok(), |options| options.token_file = Some(file.clone()));
    assert!(served.get("/").body.contains("name=\"code\""));
    let origin = "http://localhost:80";
    assert_eq!(served.post("/ask", origin, "", "code=wrong+horse").status, 403);
    assert_eq!(
        served.post("/ask", origin, "", "code=correct+horse").status,
        429,
        "one attempt per second"
    );
    assert!(served.events.try_recv().is_err());
    std::thread::sleep(Duration::from_millis(1100));
    let unlocked = served.post("/ask", origin, "", "code=correct+horse");
    assert_eq!(unlocked.status, 303);
    assert!(matches!(served.event(), Event::Unlocked { .. }));
    // From another site, the code is worth nothing.
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(
        served
            .post("/ask", "http://evil.example", "", "code=correct+horse")
            .status,
        403
    );
}
