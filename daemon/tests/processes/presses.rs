//! Browsers that ask to be let in, and the button, with the built daemon: an owner beside hosts of the network that ask
//! all the time. Each host is an address of the loopback network.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::command_line::{json_until, pillarbox, text};
use crate::restores::{PASSPHRASE, sealed, settings_with_a_program};
use crate::support::{Files, PATIENCE, Program, pids, wait_until};

const OWNER: u8 = 2;
/// An asker's turn, and a machine that is busy meanwhile.
const SOME_TURNS: Duration = Duration::from_secs(240);

struct House {
    files: Files,
    page: SocketAddr,
    _program: Program,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn cookie(&self) -> Option<String> {
        let line = self.head.lines().find_map(|line| line.strip_prefix("set-cookie: "))?;
        line.split(';').next().map(str::to_owned)
    }
}

impl House {
    fn start() -> House {
        let shell = "echo $$ >> $D/pids; exec sleep 1000";
        let files = Files::new("").service("one", shell, "essential = true");
        // Free a moment ago; a page whose port was taken meanwhile would ask for it again.
        let page = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let settings = std::fs::read_to_string(files.config()).unwrap();
        std::fs::write(files.config(), settings.replace("127.0.0.1:0", &page.to_string())).unwrap();
        let house = House {
            page,
            _program: Program::start(&files),
            files,
        };
        json_until(&house.files, &["status"], |status| status["state"] == "ok");
        pids(&house.files.path("pids"), 1);
        wait_until("the page", || TcpStream::connect(page).is_ok());
        house
    }

    /// One request of the host 127.0.0.`last`.
    fn send(&self, last: u8, request: &[u8]) -> Answer {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let stream = runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind((Ipv4Addr::new(127, 0, 0, last), 0).into()).unwrap();
            socket.connect(self.page).await.unwrap().into_std().unwrap()
        });
        let mut stream: TcpStream = stream;
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        Answer {
            status: head
                .split(' ')
                .nth(1)
                .and_then(|word| word.parse().ok())
                .unwrap_or_default(),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    fn post(&self, last: u8, path: &str, cookie: &str, kind: &str, body: &[u8]) -> Answer {
        let page = self.page;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {page}\r\nOrigin: http://{page}\r\nCookie: {cookie}\r\n\
             User-Agent: Mozilla/5.0 (Android 15; Mobile) Gecko/140.0 Firefox/140.0\r\n\
             Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.send(last, &[head.as_bytes(), body].concat())
    }

    fn form(&self, last: u8, path: &str, cookie: &str, body: &str) -> Answer {
        self.post(last, path, cookie, "application/x-www-form-urlencoded", body.as_bytes())
    }

    fn ask(&self, last: u8, cookie: &str) -> Answer {
        self.form(last, "/ask", cookie, "")
    }

    fn page(&self, last: u8, cookie: &str) -> String {
        let request = format!("GET / HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\n\r\n", self.page);
        self.send(last, request.as_bytes()).body
    }

    /// What the forms of a browser carry that was let in.
    fn csrf(&self, last: u8, cookie: &str) -> Option<String> {
        let page = self.page(last, cookie);
        let (_, rest) = page.split_once("name=\"csrf\" value=\"")?;
        rest.split('"').next().map(str::to_owned)
    }

    fn status(&self) -> Value {
        serde_json::from_slice(&pillarbox(&self.files, &["--json", "status"]).stdout).unwrap_or_default()
    }

    /// The asker that a press would let in now, by its host.
    fn ready(&self) -> Option<u8> {
        let status = self.status();
        let first = &status["asking"][0];
        let last = first["address"].as_str()?.rsplit('.').next()?.parse().ok()?;
        (first["turn"] == "ready").then_some(last)
    }

    fn press(&self) {
        assert!(pillarbox(&self.files, &["press"]).status.success());
    }

    /// Lets a browser of this host in as its owner does: asks, waits for its own number, and presses.
    fn let_in(&self, last: u8) -> (String, String) {
        let cookie = self.ask(last, "").cookie().expect("a cookie");
        wait_until("the number", || self.ready() == Some(last));
        self.press();
        let mut csrf = None;
        wait_until("the forms", || {
            csrf = self.csrf(last, &cookie);
            csrf.is_some()
        });
        (cookie, csrf.unwrap())
    }
}

