//! A clock that is years ahead at a start, and right again afterwards, under the built daemon: whatever it showed, no
//! message is lost, and the box goes on. Time servers are the test's own, on loopback.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use archive::{Archive, Envelope, Inserted, Options, Policy};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::clock::faked_by;
use crate::command_line::{json_until, pillarbox, text};
use crate::retention::{fill, now_ns};
use crate::support::{Files, Program, wait_until};

const HOUR_NS: i64 = 3_600_000_000_000;
const SECOND_NS: i64 = 1_000_000_000;
const YEARS_20: &str = "+7300d";
const YEARS_20_SECS: i64 = 7300 * 86_400;
/// From NTP's epoch to Unix's (RFC 4330, section 3).
const EPOCHS_APART_SECS: i64 = 2_208_988_800;

/// A box with 40 envelopes whose time is not over, that is started and stopped with one clock and another.
struct Box {
    files: Files,
    program: Option<Program>,
}

impl Box {
    fn new(files: Files) -> Box {
        let settings = "essential = true\nidentity = [\"nodekey\"]\n[archive]\npath = \"{state_dir}/archive\"\n";
        let files = files.service(
            "one",
            "test -e $HOME/nodekey || echo key > $HOME/nodekey; exec sleep 1000",
            settings,
        );
        // Of an hour from now: no true clock expires them while the test runs.
        fill(&files.path("state/archive"), now_ns() + HOUR_NS, 40);
        Box { files, program: None }
    }

    fn start(&mut self, offset: &str) {
        self.program = Some(Program::start_with(&self.files, &faked_by(&self.files, offset)));
    }

    fn stop(&mut self) {
        let mut program = self.program.take().unwrap();
        program.signal(Signal::SIGTERM);
        assert!(program.child.wait().unwrap().success());
    }

    fn status_when(&self, condition: impl Fn(&Value) -> bool) -> Value {
        json_until(&self.files, &["status"], condition)
    }

    fn policy(&self) -> Option<Policy> {
        archive::retention::read_policy(&self.files.path("state/archive"))
            .ok()
            .flatten()
    }

    /// A pruning run rewrites a policy that is not there, and prunes by it afterwards: the second one proves that the
    /// first has ended.
    fn prune_runs(&self, condition: impl Fn(&Policy) -> bool) {
        for run in 0..3 {
            let _ = std::fs::remove_file(self.files.path("state/archive/policy"));
            wait_until(&format!("pruning run {run}"), || {
                self.policy().is_some_and(|policy| condition(&policy))
            });
        }
    }

    fn saved(&self, name: &str) -> Option<i64> {
        let text = std::fs::read_to_string(self.files.path("state").join(name)).ok()?;
        text.split_whitespace().next()?.parse().ok()
    }

    fn save(&self, name: &str, text: &str) {
        std::fs::create_dir_all(self.files.path("state")).unwrap();
        std::fs::write(self.files.path("state").join(name), text).unwrap();
    }

    /// Whether the archive takes an envelope of this moment, as the mailserver would put it there.
    fn takes_envelopes(&self) -> bool {
        let archive = Archive::open(&self.files.path("state/archive"), Options::default()).unwrap();
        let now = now_ns();
        archive.tick(now).unwrap();
        let envelope = Envelope {
            pubsub_topic: "/waku/2/rs/16/32".to_owned(),
            content_topic: "/test/1/b/proto".to_owned(),
            payload: b"after".to_vec(),
            version: None,
            timestamp: now,
            meta: None,
            rate_limit_proof: None,
        };
        let taken = matches!(archive.insert(&envelope, now).unwrap(), Inserted::Stored(_));
        archive.close().unwrap();
        taken
    }
}

fn clock(status: &Value) -> (&str, &str) {
    let clock = &status["health"]["clock"];
    (
        clock["level"].as_str().unwrap_or(""),
        clock["detail"].as_str().unwrap_or(""),
    )
}

fn now_secs() -> i64 {
    now_ns() / SECOND_NS
}

#[test]
fn one_start_twenty_years_ahead_loses_nothing_and_the_right_time_is_believed_again() {
    let mut tested = Box::new(Files::new("retention = \"24s\""));
    tested.start("+0");
    tested.status_when(|status| clock(status).0 == "ok" && status["archive"]["envelopes"] == 40);
    tested.stop();

    tested.start(YEARS_20);
    tested.prune_runs(|policy| policy.clock_trusted);
    let kept = archive::retention::survey(&tested.files.path("state/archive")).unwrap();
    assert_eq!(kept.envelopes, 40, "a leap removes nothing");
    assert!(tested.policy().unwrap().held);
    let status = tested.status_when(|status| clock(status).1.contains("more than a day ahead"));
    assert!(clock(&status).1.contains("for the next 24 h"), "{status}");
    assert_eq!(status["archive"]["pruned_total"], 0);
    tested.stop();
    assert!(
        tested.saved("trusted-time").unwrap() < now_secs() + 60,
        "the leap raised no floor"
    );
    assert!(tested.saved("leap").unwrap() > now_secs() + YEARS_20_SECS - 3600);

    tested.start("+0");
    tested.status_when(|status| clock(status) == ("ok", "the time is known") && status["archive"]["envelopes"] == 40);
    tested.prune_runs(|policy| {
        policy.clock_trusted && !policy.held && policy.cutoff.is_some_and(|cutoff| cutoff < now_ns())
    });
    tested.stop();
    assert_eq!(tested.saved("leap"), None, "it is undone");
    assert!(tested.takes_envelopes());
}

