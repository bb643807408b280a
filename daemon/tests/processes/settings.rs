//! Settings read again, the machine switched, and what systemd is told.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use nix::sys::signal::Signal;
use pillarboxd::config::Config;
use pillarboxd::event::{Ending, Event, Gesture, Request};
use pillarboxd::snapshot::{BoxState, ServiceStateName};

use crate::command_line::json_until;
use crate::support::{Daemon, Files, PATIENCE, Program, pids, service, wait_until};

const SLEEP: &str = "echo $$ >> $D/pids; exec sleep 1000";

#[tokio::test(flavor = "multi_thread")]
async fn settings_read_again_restart_only_what_changed() {
    let files = Files::new("")
        .service("changed", SLEEP, "")
        .service("removed", SLEEP, "")
        .service("same", SLEEP, "essential = true");
    let mut daemon = Daemon::start(&files);
    let same = daemon.until_active("same").await;
    daemon.until_active("changed").await;
    daemon.until_active("removed").await;
    std::fs::remove_file(files.path("services/removed.toml")).unwrap();
    let files = files
        .service("changed", SLEEP, "environment = { MORE = \"1\" }")
        .service("added", SLEEP, "");
    daemon
        .send(Event::Reread(Box::new(Config::read(&files.config()))))
        .await;
    let snapshot = daemon
        .until("the new settings", |snapshot| {
            snapshot.services.iter().all(|service| service.name != "removed")
                && snapshot.services.iter().any(|service| service.name == "added")
                && snapshot
                    .services
                    .iter()
                    .all(|service| service.state == ServiceStateName::Active)
                && service(snapshot, "changed").restarts == 1
        })
        .await;
    assert_eq!(
        (service(&snapshot, "same").pid, service(&snapshot, "same").restarts),
        (Some(same), 0)
    );
    daemon.until("ok", |snapshot| snapshot.state == BoxState::Ok).await;
    // A mistake changes nothing, and shows.
    std::fs::write(files.config(), "colour = 1").unwrap();
    daemon
        .send(Event::Reread(Box::new(Config::read(&files.config()))))
        .await;
    let snapshot = daemon
        .until("the mistake", |snapshot| snapshot.state == BoxState::Degraded)
        .await;
    assert!(snapshot.reason.to_string().contains("colour"), "{}", snapshot.reason);
    assert_eq!(service(&snapshot, "same").pid, Some(same));
    daemon.stop().await;
}

#[test]
fn sighup_makes_the_program_read_its_settings() {
    let files = Files::new("").service("one", SLEEP, "");
    let program = Program::start(&files);
    pids(&files.path("pids"), 1);
    let files = files.service("two", SLEEP, "");
    program.signal(Signal::SIGHUP);
    pids(&files.path("pids"), 2);
}

/// A node that tells one thing of itself, for as long as the test runs.
fn node(peer_id: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let body = format!("{{\"listenAddresses\": [\"/ip4/127.0.0.1/tcp/1/p2p/{peer_id}\"]}}");
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            // Who asked may be gone.
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all((head + &body).as_bytes());
        }
    });
    format!("http://{address}/debug/v1/info")
}

