//! Network namespaces that a test made, and programs in them. Both are gone with their values. Needs root.

use std::{
    io::Write,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

fn run(line: &str) -> Output {
    let mut words = line.split_whitespace();
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(
        output.status.success(),
        "{line}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

pub(crate) struct Namespace {
    pub(crate) name: String,
}

impl Namespace {
    /// Named after the process and `end`, with its loopback up.
    pub(crate) fn new(end: &str) -> Self {
        let name = format!("pillarbox-{}-{end}", std::process::id());
        run(&format!("ip netns add {name}"));
        let namespace = Self { name };
        namespace.ip("link set lo up");
        namespace
    }

    /// `ip` with these arguments, in here.
    pub(crate) fn ip(&self, arguments: &str) {
        run(&format!("ip -n {} {arguments}", self.name));
    }

    /// A wire named `interface` from here to the bridge `bridge` of another namespace.
    pub(crate) fn plug(&self, interface: &str, address: &str, other: &Self, port: &str, bridge: &str) {
        self.ip(&format!(
            "link add {interface} type veth peer name {port} netns {}",
            other.name
        ));
        other.ip(&format!("link set {port} master {bridge} up"));
        self.ip(&format!("addr add {address} dev {interface}"));
        self.ip(&format!("link set {interface} up"));
    }

    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Runs a program in here that reads `input`; what it printed.
    pub(crate) fn feed(&self, line: &str, input: &str) -> String {
        let mut words = line.split_whitespace();
        let mut command = self.command(words.next().unwrap());
        command.args(words).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{line}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

/// A program in a namespace; ended with this.
pub(crate) struct Program {
    network: String,
    pub(crate) child: Child,
}

impl Program {
    pub(crate) fn start(network: &Namespace, program: &str, flags: &str, errors: Stdio) -> Self {
        let mut command = network.command(program);
        command
            .args(flags.split_whitespace())
            .stdout(Stdio::null())
            .stderr(errors);
        let child = command.spawn();
        Self {
            network: network.name.clone(),
            child: child.unwrap(),
        }
    }

    /// The mailserver with REST and metrics on the loopback, its archive and its key in `dir` under `name`.
    pub(crate) fn mailserver(network: &Namespace, dir: &Path, name: &str, more: &str) -> Self {
        let archive = dir.join(format!("archive-{name}"));
        let key = dir.join(format!("key-{name}"));
        let flags = format!(
            "--tcp-port=60000 --cluster-id=16 --shard=32 --rest --rest-port=8645 --rest-admin --metrics-server \
             --metrics-server-port=8008 --store --archive-dir={} --nodekey-file={} --log-level=WARN {more}",
            archive.display(),
            key.display(),
        );
        Self::start(
            network,
            env!("CARGO_BIN_EXE_pillarbox-mailserver"),
            &flags,
            Stdio::inherit(),
        )
    }

    /// Asks inside the namespace, where the program listens on the loopback. Empty while nobody answers.
    pub(crate) async fn ask(&self, port: u16, method: &str, path: &str, body: &str) -> String {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port} && printf %s \"$REQUEST\" >&3 && cat <&3");
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.network, "bash", "-c", &script])
            .env("REQUEST", request);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap();
        let answer = String::from_utf8(output.stdout).unwrap();
        answer
            .split_once("\r\n\r\n")
            .map(|(_, body)| body.to_owned())
            .unwrap_or_default()
    }

    pub(crate) async fn metrics(&self) -> String {
        self.ask(8008, "GET", "/metrics", "").await
    }

    /// Ends it in good order.
    pub(crate) fn stop(mut self) {
        self.signal(Signal::SIGTERM);
        assert!(self.child.wait().unwrap().success());
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let _ = kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal);
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
        let _ = self.child.wait();
    }
}
