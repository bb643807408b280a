//! The mailserver that is measured: a process of its own on free loopback ports, with a new archive, on core 0 alone.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use libp2p::PeerId;
use pillarbox_mailserver::key;
use tokio::process::{Child, Command};

pub(crate) struct Target {
    child: Child,
    pid: u32,
    pub(crate) address: String,
    pub(crate) peer: PeerId,
    _dir: tempfile::TempDir,
}

impl Target {
    pub(crate) async fn start(binary: &Path) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let key_file = dir.path().join("nodekey");
        let peer = key::load_or_create(&key_file)?.public().to_peer_id();
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new("taskset")
            .args(["-c", "0"])
            .arg(binary)
            .args([
                // Status's network, with its largest envelope, and nobody to dial.
                "--preset=dev",
                "--shard=32",
                "--listen-address=127.0.0.1",
                "--nat=none",
                "--store=true",
            ])
            .args(["--discv5-discovery=false", "--log-level=WARN"])
            .arg(format!("--tcp-port={port}"))
            .arg(format!("--nodekey-file={}", key_file.display()))
            .arg(format!("--archive-dir={}", dir.path().join("archive").display()))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {} under taskset", binary.display()))?;
        let pid = child.id().context("it has ended already")?;
        let target = Self {
            child,
            pid,
            address: format!("/ip4/127.0.0.1/tcp/{port}/p2p/{peer}"),
            peer,
            _dir: dir,
        };
        for _ in 0..300 {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Ok(target);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        anyhow::bail!("{} does not listen after 30 s", binary.display())
    }

    /// A field of /proc/PID/status.
    pub(crate) fn memory_mib(&self, field: &str) -> anyhow::Result<f64> {
        let path = format!("/proc/{}/status", self.pid);
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(field))
            .with_context(|| format!("no {field}"))?;
        Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
    }

    /// Seconds of processor time so far.
    pub(crate) fn cpu_secs(&self) -> anyhow::Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        // After the name in parentheses; user and system time are the 14th and 15th field, in ticks of 10 ms.
        let (_, rest) = text.rsplit_once(") ").context("reading its stat")?;
        let ticks: Vec<f64> = rest
            .split(' ')
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse().ok())
            .collect();
        Ok(ticks.iter().sum::<f64>() / 100.0)
    }

    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.pid)?);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
        let status = self.child.wait().await?;
        ensure!(status.success(), "it ended with {status}");
        Ok(())
    }
}
