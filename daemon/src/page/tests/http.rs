//! Requests, good and bad, over real sockets.

use super::*;
use crate::indicator::SILENCE;

fn in_language(served: &Served, path: &str, language: &str) -> Got {
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept-Language: {language}\r\n\r\n");
    served.send(head.as_bytes()).expect("an answer")
}

#[test]
fn the_page_and_its_refusals_are_in_the_browsers_language() {
    let served = serve(sample::ok());
    for _ in 0..2 {
        // The second time from what was kept of the first.
        for (language, tag, word) in [
            ("de-AT,de;q=0.9,en;q=0.5", "de", "Läuft"),
            ("en", "en", "Working"),
            ("fr", "en", "Working"),
        ] {
            let page = in_language(&served, "/", language);
            assert!(page.body.contains(&format!("<html lang=\"{tag}\">")), "{language}");
            assert!(
                page.body.contains(&format!("<h1 id=\"word\">{word}</h1>")),
                "{language}"
            );
            assert!(page.head.contains("vary: accept-language"), "{}", page.head);
            assert!(page.head.contains(&format!("content-language: {tag}")), "{}", page.head);
        }
    }
    let nothing = in_language(&served, "/nothing", "de");
    assert_eq!(
        (nothing.status, nothing.body.as_str()),
        (404, "Hier ist nichts. Die Seite liegt unter /\n")
    );
    let done = in_language(&served, "/?done=restart", "de");
    assert!(done.body.contains("Der Dienst startet neu."), "{}", done.body);
    // What machines read is the same for all.
    let english = served.get("/status.json").body;
    assert_eq!(in_language(&served, "/status.json", "de").body, english);
    assert_eq!(in_language(&served, "/healthz", "de").body, "ok\n");
}

#[test]
fn the_paths() {
    let served = serve(sample::ok());
    let page = served.get("/");
    assert_eq!(page.status, 200);
    assert!(
        page.head.contains("content-type: text/html; charset=utf-8"),
        "{}",
        page.head
    );
    assert!(page.body.contains("<h1 id=\"word\">Working</h1>"));
    let policy = page
        .head
        .lines()
        .find(|line| line.starts_with("content-security-policy"))
        .unwrap();
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert!(page.head.contains("cache-control: no-store"));

    let status = served.get("/status.json");
    let json: serde_json::Value = serde_json::from_str(&status.body).unwrap();
    assert_eq!(
        (status.status, &json["state"], &json["archive"]["envelopes"]),
        (200, &"ok".into(), &128_934.into())
    );
    assert!(
        json.get("unlock").is_none(),
        "which browser has access is nobody's business"
    );

    let metrics = served.get("/metrics");
    assert!(metrics.head.contains("text/plain; version=0.0.4"), "{}", metrics.head);
    assert!(
        metrics.body.contains("\npillarbox_archive_envelopes 128934\n"),
        "{}",
        metrics.body
    );

    let health = served.get("/healthz");
    assert_eq!((health.status, health.body.as_str()), (200, "ok\n"));
}