#[test]
fn another_node_is_asked_after_sighup() {
    let told = |address: &str| format!("[node]\ninfo = {address:?}\n");
    let files = Files::new("").service("one", SLEEP, &told(&node("first")));
    let program = Program::start(&files);
    json_until(&files, &["peers"], |peers| peers["peer_id"] == "first");
    let files = files.service("one", SLEEP, &told(&node("second")));
    program.signal(Signal::SIGHUP);
    json_until(&files, &["peers"], |peers| peers["peer_id"] == "second");
    std::fs::remove_file(files.path("services/one.toml")).unwrap();
    program.signal(Signal::SIGHUP);
    json_until(&files, &["peers"], |peers| peers["peer_id"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reboot_ends_the_services_first() {
    for (event, wanted) in [
        (Event::Button(Gesture::Reboot), Some(Ending::Reboot)),
        (Event::Asked(Request::End(Ending::PowerOff)), Some(Ending::PowerOff)),
        (Event::Button(Gesture::FactoryReset), Some(Ending::FactoryReset)),
        (Event::Stop, None),
    ] {
        let files = Files::new("").service("one", SLEEP, "");
        let mut daemon = Daemon::start(&files);
        let pid = daemon.until_active("one").await;
        daemon.send(event).await;
        assert_eq!(daemon.stop().await, wanted);
        assert!(!crate::support::lives(pid as i32));
    }
}

/// Without power over the machine, a reset starts the daemon from anew, under the same pid.
#[test]
fn a_factory_reset_sets_aside_and_keeps_the_identity() {
    let shell = "test -e identity || echo first > identity; echo mail > mail; echo $$ >> $D/pids; exec sleep 1000";
    let files = Files::new("").service("one", shell, "identity = [\"identity\"]");
    let _program = Program::start(&files);
    pids(&files.path("pids"), 1);
    wait_until("its files", || files.path("state/one/mail").exists());
    std::fs::write(files.path("state/one/mail"), "old").unwrap();
    let fifo = files.path("state/simulated/button");
    // Held for more than 10 s: the one gesture that cannot be had sooner.
    std::fs::write(&fifo, "down\n").unwrap();
    std::thread::sleep(Duration::from_millis(10_500));
    std::fs::write(&fifo, "up\n").unwrap();
    pids(&files.path("pids"), 2);
    wait_until("a new file", || {
        std::fs::read_to_string(files.path("state/one/mail")).is_ok_and(|mail| mail == "mail\n")
    });
    assert_eq!(
        std::fs::read_to_string(files.path("state/one/identity")).unwrap(),
        "first\n"
    );
    let aside = std::fs::read_dir(files.path("state"))
        .unwrap()
        .flatten()
        .find(|entry| entry.file_name().to_string_lossy().starts_with("one.set-aside-"));
    assert_eq!(
        std::fs::read_to_string(aside.unwrap().path().join("mail")).unwrap(),
        "old"
    );
}

#[test]
fn systemd_is_told_ready_status_watchdog_and_stopping() {
    let files = Files::new("").service("one", SLEEP, "essential = true");
    let path = files.path("notify");
    let notified = UnixDatagram::bind(&path).unwrap();
    notified.set_read_timeout(Some(PATIENCE)).unwrap();
    let watchdog_usec = "200000";
    let environment = [
        ("NOTIFY_SOCKET", path.to_str().unwrap()),
        ("WATCHDOG_USEC", watchdog_usec),
    ];
    let program = Program::start_with(&files, &environment);
    let mut told = String::new();
    let mut until = |wanted: &str, times: usize| {
        while told.matches(wanted).count() < times {
            let word = receive(&notified).unwrap_or_else(|| panic!("no {wanted} in {told:?}"));
            told.push_str(&word);
            told.push('\n');
        }
    };
    until("READY=1", 1);
    until("STATUS=everything is working", 1);
    until("WATCHDOG=1", 3);
    // A loop that does not run feeds no watchdog.
    program.signal(Signal::SIGSTOP);
    notified.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    while receive(&notified).is_some() {}
    program.signal(Signal::SIGCONT);
    program.signal(Signal::SIGTERM);
    notified.set_read_timeout(Some(PATIENCE)).unwrap();
    while !receive(&notified).expect("nothing of stopping").contains("STOPPING=1") {}
}

/// The next word, or nothing when the time limit is over.
fn receive(socket: &UnixDatagram) -> Option<String> {
    let mut buffer = [0; 4096];
    loop {
        match socket.recv(&mut buffer) {
            Ok(count) => return Some(String::from_utf8_lossy(&buffer[..count]).into_owned()),
            // Another test's child ended.
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}
