//! The page as browsers and attackers meet it: real sockets, real HTTP, the golden HTML of every state.

mod flood;
mod golden;
mod http;
pub(super) mod sample;
mod unlock;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::*;
use crate::backup::Vault;
use crate::event;
use crate::log::Logbook;

/// Long enough for any machine; nothing here waits that long when all is well.
const DEADLINE: Duration = Duration::from_secs(30);

struct Served {
    address: SocketAddr,
    snapshots: watch::Sender<Arc<Snapshot>>,
    events: event::Receiver,
}

fn options(listen: SocketAddr) -> Options {
    Options {
        listen,
        names: vec!["post.example.org".to_owned()],
        any_peer: false,
        unix_time: || sample::NOW,
        log: Logbook::default(),
        switches: true,
        token_file: None,
        vault: Vault::new("/nonexistent".into()),
    }
}

fn serve(snapshot: Snapshot) -> Served {
    serve_with(snapshot, |_| {})
}

fn serve_with(snapshot: Snapshot, change: impl FnOnce(&mut Options)) -> Served {
    let (snapshots, seen) = watch::channel(Arc::new(snapshot));
    let (sender, events) = event::channel();
    let mut options = options(SocketAddr::from(([127, 0, 0, 1], 0)));
    change(&mut options);
    let mut address = start(options, seen, sender).unwrap();
    Served {
        address: wait_bound(&mut address),
        snapshots,
        events,
    }
}

fn wait_bound(address: &mut watch::Receiver<Option<SocketAddr>>) -> SocketAddr {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(address) = *address.borrow_and_update() {
            return address;
        }
        assert!(Instant::now() < deadline, "the page never listened");
        std::thread::sleep(Duration::from_millis(5));
    }
}

struct Got {
    status: u16,
    head: String,
    body: String,
}

impl Served {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    /// What comes back for these bytes until the page closes; nothing when it closes without a word.
    fn send(&self, bytes: &[u8]) -> Option<Got> {
        let mut stream = self.connect();
        // The page may close before it has read all of it.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        parse(&answer)
    }

    fn get(&self, path: &str) -> Got {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())
            .expect("an answer")
    }
}

fn parse(answer: &[u8]) -> Option<Got> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Got {
        status,
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    })
}

fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what} never came");
        std::thread::sleep(Duration::from_millis(10));
    }
}
