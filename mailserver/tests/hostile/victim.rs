//! The mailserver as the daemon starts it: a process with the arguments of `daemon/services/mailserver.toml`, on free
//! ports of the loopback and with a new archive.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    path::Path,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use pillarbox_mailserver::key;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::{Child, Command},
};

/// Generous: machines that run tests are busy.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
/// Between two looks at the victim's memory.
const SAMPLE: Duration = Duration::from_millis(20);
/// The shipped service's `memory_mib` is 256, of which the kernel's own share and what is read of the archive take some.
pub(crate) const BOUND_MIB: f64 = 200.0;

pub(crate) struct Victim {
    child: Child,
    peer: String,
    pub(crate) tcp: SocketAddr,
    pub(crate) websocket: SocketAddr,
    pub(crate) rest: SocketAddr,
    pub(crate) metrics: SocketAddr,
    memory: Memory,
    _dir: tempfile::TempDir,
}

impl Victim {
    /// With `more` arguments than the shipped ones.
    pub(crate) async fn start(more: &[&str]) -> Self {
        Self::start_with_archive(more, |_| {}).await
    }

    /// The same with an archive that `fill` has put something in.
    pub(crate) async fn start_with_archive(more: &[&str], fill: impl FnOnce(&Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fill(&dir.path().join("archive"));
        let key_file = dir.path().join("nodekey");
        let peer = key::load_or_create(&key_file)
            .unwrap()
            .public()
            .to_peer_id()
            .to_string();
        let [tcp, websocket, rest, metrics] = free_ports();
        let discovery = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let values = [
            ("0.0.0.0", Ipv4Addr::LOCALHOST.to_string()),
            ("{cluster}", "16".to_owned()),
            // The network's sizes and shards, and nobody that it dials.
            ("{preset}", "dev".to_owned()),
            ("{shard}", "32".to_owned()),
            ("{port.tcp}", tcp.port().to_string()),
            ("{port.ws}", websocket.port().to_string()),
            ("{port.rest}", rest.port().to_string()),
            ("{port.metrics}", metrics.port().to_string()),
            ("{port.discovery}", discovery.port().to_string()),
            ("{service_dir}", dir.path().display().to_string()),
            ("{archive_dir}", dir.path().join("archive").display().to_string()),
            ("{retention_secs}", "86400".to_owned()),
        ];
        let child = Command::new(env!("CARGO_BIN_EXE_pillarbox-mailserver"))
            .args(shipped_arguments(&values))
            .arg("--nat=none")
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let memory = Memory::watch(child.id().unwrap());
        let victim = Self {
            child,
            peer,
            tcp,
            websocket,
            rest,
            metrics,
            memory,
            _dir: dir,
        };
        let up = async {
            while TcpStream::connect(victim.rest).await.is_err() || TcpStream::connect(victim.tcp).await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(DEADLINE, up).await.expect("the victim listens");
        victim
    }

    /// An address to dial it by.
    pub(crate) fn address(&self) -> String {
        format!("/ip4/127.0.0.1/tcp/{}/p2p/{}", self.tcp.port(), self.peer)
    }

    pub(crate) fn peer_id(&self) -> String {
        self.peer.clone()
    }

    /// The most anonymous memory that it had since its start: what is mapped of files can be taken from it.
    pub(crate) fn peak_mib(&self) -> f64 {
        self.memory.peak_kib.load(Ordering::Relaxed) as f64 / 1024.0
    }

    /// A whole answer of REST, head and body.
    pub(crate) async fn get(&self, path: &str) -> String {
        fetch(self.rest, path).await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> String {
        let host = self.rest;
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nConnection: close\r\n");
        ask(host, &format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())).await
    }

    /// The sum of a metric over its labels; a part of a line's start is enough to name labels.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        fetch(self.metrics, "/metrics")
            .await
            .lines()
            .filter(|line| line.starts_with(name))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// Ends it by SIGTERM, and wants it to end well.
    pub(crate) async fn ended(mut self) {
        let pid = i32::try_from(self.child.id().expect("it still runs")).unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM).unwrap();
        let status = tokio::time::timeout(DEADLINE, self.child.wait())
            .await
            .unwrap()
            .unwrap();
        assert!(status.success(), "{status}");
    }
}

async fn fetch(from: SocketAddr, path: &str) -> String {
    ask(
        from,
        &format!("GET {path} HTTP/1.1\r\nHost: {from}\r\nConnection: close\r\n\r\n"),
    )
    .await
}

async fn ask(from: SocketAddr, request: &str) -> String {
    let asked = async {
        let mut stream = TcpStream::connect(from).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    };
    tokio::time::timeout(DEADLINE, asked).await.expect("an answer in time")
}

fn free_ports<const N: usize>() -> [SocketAddr; N] {
    let bound: [TcpListener; N] = std::array::from_fn(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    bound.map(|listener| listener.local_addr().unwrap())
}

/// What is left out has a placeholder without a value: the bandwidth's limit.
fn shipped_arguments(values: &[(&str, String)]) -> Vec<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../daemon/services/mailserver.toml");
    let service: toml::Table = std::fs::read_to_string(file).unwrap().parse().unwrap();
    let fill = |argument: &toml::Value| {
        values
            .iter()
            .fold(argument.as_str().unwrap().to_owned(), |text, (name, value)| {
                text.replace(name, value)
            })
    };
    let arguments = service["arguments"].as_array().unwrap().iter().map(fill);
    arguments.filter(|argument| !argument.contains('{')).collect()
}

struct Memory {
    peak_kib: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
}

impl Memory {
    fn watch(pid: u32) -> Self {
        let (peak_kib, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (peak, ended) = (peak_kib.clone(), over.clone());
        thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                if let Some(kib) = anonymous_kib(pid) {
                    peak.fetch_max(kib, Ordering::Relaxed);
                }
                thread::sleep(SAMPLE);
            }
        });
        Self { peak_kib, over }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

fn anonymous_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.split_whitespace().next()?.parse().ok()
}
