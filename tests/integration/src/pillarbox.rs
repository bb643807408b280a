//! A whole Pillarbox on loopback: `pillarboxd` with the shipped services, a state folder and ports of its own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::programs;
use crate::wait::until;

/// Generous: the first start makes a key and an archive on a busy machine.
pub const COME_UP: Duration = Duration::from_secs(60);
/// What `scripts/run` promises.
pub const STOP_WITHIN: Duration = Duration::from_secs(10);

pub struct Pillarbox {
    pub folder: TempDir,
    pub ports: Ports,
    config: PathBuf,
    daemon: Child,
}

#[derive(Clone, Copy)]
pub struct Ports {
    pub page: u16,
    pub tcp: u16,
    pub ws: u16,
    pub rest: u16,
    pub metrics: u16,
}

impl Ports {
    /// Ports that were free a moment ago.
    pub fn free() -> Ports {
        let held: Vec<TcpListener> = (0..5)
            .map(|_| TcpListener::bind("127.0.0.1:0").expect("loopback has free ports"))
            .collect();
        let port = |i: usize| held[i].local_addr().expect("it is bound").port();
        Ports {
            page: port(0),
            tcp: port(1),
            ws: port(2),
            rest: port(3),
            metrics: port(4),
        }
    }
}

impl Pillarbox {
    /// Starts one with `retention` as the configuration writes it, and waits until it says ok.
    pub async fn start(retention: &str) -> Pillarbox {
        let pillarbox = Pillarbox::launch(retention, Ports::free());
        pillarbox.until_state("ok").await;
        pillarbox
    }

    /// Starts one and waits for nothing.
    pub fn launch(retention: &str, ports: Ports) -> Pillarbox {
        let folder = tempfile::tempdir().expect("a folder for the state");
        let config = folder.path().join("pillarbox.toml");
        std::fs::write(&config, settings(retention, ports)).expect("the configuration is written");
        let daemon = spawn(&config, folder.path());
        Pillarbox {
            folder,
            ports,
            config,
            daemon,
        }
    }

    /// The daemon's standard error so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default()
    }

    pub fn archive(&self) -> PathBuf {
        self.folder.path().join("state/archive")
    }

    pub fn daemon_pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.daemon.id()).expect("a pid fits"))
    }

    /// The address for clients on tcp.
    pub async fn address(&self) -> String {
        let wanted = format!("/ip4/127.0.0.1/tcp/{}/p2p/", self.ports.tcp);
        until("the mailserver tells its address", COME_UP, || async {
            let status = self.status().await.ok()?;
            let addresses = status["mailserver"]["multiaddrs"].as_array()?.clone();
            addresses
                .iter()
                .filter_map(|address| address.as_str())
                .find(|a| a.starts_with(&wanted))
                .map(str::to_owned)
        })
        .await
    }

    pub async fn status(&self) -> Result<Value> {
        Ok(serde_json::from_str(&get(self.ports.page, "/status.json").await?)?)
    }

    /// What Prometheus reads from the page.
    pub async fn metrics(&self) -> Result<String> {
        get(self.ports.page, "/metrics").await
    }

    pub async fn until_state(&self, state: &str) {
        until(&format!("the box says {state}"), COME_UP, || async {
            let status = self.status().await.ok()?;
            (status["state"] == state).then_some(())
        })
        .await;
    }

    pub async fn mailserver_pid(&self) -> Pid {
        let pid = until("the mailserver runs", COME_UP, || async {
            let status = self.status().await.ok()?;
            let service = status["services"]
                .as_array()?
                .iter()
                .find(|service| service["name"] == "mailserver")?
                .clone();
            service["pid"].as_i64()
        })
        .await;
        Pid::from_raw(i32::try_from(pid).expect("a pid fits"))
    }

    /// SIGTERM, as Ctrl-C would; gives the exit code and the time it may have taken is asserted.
    pub async fn stop(&mut self) -> Option<i32> {
        kill(self.daemon_pid(), Signal::SIGTERM).expect("the daemon is there");
        let daemon = &mut self.daemon;
        let started = std::time::Instant::now();
        loop {
            if let Some(status) = daemon.try_wait().expect("it is our child") {
                return status.code();
            }
            assert!(
                started.elapsed() < STOP_WITHIN,
                "the daemon is still there {STOP_WITHIN:?} after SIGTERM"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Starts the daemon again on the same state, after [`Pillarbox::stop`] or a kill.
    pub fn start_again(&mut self) {
        self.daemon.wait().expect("it is our child");
        self.daemon = spawn(&self.config, self.folder.path());
    }
}

impl Drop for Pillarbox {
    fn drop(&mut self) {
        if matches!(self.daemon.try_wait(), Ok(None)) {
            if std::thread::panicking() {
                eprintln!("the daemon's log:\n{}", self.log());
            }
            let _ = kill(self.daemon_pid(), Signal::SIGTERM);
            let _ = self.daemon.wait();
        }
    }
}

fn spawn(config: &Path, folder: &Path) -> Child {
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(folder.join("stderr"))
        .expect("a log file");
    Command::new(programs::folder().join("pillarboxd"))
        .arg("--config")
        .arg(config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("pillarboxd starts")
}

fn settings(retention: &str, ports: Ports) -> String {
    let services = programs::workspace().join("daemon/services");
    let Ports {
        page,
        tcp,
        ws,
        rest,
        metrics,
    } = ports;
    format!(
        r#"board = "dev"
state_dir = "state"
services_dir = "{}"
required = ["mailserver"]
retention = "{retention}"
clock = "trusted"

[page]
listen = "127.0.0.1:{page}"

[health]
expects = "nothing"

[services.mailserver]
extra_arguments = ["--listen-address=127.0.0.1", "--discv5-discovery=false", "--nat=none"]
ports = {{ tcp = {tcp}, ws = {ws}, rest = {rest}, metrics = {metrics} }}
"#,
        services.display()
    )
}

/// A GET of `path` on loopback; the body of a 200.
pub async fn get(port: u16, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))
        .await
        .with_context(|| format!("connecting to {port}"))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    tokio::time::timeout(Duration::from_secs(5), stream.read_to_string(&mut answer)).await??;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .context("an answer without an end of its head")?;
    anyhow::ensure!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
    Ok(body.to_owned())
}