/// A leap that is right ends what is over, once it has stood for a day of running time, counted across starts.
#[test]
fn a_leap_that_stands_for_a_day_is_the_time() {
    let mut tested = Box::new(Files::new("retention = \"24s\""));
    tested.save("trusted-time", &now_secs().to_string());
    tested.save("leap", &format!("{} {}\n", now_secs() + YEARS_20_SECS, 86_400 - 5));
    tested.start(YEARS_20);
    tested.status_when(|status| clock(status).1.contains("for the next 1 h"));
    tested.status_when(|status| clock(status).1 == "the time is known" && status["archive"]["pruned_total"] == 40);
    tested.stop();
    assert!(tested.saved("trusted-time").unwrap() > now_secs() + YEARS_20_SECS - 3600);
    assert_eq!(tested.saved("leap"), None);
}

/// A time server of the test's, whose time is off by so many seconds.
struct TimeServer {
    address: String,
    off_secs: Arc<AtomicI64>,
}

impl TimeServer {
    fn start(ip: &str, off_secs: i64) -> TimeServer {
        let socket = UdpSocket::bind((ip, 0)).unwrap();
        let address = socket.local_addr().unwrap().to_string();
        let off = Arc::new(AtomicI64::new(off_secs));
        let off_secs = Arc::clone(&off);
        // Ends with the test's process.
        std::thread::spawn(move || {
            let mut request = [0; 48];
            while let Ok((48, from)) = socket.recv_from(&mut request) {
                let secs = now_secs() + off.load(Ordering::Relaxed) + EPOCHS_APART_SECS;
                let mut reply = [0; 48];
                (reply[0], reply[1]) = (4 << 3 | 4, 2);
                reply[24..32].copy_from_slice(&request[40..]);
                // The era is not told: its seconds have 32 bits.
                reply[40..44].copy_from_slice(&(secs as u32).to_be_bytes());
                let _ = socket.send_to(&reply, from);
            }
        });
        TimeServer { address, off_secs }
    }
}

/// Settings of a board as it is shipped: the clock counts once it is synchronised, which the sign of timesyncd says.
fn synchronised(servers: &[&TimeServer]) -> Files {
    let servers: Vec<String> = servers.iter().map(|server| format!("{:?}", server.address)).collect();
    let main = format!("retention = \"24s\"\ntime_servers = [{}]", servers.join(", "));
    let files = Files::expecting("expects = \"nothing\"\nroot = \"root\"", &main);
    let settings = std::fs::read_to_string(files.config()).unwrap();
    std::fs::write(
        files.config(),
        settings.replace("clock = \"trusted\"", "clock = \"synchronised\""),
    )
    .unwrap();
    let sign = files.path("root/run/systemd/timesync");
    std::fs::create_dir_all(&sign).unwrap();
    std::fs::write(sign.join("synchronized"), "").unwrap();
    files
}

#[test]
fn one_forged_answer_is_not_believed_and_two_servers_are() {
    let liar = TimeServer::start("127.0.0.1", YEARS_20_SECS);
    let honest = TimeServer::start("127.0.0.2", 0);
    let mut tested = Box::new(synchronised(&[&liar, &honest]));
    tested.save("trusted-time", &now_secs().to_string());
    // The forged answer has set the clock.
    tested.start(YEARS_20);
    let status = tested.status_when(|status| clock(status).1.contains("(2 responded)"));
    assert!(clock(&status).1.contains("two time servers agree"), "{status}");
    assert_eq!((clock(&status).0, &status["code"]), ("warn", &Value::from(7)));
    tested.prune_runs(|policy| !policy.clock_trusted);
    let status = tested.status_when(|status| status["archive"]["envelopes"] == 40);
    assert_eq!(status["archive"]["pruned_total"], 0);
    tested.stop();
    assert!(tested.saved("trusted-time").unwrap() < now_secs() + 60);

    // Switched off for a week, with both right again.
    liar.off_secs.store(0, Ordering::Relaxed);
    tested.save("trusted-time", &(now_secs() - 7 * 86_400).to_string());
    tested.start("+0");
    tested.status_when(|status| clock(status).0 == "ok");
    tested.prune_runs(|policy| policy.clock_trusted);
    tested.status_when(|status| status["archive"]["envelopes"] == 40);
    tested.stop();
    assert!(tested.takes_envelopes());
}

/// Boxes on which an older version has saved a time that is years ahead are brought back: by command, and by the button.
#[test]
fn a_saved_time_that_is_wrong_is_lowered_by_a_person() {
    for by_button in [false, true] {
        let mut tested = Box::new(Files::new("retention = \"24s\""));
        tested.save("trusted-time", &(now_secs() + YEARS_20_SECS).to_string());
        tested.start("+0");
        let status = tested.status_when(|status| clock(status).0 == "warn");
        assert!(
            clock(&status)
                .1
                .contains("confirm it on the box's page or with `pillarbox confirm-time`"),
            "{status}"
        );
        wait_until("the policy says so", || {
            tested.policy().is_some_and(|policy| !policy.clock_trusted)
        });
        if by_button {
            wait_until("an identity", || tested.files.path("state/one/nodekey").exists());
            let pressed = pillarbox(&tested.files, &["press", "--hold", "12s"]);
            assert!(pressed.status.success(), "{}", text(&pressed));
        } else {
            let confirmed = pillarbox(&tested.files, &["confirm-time"]);
            assert!(confirmed.status.success(), "{}", text(&confirmed));
        }
        tested.status_when(|status| clock(status).0 == "ok");
        tested.prune_runs(|policy| policy.clock_trusted && policy.cutoff.is_some_and(|cutoff| cutoff < now_ns()));
        tested.stop();
        assert!(tested.saved("trusted-time").unwrap() <= now_secs());
        assert!(tested.takes_envelopes());
        if by_button {
            assert_eq!(
                std::fs::read_to_string(tested.files.path("state/one/nodekey")).unwrap(),
                "key\n"
            );
        }
    }
}