#[test]
fn head_is_get_without_a_body() {
    let served = serve(sample::ok());
    let got = served.send(b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert_eq!((got.status, got.body.as_str()), (200, ""));
    assert!(got.head.contains("content-length: "), "{}", got.head);
}

#[test]
fn healthz_follows_the_state() {
    let served = serve(sample::starting());
    assert_eq!(served.get("/healthz").status, 503);
    for (snapshot, status, word) in [
        (sample::ok(), 200, "ok\n"),
        (sample::degraded(), 200, "degraded\n"),
        (sample::failed(), 503, "failed\n"),
    ] {
        served.snapshots.send_replace(Arc::new(snapshot));
        let got = served.get("/healthz");
        assert_eq!((got.status, got.body.as_str()), (status, word));
    }
}

#[test]
fn a_supervisor_that_hangs_is_said_and_is_not_healthy() {
    let served = serve(sample::ok());
    assert_eq!(served.get("/healthz").status, 200);
    wait_for("silence", || served.get("/healthz").body == "silent\n");
    assert!(served.get("/").body.contains("<h1 id=\"word\">Silent</h1>"));
    served.snapshots.send_modify(|_| {});
    wait_for("the supervisor's return", || served.get("/healthz").status == 200);
    assert!(SILENCE < Duration::from_secs(5));
}

#[test]
fn refusals() {
    let served = serve(sample::ok());
    let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "A: b\r\n".repeat(200));
    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nA: {}\r\n\r\n", "x".repeat(60_000));
    let path = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(60_000));
    let cases: &[(&str, &str, &[u16])] = &[
        ("another name", "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", &[421]),
        (
            "another name for JSON",
            "GET /status.json HTTP/1.1\r\nHost: evil.example\r\n\r\n",
            &[421],
        ),
        (
            "another name for healthz",
            "GET /healthz HTTP/1.1\r\nHost: pillarbox.local.evil.example\r\n\r\n",
            &[421],
        ),
        ("no name", "GET / HTTP/1.1\r\n\r\n", &[421]),
        (
            "two names",
            "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
            &[421],
        ),
        (
            "a name in the address",
            "GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
            &[421],
        ),
        ("HTTP/1.0 without a name", "GET / HTTP/1.0\r\n\r\n", &[421]),
        ("unknown path", "GET /admin HTTP/1.1\r\nHost: localhost\r\n\r\n", &[404]),
        (
            "a path upwards",
            "GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
            &[404],
        ),
        (
            "POST",
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc",
            &[405],
        ),
        (
            "DELETE",
            "DELETE /status.json HTTP/1.1\r\nHost: localhost\r\n\r\n",
            &[405],
        ),
        (
            "a method of its own",
            "BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            &[405],
        ),
        (
            "CONNECT",
            "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n",
            &[421],
        ),
        ("not HTTP", "\x16\x03\x01\x02\x00\x01\x00", &[400]),
        ("many headers", &many, &[431]),
        ("long headers", &long, &[431]),
        ("a long path", &path, &[414, 431]),
    ];
    for (what, request, statuses) in cases {
        let got = served.send(request.as_bytes());
        // A refusal that overtakes what is still being sent may be lost with the connection; a page never comes.
        let big = request.len() > 20_000;
        match got {
            Some(got) => assert!(statuses.contains(&got.status), "{what}: {} {}", got.status, got.head),
            None => assert!(big, "{what}: closed without a word"),
        }
    }
    assert_eq!(served.get("/").status, 200, "and the page goes on");
}

#[test]
fn names_that_are_answered() {
    let served = serve(sample::ok());
    for host in [
        "localhost:8080",
        "127.0.0.1",
        "[::1]:80",
        "pillarbox-1a2b.local",
        "post.example.org",
        "POST.example.org",
    ] {
        let got = served
            .send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes())
            .unwrap();
        assert_eq!(got.status, 200, "{host}");
    }
}

#[test]
fn a_refused_method_says_which_are_allowed() {
    let got = serve(sample::ok())
        .send(b"PUT / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    assert!(got.head.contains("allow: get, head"), "{}", got.head);
}

#[test]
fn pipelined_requests_get_one_answer_and_an_end() {
    let served = serve(sample::ok());
    let one = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let got = served.send(one.repeat(50).as_bytes()).unwrap();
    assert_eq!(got.status, 200);
    assert!(got.head.contains("connection: close"), "{}", got.head);
    assert_eq!(got.body, "ok\n", "one answer, whole");
}

#[test]
fn a_request_in_pieces_is_one_request() {
    let served = serve(sample::ok());
    let mut stream = served.connect();
    for piece in [
        "GE",
        "T /hea",
        "lthz HT",
        "TP/1.1\r\nHo",
        "st: localhost\r",
        "\n\r",
        "\n",
    ] {
        stream.write_all(piece.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert_eq!(parse(&answer).unwrap().status, 200);
}

#[test]
fn the_idle_and_the_slow_are_closed_in_time() {
    let served = serve(sample::ok());
    let mut idle = served.connect();
    let mut slow = served.connect();
    slow.write_all(b"GET / HTTP/1.1\r\nHost: local").unwrap();
    for (what, stream) in [("idle", &mut idle), ("slow", &mut slow)] {
        let mut answer = Vec::new();
        stream
            .read_to_end(&mut answer)
            .unwrap_or_else(|error| panic!("{what} was not closed: {error}"));
    }
}

#[test]
fn a_taken_port_is_said_retried_and_had_in_the_end() {
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = other.local_addr().unwrap();
    let (_snapshots, seen) = watch::channel(Arc::new(sample::ok()));
    let (sender, mut events) = event::channel();
    let mut address = start(options(listen), seen, sender).unwrap();
    let mut troubles = Vec::new();
    let mut collect = |count: usize| {
        wait_for("a report", || {
            while let Ok(Event::Missing {
                part: Part::Page,
                trouble,
            }) = events.try_recv()
            {
                troubles.push(trouble);
            }
            troubles.len() >= count
        });
        troubles.clone()
    };
    let said = collect(1)[0].clone().expect("trouble");
    assert!(
        said.contains(&listen.to_string()) && said.contains("page.listen"),
        "{said}"
    );
    drop(other);
    assert_eq!(wait_bound(&mut address), listen);
    assert_eq!(collect(2)[1], None, "said that it is over");
}

use super::super::{Event, Part};
