//! A crowd on the page: connections that say nothing, connections that read their answer a byte a second, and one
//! browser that wants the page. What the page closes is opened again at once, as far as the crowd's hands reach.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

const IDLE: usize = 2000;
const SLOW: usize = 200;
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
const LONGEST: Duration = Duration::from_secs(30);

pub(crate) struct Crowd {
    stop: Arc<AtomicBool>,
    held: Arc<AtomicUsize>,
    opened: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<()>>,
}

/// Comes, and stays until it is dropped.
pub(crate) fn gather(page: SocketAddr) -> Crowd {
    let mut crowd = Crowd {
        stop: Arc::default(),
        held: Arc::default(),
        opened: Arc::default(),
        threads: Vec::new(),
    };
    for (count, slow) in [(IDLE / 2, false), (IDLE / 2, false), (SLOW, true)] {
        let (stop, held, opened) = (crowd.stop.clone(), crowd.held.clone(), crowd.opened.clone());
        let hold = move || hold(page, count, slow, &stop, &held, &opened);
        crowd.threads.push(std::thread::spawn(hold));
    }
    crowd
}

impl Crowd {
    pub(crate) fn until_there(&self) {
        while self.held() < IDLE + SLOW {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sockets that the crowd holds open on its side; the page may have closed its own.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    pub(crate) fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn hold(page: SocketAddr, count: usize, slow: bool, stop: &AtomicBool, held: &AtomicUsize, opened: &AtomicUsize) {
    let mut streams: Vec<TcpStream> = Vec::new();
    let mut next = 0;
    while !stop.load(Ordering::Relaxed) {
        if streams.len() < count {
            if let Some(stream) = open(page, slow, opened) {
                streams.push(stream);
                held.fetch_add(1, Ordering::Relaxed);
            }
            continue;
        }
        // Each is looked at about once a second: a byte is read, and what was closed is opened again.
        let stream = &mut streams[next % count];
        let gone = match stream.read(&mut [0]) {
            Ok(0) => true,
            Ok(_) => false,
            Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
        };
        if gone && let Some(again) = open(page, slow, opened) {
            *stream = again;
        }
        next += 1;
        std::thread::sleep(Duration::from_secs(1) / u32::try_from(count).unwrap_or(u32::MAX));
    }
}

fn open(page: SocketAddr, slow: bool, opened: &AtomicUsize) -> Option<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&page, Duration::from_secs(1)).ok()?;
    opened.fetch_add(1, Ordering::Relaxed);
    if slow {
        stream.write_all(REQUEST).ok()?;
    }
    stream.set_nonblocking(true).ok()?;
    Some(stream)
}

/// Asks for the page again and again; seconds that the slowest took. As a browser does, it asks again if the connection
/// was closed.
pub(crate) fn browse(page: SocketAddr, span: Duration) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let mut slowest: f64 = 0.0;
    while begun.elapsed() < span {
        let asked = Instant::now();
        let got = (0..3)
            .find_map(|_| get(page, "/").ok())
            .context("no page for a browser")?;
        ensure!(
            got.starts_with("HTTP/1.1 200"),
            "the page says {:?}",
            got.lines().next()
        );
        slowest = slowest.max(asked.elapsed().as_secs_f64());
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(slowest)
}

pub(crate) fn get(page: SocketAddr, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect_timeout(&page, LONGEST)?;
    stream.set_read_timeout(Some(LONGEST))?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(!answer.is_empty(), "closed without a word");
    Ok(answer)
}
