//! A whole request as a peer sends it, through HTTP to the page's answer, without a socket.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::{Desk, serve};
use crate::backup::Vault;
use crate::event;
use crate::log::Logbook;
use crate::page::options::Options;
use crate::snapshot::Snapshot;

/// Room for a request and for the page; nobody waits for anybody.
const PIPE_BYTES: usize = 1 << 20;

/// An answer is HTTP's, whatever was asked.
pub(crate) fn request(bytes: &[u8]) {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.expect("a runtime without I/O")
    });
    let (_snapshots, seen) = watch::channel(Arc::new(Snapshot::at_start("dev")));
    // What is asked for goes nowhere.
    let (events, _inbox) = event::channel();
    let options = Options {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        names: vec!["post.example.org".to_owned()],
        any_peer: false,
        unix_time: || 0,
        log: Logbook::default(),
        switches: true,
        token_file: None,
        vault: Vault::new("/nonexistent".into()),
    };
    let desk = Arc::new(Desk::new(options, seen, events, Instant::now()));
    let answer = runtime.block_on(async {
        let (mut peer, own) = duplex(PIPE_BYTES);
        // The peer says all that it has to say, and no more.
        let _ = peer.write_all(bytes).await;
        let _ = peer.shutdown().await;
        let take = move |request| {
            let desk = desk.clone();
            async move { desk.take(request, IpAddr::V4(Ipv4Addr::LOCALHOST)).await }
        };
        drop(bounded_http::exchange(own, &serve::LIMITS, take).await);
        let mut answer = Vec::new();
        let _ = peer.read_to_end(&mut answer).await;
        answer
    });
    assert!(
        answer.is_empty() || answer.starts_with(b"HTTP/1."),
        "no answer of HTTP's"
    );
}
