//! The built program as a supervisor sees it: exit statuses, one line on stderr, signals.

use std::{
    io::{BufRead, BufReader, Read},
    net::{TcpListener, UdpSocket},
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    thread,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::support::{DEADLINE, LOCAL};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_pillarbox-mailserver"))
}

fn run(flags: &[&str]) -> Output {
    ended(program().args(flags))
}

/// The output of a program that is expected to end by itself; one that does not is ended, and fails its test.
fn ended(command: &mut Command) -> Output {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = Pid::from_raw(child.id().try_into().unwrap());
    let (done, waited) = mpsc::channel::<()>();
    let watchdog = thread::spawn(move || {
        if waited.recv_timeout(DEADLINE) == Err(mpsc::RecvTimeoutError::Timeout) {
            kill(pid, Signal::SIGKILL).unwrap();
        }
    });
    let output = child.wait_with_output().unwrap();
    drop(done);
    watchdog.join().unwrap();
    output
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_bad_configuration_ends_with_78_and_one_line() {
    for (flags, message) in [
        (
            &["--tcp-prot=1"][..],
            "--tcp-prot is not known; did you mean --tcp-port?",
        ),
        (
            &["--tcp-port=x"],
            "--tcp-port: \"x\" is invalid: give a whole number from 0 to 65535",
        ),
        (
            &[
                "--websocket-support",
                "--websocket-secure-support",
                "--websocket-secure-cert-path=x",
            ],
            "--websocket-secure-support needs --websocket-secure-key-path: give the paths of two PEM files, the private \
             key's and the certificate's",
        ),
        (
            &["--config-file=/nonexistent"],
            "/nonexistent cannot be read: No such file or directory (os error 2)",
        ),
        (
            &[
                "--discv5-bootstrap-node=enr:AAAA",
                "--tcp-port=0",
                "--discv5-udp-port=0",
                "--listen-address=127.0.0.1",
            ],
            "--discv5-bootstrap-node \"enr:AAAA\" is invalid: not a node record: Invalid ENR: UnexpectedString",
        ),
    ] {
        let output = run(flags);
        assert_eq!(output.status.code(), Some(78), "{flags:?}");
        assert_eq!(stderr(&output), format!("pillarbox-mailserver: {message}\n"));
    }
}

#[test]
fn a_key_file_without_a_key_ends_with_78() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    std::fs::write(&path, "nonsense").unwrap();
    let output = run(&[&format!("--nodekey-file={}", path.display())]);
    assert_eq!(output.status.code(), Some(78));
    let text = stderr(&output);
    assert!(
        text.lines().count() == 1 && text.contains(path.to_str().unwrap()),
        "{text}"
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "nonsense");
}

/// wss with a key and a certificate, or with what should have been.
#[test]
fn wss_without_a_usable_pair_ends_with_78() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    for name in ["one", "two"] {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(path(&format!("{name}.key")), made.signing_key.serialize_pem()).unwrap();
        std::fs::write(path(&format!("{name}.crt")), made.cert.pem()).unwrap();
    }
    std::fs::write(path("nonsense"), "nonsense").unwrap();
    for (key, certificate, wanted) in [
        ("one.key", "two.crt", "is not that of the certificate"),
        (
            "nowhere",
            "one.crt",
            "nowhere (--websocket-secure-key-path) cannot be read: No such file",
        ),
        (
            "one.key",
            "nowhere",
            "nowhere (--websocket-secure-cert-path) cannot be read: No such file",
        ),
        (
            "nonsense",
            "one.crt",
            "nonsense (--websocket-secure-key-path) holds no private key",
        ),
        (
            "one.key",
            "nonsense",
            "nonsense (--websocket-secure-cert-path) holds no certificate",
        ),
        (
            "one.key",
            "one.key",
            "one.key (--websocket-secure-cert-path) holds no certificate",
        ),
    ] {
        let mut command = program();
        command.args(LOCAL.split_whitespace()).args([
            "--websocket-support",
            "--websocket-port=0",
            "--websocket-secure-support",
            &format!("--websocket-secure-key-path={}", path(key)),
            &format!("--websocket-secure-cert-path={}", path(certificate)),
        ]);
        let output = ended(&mut command);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(78), "{key} {certificate}: {text}");
        assert!(text.lines().count() == 1 && text.contains(wanted), "{text}");
    }
}

#[test]
fn a_port_in_use_ends_with_1_and_one_line() {
    let (tcp, udp) = (
        TcpListener::bind("127.0.0.1:0").unwrap(),
        UdpSocket::bind("127.0.0.1:0").unwrap(),
    );
    let (tcp, udp) = (
        tcp.local_addr().map(|address| (tcp, address)),
        udp.local_addr().map(|address| (udp, address)),
    );
    let ((_tcp, tcp), (_udp, udp)) = (tcp.unwrap(), udp.unwrap());
    for (flag, port) in [
        ("tcp-port", tcp.port()),
        ("rest-port", tcp.port()),
        ("metrics-server-port", tcp.port()),
        ("discv5-udp-port", udp.port()),
    ] {
        let mut command = program();
        command
            .args(LOCAL.split_whitespace())
            .args(["--discv5-discovery=true", "--discv5-udp-port=0"]);
        let output = ended(command.arg(format!("--{flag}={port}")));
        assert_eq!(output.status.code(), Some(1), "{flag}");
        let expected = format!(
            "pillarbox-mailserver: port {port} ({flag}) on 127.0.0.1 is in use: stop the program that has it, or choose \
             another --{flag}\n"
        );
        assert_eq!(stderr(&output), expected);
    }
}

#[test]
fn help_and_version() {
    let help = run(&["--help"]);
    assert!(help.status.success() && String::from_utf8(help.stdout).unwrap().contains("--archive-dir"));
    let version = run(&["--version"]);
    assert_eq!(
        String::from_utf8(version.stdout).unwrap(),
        concat!("pillarbox-mailserver v", env!("CARGO_PKG_VERSION"), "\n")
    );
}

/// A child that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_signal_ends_it_with_0() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut command = program();
        command
            .args(LOCAL.split_whitespace())
            .args(["--keep-alive=true", "--log-format=JSON"]);
        let mut child = Running(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
        let mut log = BufReader::new(child.0.stdout.take().unwrap());
        let mut warned = false;
        loop {
            let mut line = String::new();
            assert_ne!(log.read_line(&mut line).unwrap(), 0, "ended before it was set up");
            warned |= line.contains("flags that have no effect here: --keep-alive");
            assert!(line.starts_with('{'), "{line}");
            if line.contains("Node setup complete") {
                break;
            }
        }
        assert!(warned);
        kill(Pid::from_raw(child.0.id().try_into().unwrap()), signal).unwrap();
        // The log is read to its end, so that nothing waits for a reader.
        std::io::copy(&mut log, &mut std::io::sink()).unwrap();
        let status = child.0.wait().unwrap();
        assert_eq!(status.code(), Some(0), "{signal}");
        let mut errors = String::new();
        child.0.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        assert_eq!(errors, "");
    }
}