/// Waits until the owner's number is shown while `others` ask on and on, and never presses before.
fn until_ready(house: &House, mut others: impl FnMut()) {
    let begun = std::time::Instant::now();
    while house.ready() != Some(OWNER) {
        assert!(
            begun.elapsed() < SOME_TURNS,
            "the owner's number never came: {}",
            house.status()["asking"]
        );
        others();
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn an_owner_is_let_in_while_a_host_asks_all_the_time() {
    let house = House::start();
    // With two cookies, as fast as it can, and first.
    let cookies: Vec<Option<String>> = (0..2).map(|_| house.ask(66, "").cookie()).collect();
    let pester = || {
        for cookie in cookies.iter().flatten().map(String::as_str).chain([""]) {
            house.ask(66, cookie);
        }
    };
    json_until(&house.files, &["status"], |status| {
        status["asking"].as_array().is_some_and(|asking| asking.len() == 1)
    });
    let mine = house.ask(OWNER, "").cookie().expect("a cookie");
    let asking = json_until(&house.files, &["unlock"], |asking| {
        asking.as_array().is_some_and(|all| all.len() == 2)
    });
    assert_eq!(asking[1]["address"], "127.0.0.2");
    assert_eq!(asking[1]["program"], "Firefox on Android");
    let number = asking[1]["number"].as_u64().unwrap();
    assert_ne!(asking[0]["number"].as_u64(), Some(number));
    let page = house.page(OWNER, &mine);
    assert!(
        page.contains(&format!("Your number: {number}")) && page.contains("One browser is before this one"),
        "{page}"
    );
    let listed = text(&pillarbox(&house.files, &["unlock"]));
    assert!(
        listed.contains(&format!("{number}: Firefox on Android at 127.0.0.2")),
        "{listed}"
    );

    until_ready(&house, pester);
    json_until(&house.files, &["leds"], |leds| {
        leds["status"] == format!("asking-{number}")
    });
    house.press();
    wait_until("the owner's forms", || house.csrf(OWNER, &mine).is_some());
    for cookie in cookies.iter().flatten() {
        assert_eq!(house.csrf(66, cookie), None, "the other one was not let in");
    }

    // And stays in, however many ask now.
    for _ in 0..40 {
        assert_eq!(house.ask(66, "").status, 429);
    }
    let csrf = house.csrf(OWNER, &mine).expect("still let in");
    let done = house.form(OWNER, "/act", &mine, &format!("csrf={csrf}&what=restart&service=one"));
    assert_eq!(done.status, 303, "{}", done.body);
    pids(&house.files.path("pids"), 2);
}

/// A press that is meant for the box, or for nobody that asks: what it does for whom is told by light and page.
#[test]
fn a_press_never_serves_two_purposes() {
    let house = House::start();
    let cookie = house.ask(66, "").cookie().expect("a cookie");
    json_until(&house.files, &["status"], |status| {
        status["asking"][0]["turn"] == "showing"
    });
    house.press();
    assert_eq!(house.csrf(66, &cookie), None, "its number had not been blinked once");
    // A hold refuses it, and the address is quiet.
    wait_until("the number", || house.ready() == Some(66));
    let page = house.page(OWNER, "");
    assert!(
        page.contains("Firefox on Android at 127.0.0.66"),
        "everybody sees who asks: {page}"
    );
    assert!(pillarbox(&house.files, &["press", "--hold", "2500ms"]).status.success());
    json_until(&house.files, &["status"], |status| {
        status["asking"] == serde_json::json!([])
    });
    let refused = house.ask(66, &cookie);
    assert_eq!(refused.status, 429);
    assert!(refused.body.contains("may do so again in"), "{}", refused.body);
    assert_eq!(house.csrf(66, &cookie), None);
    assert_eq!(
        pids(&house.files.path("pids"), 1).len(),
        1,
        "nothing was restarted by any of it"
    );

    // The command takes the number of one that asks, and no other.
    let mine = house.ask(OWNER, "").cookie().expect("a cookie");
    let asking = json_until(&house.files, &["unlock"], |asking| asking[0]["number"].is_u64());
    let refused = pillarbox(&house.files, &["unlock", "99"]);
    assert!(
        text(&refused).contains("no browser is requesting access under the number 99"),
        "{}",
        text(&refused)
    );
    let let_in = pillarbox(&house.files, &["unlock", &asking[0]["number"].to_string()]);
    assert!(let_in.status.success(), "{}", text(&let_in));
    wait_until("the forms", || house.csrf(OWNER, &mine).is_some());
}

/// The whole of it by the page: let in, and with a backup that names a program.
#[test]
fn a_backup_from_the_page_names_no_program() {
    let house = House::start();
    let (cookie, csrf) = house.let_in(66);
    let weak = format!("csrf={csrf}&passphrase=aaaaaaaaaa&again=aaaaaaaaaa");
    let refused = house.form(66, "/backup", &cookie, &weak);
    assert_eq!(refused.status, 422);
    assert!(refused.body.contains("too easy to guess"), "{}", refused.body);

    let settings = settings_with_a_program(&house.files);
    let backup = sealed(&[("settings/pillarboxd.toml", &settings)]);
    let mut body = Vec::new();
    for (name, value) in [("csrf", csrf.as_str()), ("passphrase", PASSPHRASE), ("sure", "yes")] {
        let part = format!("--cut\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend(part.into_bytes());
    }
    body.extend(b"--cut\r\nContent-Disposition: form-data; name=\"file\"; filename=\"b.age\"\r\n\r\n");
    body.extend(&backup);
    body.extend(b"\r\n--cut--\r\n");
    let answer = house.post(66, "/restore", &cookie, "multipart/form-data; boundary=cut", &body);
    assert_eq!(answer.status, 200, "{}", answer.body);
    for words in ["services.one.program", "services.one.extra_arguments", "were left out"] {
        assert!(answer.body.contains(words), "{words}: {}", answer.body);
    }
    pids(&house.files.path("pids"), 2);
    json_until(&house.files, &["status"], |status| status["state"] == "ok");
    assert!(!house.files.path("owned").exists(), "the backup's program ran");
}
