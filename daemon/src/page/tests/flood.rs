//! Under 2,000 idle connections, 200 that send slowly and 200 that never read their answer, all from the very host that
//! the browser is on, a new browser gets its page.

use super::*;

const IDLE: usize = 2000;
const SLOW: usize = 200;
/// Generous, for a busy machine; the figures that are measured stand in docs/figures.md.
const SOON: Duration = Duration::from_secs(10);

#[test]
fn a_browser_gets_the_page_under_a_flood() {
    let served = serve(sample::ok());
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = || stop.load(std::sync::atomic::Ordering::Relaxed);
    let (address, opened) = (served.address, std::sync::atomic::AtomicUsize::new(0));
    std::thread::scope(|scope| {
        // Opens again whatever the page closes.
        let mut floods = Vec::new();
        for (count, first) in [
            (IDLE / 2, &b""[..]),
            (IDLE / 2, b""),
            (SLOW, b"GET / HTTP/1.1\r\nHost: local"),
            (SLOW, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ] {
            let opened = &opened;
            floods.push(scope.spawn(move || flood(address, count, first, opened, &stopped)));
        }
        wait_for("the flood", || {
            opened.load(std::sync::atomic::Ordering::Relaxed) >= IDLE + 2 * SLOW
        });
        let mut slowest = Duration::ZERO;
        for _ in 0..50 {
            let begun = Instant::now();
            // As a browser does: ask again if the connection was closed.
            let page = (0..3).find_map(|_| served.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
            let took = begun.elapsed();
            assert_eq!(page.expect("a page under the flood").status, 200);
            slowest = slowest.max(took);
            std::thread::sleep(Duration::from_millis(20));
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        eprintln!(
            "slowest page under the flood: {slowest:?}, {} connections opened",
            opened.load(std::sync::atomic::Ordering::Relaxed)
        );
        assert!(slowest < SOON, "{slowest:?}");
    });
    assert_eq!(served.get("/").status, 200, "and after it");
}

/// Keeps `count` connections open that have sent `first` and nothing more, and read nothing.
fn flood(
    address: SocketAddr,
    count: usize,
    first: &[u8],
    opened: &std::sync::atomic::AtomicUsize,
    stopped: &dyn Fn() -> bool,
) {
    let mut streams: Vec<TcpStream> = Vec::new();
    let mut next = 0;
    while !stopped() {
        let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else {
            continue;
        };
        let _ = stream.write_all(first);
        opened.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if streams.len() < count {
            streams.push(stream);
        } else {
            // All are open: replace the oldest, a thousand a second.
            streams[next % count] = stream;
            next += 1;
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
