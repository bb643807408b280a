//! The daemon that is measured: on free loopback ports and a directory of its own, with its own settings.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::crowd;

const COME_UP: Duration = Duration::from_secs(60);

pub(crate) struct Target {
    child: Child,
    page: SocketAddr,
    dir: tempfile::TempDir,
}

impl Target {
    pub(crate) fn start(binary: &Path, mailserver: &Path) -> anyhow::Result<Target> {
        let dir = tempfile::tempdir()?;
        let held: Vec<TcpListener> = (0..5)
            .map(|_| TcpListener::bind("127.0.0.1:0"))
            .collect::<Result<_, _>>()?;
        let ports: Vec<u16> = held
            .iter()
            .map(|socket| Ok(socket.local_addr()?.port()))
            .collect::<anyhow::Result<_>>()?;
        drop(held);
        let [page, tcp, ws, rest, metrics] = ports[..] else {
            bail!("five ports")
        };
        let services = dir.path().join("services");
        std::fs::create_dir(&services)?;
        let shipped = include_str!("../../../../daemon/services/mailserver.toml");
        std::fs::write(services.join("mailserver.toml"), shipped)?;
        let own = std::env::current_exe()?;
        let starts = dir.path().join("starts");
        std::fs::write(
            services.join("victim.toml"),
            format!(
                "program = {own:?}\narguments = [\"--child\", {starts:?}]\n\
                 [restart]\nbase = \"1ms\"\nmax = \"1ms\"\nstart_limit = 1000000\n"
            ),
        )?;
        let mailserver = std::path::absolute(mailserver)?;
        let settings = format!(
            "board = \"dev\"\nstate_dir = \"state\"\nservices_dir = \"services\"\nclock = \"trusted\"\n\
             [health]\nexpects = \"nothing\"\n[page]\nlisten = \"127.0.0.1:{page}\"\n\
             [services.mailserver]\nprogram = {mailserver:?}\n\
             extra_arguments = [\"--listen-address=127.0.0.1\", \"--nat=none\", \"--discv5-discovery=false\"]\n\
             ports = {{ tcp = {tcp}, ws = {ws}, rest = {rest}, metrics = {metrics} }}\n"
        );
        let config = dir.path().join("pillarboxd.toml");
        std::fs::write(&config, settings)?;
        let child = Command::new(binary)
            .arg("--config")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(dir.path().join("log"))?)
            .spawn()
            .with_context(|| format!("starting {}", binary.display()))?;
        Ok(Target {
            child,
            page: SocketAddr::from(([127, 0, 0, 1], page)),
            dir,
        })
    }

    pub(crate) fn page(&self) -> SocketAddr {
        self.page
    }

    pub(crate) fn led(&self) -> PathBuf {
        self.dir.path().join("state/simulated/leds/status")
    }

    /// Where each start of the victim is written down.
    pub(crate) fn starts(&self) -> PathBuf {
        self.dir.path().join("starts")
    }

    pub(crate) fn until_ok(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let state = crowd::get(self.page, "/healthz").unwrap_or_default();
            if state.ends_with("ok\n") {
                return Ok(());
            }
            if begun.elapsed() > COME_UP {
                let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
                bail!("the box is not ok after {COME_UP:?}: {state:?}\n{log}");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// A field of /proc/PID/status.
    pub(crate) fn memory_mib(&self, field: &str) -> anyhow::Result<f64> {
        memory_mib(self.child.id(), field)
    }

    /// The daemon's own children, which are the keepers.
    pub(crate) fn keepers(&self) -> anyhow::Result<BTreeSet<u32>> {
        let pid = self.child.id();
        let mut keepers = BTreeSet::new();
        for task in std::fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
            // A thread may have ended meanwhile.
            let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            keepers.extend(
                children
                    .split_ascii_whitespace()
                    .filter_map(|pid| pid.parse::<u32>().ok()),
            );
        }
        ensure!(!keepers.is_empty(), "the daemon has no keeper");
        Ok(keepers)
    }

    pub(crate) fn keeper_mib(&self) -> anyhow::Result<f64> {
        let keepers = self.keepers()?;
        let sizes = keepers
            .into_iter()
            .map(|keeper| memory_mib(keeper, "VmRSS:").unwrap_or(0.0));
        Ok(sizes.fold(0.0, f64::max))
    }

    /// Seconds of processor time of the daemon itself so far.
    pub(crate) fn cpu_secs(&self) -> anyhow::Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // After the name in parentheses; user and system time are the 14th and 15th field, in ticks of 10 ms.
        let (_, rest) = text.rsplit_once(") ").context("reading its stat")?;
        let ticks = rest
            .split(' ')
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<f64>().ok());
        Ok(ticks.sum::<f64>() / 100.0)
    }

    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        kill(Pid::from_raw(i32::try_from(self.child.id())?), Signal::SIGTERM)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "it ended with {status}");
        Ok(())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn memory_mib(pid: u32, field: &str) -> anyhow::Result<f64> {
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .with_context(|| format!("no {field} in {path}"))?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}
