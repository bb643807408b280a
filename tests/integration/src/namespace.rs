//! A network that a test made: its own interfaces, names and ports, and nothing behind it. It is gone with its value.
//! Needs root.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sched::{CloneFlags, setns};

/// How long a server's thread goes without looking whether it should end.
const LOOK: Duration = Duration::from_millis(50);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Puts the names of the test's own server over the machine's, in a mount namespace of the program's own.
const WITH_NAMES: &str = "mount --bind \"$1\" /etc/resolv.conf && shift && exec \"$@\"";

pub struct Namespace {
    name: String,
}

impl Default for Namespace {
    fn default() -> Namespace {
        Namespace::new()
    }
}

impl Namespace {
    /// One with its loopback up, named after the process.
    pub fn new() -> Namespace {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pillarbox-whole-{}-{number}", std::process::id());
        run(&["netns", "add", &name]);
        let namespace = Namespace { name };
        namespace.ip("link set lo up");
        namespace
    }

    /// `ip` with these arguments, in here.
    pub fn ip(&self, arguments: &str) {
        let inside = ["-n", &self.name].into_iter();
        run(&inside.chain(arguments.split_whitespace()).collect::<Vec<_>>());
    }

    /// A wire between two of them.
    pub fn wire(&self, own: Ipv4Addr, other: &Namespace, its: Ipv4Addr) {
        self.ip(&format!("link add wire type veth peer name wire netns {}", other.name));
        for (end, address) in [(self, own), (other, its)] {
            end.ip(&format!("address add {address}/24 dev wire"));
            end.ip("link set wire up");
        }
    }

    /// A program in here, whose names come from the servers that `names` lists as resolv.conf does. The process that is
    /// started is the program's own.
    pub fn command(&self, names: &Path, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args([
            "netns", "exec", &self.name, "unshare", "--mount", "sh", "-c", WITH_NAMES, "sh",
        ]);
        command.arg(names).arg(program);
        command
    }

    /// Does something in a thread whose network is this one. What it opens stays in here.
    pub fn enter<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let path = Path::new("/run/netns").join(&self.name);
        let inside = move || {
            let network = File::open(&path).expect("the namespace has a file");
            setns(network, CloneFlags::CLONE_NEWNET).expect("root may enter it");
            work()
        };
        std::thread::spawn(inside).join().expect("it does not panic")
    }

    /// The body of what a program on the loopback answers; nothing while nobody does.
    pub fn get(&self, port: u16, path: &str) -> Option<String> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
        let answer = self.enter(move || -> std::io::Result<String> {
            let to = SocketAddr::from(([127, 0, 0, 1], port));
            let mut stream = TcpStream::connect_timeout(&to, ANSWER_WITHIN)?;
            stream.set_read_timeout(Some(ANSWER_WITHIN))?;
            stream.write_all(request.as_bytes())?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        });
        let answer = answer.ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.starts_with("HTTP/1.1 200").then(|| body.to_owned())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "delete", &self.name]).status();
    }
}

fn run(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().expect("ip starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {}: {said}", arguments.join(" "));
}

/// A thread that serves until its value is dropped.
struct Serving {
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    /// `turn` waits for [`LOOK`] at most.
    fn start(mut turn: impl FnMut() + Send + 'static) -> Serving {
        let ended = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ended);
        let thread = std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                turn();
            }
        });
        Serving {
            ended,
            thread: Some(thread),
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A name server at an address of the namespace that writes down every question. It knows the addresses that it is given
/// and nothing else.
pub struct Names {
    asked: Arc<Mutex<Vec<(String, u16)>>>,
    _serving: Serving,
}

/// RFC 1035, 3.2.2.
pub const A: u16 = 1;
pub const TXT: u16 = 16;

impl Names {
    pub fn serve(namespace: &Namespace, at: Ipv4Addr, known: &'static [(&'static str, Ipv4Addr)]) -> Names {
        let socket = namespace.enter(move || UdpSocket::bind((at, 53)).expect("port 53 is free in here"));
        socket.set_read_timeout(Some(LOOK)).expect("it takes a timeout");
        let asked: Arc<Mutex<Vec<(String, u16)>>> = Arc::default();
        let seen = Arc::clone(&asked);
        let serving = Serving::start(move || {
            let mut packet = [0; 1500];
            let Ok((length, from)) = socket.recv_from(&mut packet) else {
                return;
            };
            let Some(question) = Question::read(&packet[..length]) else {
                return;
            };
            seen.lock()
                .expect("nobody panics with it")
                .push((question.name.clone(), question.kind));
            let _ = socket.send_to(&question.answer(known), from);
        });
        Names {
            asked,
            _serving: serving,
        }
    }

    /// Names, in small letters and without a last dot, with the kind of record that was asked for.
    pub fn asked(&self) -> Vec<(String, u16)> {
        self.asked.lock().expect("nobody panics with it").clone()
    }
}

/// RFC 1035, 4.1.
struct Question<'a> {
    packet: &'a [u8],
    /// Where the question ends.
    end: usize,
    name: String,
    kind: u16,
}

const HEADER_BYTES: usize = 12;

impl Question<'_> {
    fn read(packet: &[u8]) -> Option<Question<'_>> {
        let mut labels = Vec::new();
        let mut at = HEADER_BYTES;
        loop {
            let length = usize::from(*packet.get(at)?);
            let label = packet.get(at + 1..at + 1 + length)?;
            at += 1 + length;
            if label.is_empty() {
                break;
            }
            labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        }
        let kind = packet.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes)?;
        Some(Question {
            packet,
            end: at + 4,
            name: labels.join("."),
            kind,
        })
    }

    fn answer(&self, known: &[(&str, Ipv4Addr)]) -> Vec<u8> {
        let found = known.iter().find(|(name, _)| self.name == *name);
        let address = found.filter(|_| self.kind == A).map(|(_, address)| address);
        // An answer with recursion, of a name that is not known (3) unless it is.
        let (code, answers) = (if found.is_some() { 0 } else { 3 }, u8::from(address.is_some()));
        let mut answer = self.packet[..2].to_vec();
        answer.extend([0x81, 0x80 | code, 0, 1, 0, answers, 0, 0, 0, 0]);
        answer.extend(self.packet.get(HEADER_BYTES..self.end).unwrap_or_default());
        if let Some(address) = address {
            // The question's name, an address of the internet, for a minute.
            answer.extend([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
            answer.extend(address.octets());
        }
        answer
    }
}

/// Takes connections on a port of every address in the namespace, writes down which address was meant, and hangs up.
pub struct Door {
    knocked: Arc<Mutex<Vec<Ipv4Addr>>>,
    _serving: Serving,
}

impl Door {
    pub fn open(namespace: &Namespace, port: u16) -> Door {
        let listener = namespace
            .enter(move || TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).expect("the port is free in here"));
        listener.set_nonblocking(true).expect("it can be asked without waiting");
        let knocked: Arc<Mutex<Vec<Ipv4Addr>>> = Arc::default();
        let seen = Arc::clone(&knocked);
        let serving = Serving::start(
            move || match listener.accept().and_then(|(stream, _)| stream.local_addr()) {
                Ok(SocketAddr::V4(meant)) => seen.lock().expect("nobody panics with it").push(*meant.ip()),
                _ => std::thread::sleep(LOOK),
            },
        );
        Door {
            knocked,
            _serving: serving,
        }
    }

    pub fn knocked(&self) -> Vec<Ipv4Addr> {
        self.knocked.lock().expect("nobody panics with it").clone()
    }
}
