//! The page on the LAN: one small HTML page that needs nothing else, `/status.json` and `/healthz`.
//!
//! It runs on a thread and a runtime of its own and only ever reads snapshots: whatever the LAN does to it, supervision,
//! pruning and the lights do not notice. A port that cannot be had is said once and asked for again, while the services
//! run on. Requests are answered by address or by a name of ours only, and to neighbours only ([`http`]); what they get
//! is drawn by [`html`].

mod history;
mod html;
pub(crate) mod http;
mod lock;
mod options;
mod view;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::event::{Event, Part, Sender};
use crate::snapshot::Snapshot;
use http::{Desk, Neighbours};
pub use options::Options;

/// The first wait for a port that is taken, and the longest.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// Starts the page's thread, which ends with the process. The receiver tells where the page listens, once it does.
pub fn start(
    options: Options,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    events: Sender,
) -> io::Result<watch::Receiver<Option<SocketAddr>>> {
    let (bound, address) = watch::channel(None);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let run = move || runtime.block_on(run(options, snapshots, events, bound));
    thread::Builder::new().name("page".to_owned()).spawn(run)?;
    Ok(address)
}

async fn run(
    options: Options,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    events: Sender,
    bound: watch::Sender<Option<SocketAddr>>,
) {
    let desk = Arc::new(Desk::new(options.clone(), snapshots, events.clone(), Instant::now()));
    let watching = desk.clone();
    tokio::spawn(async move { watching.watch().await });
    let listener = bind(options.listen, &events).await;
    bound.send_replace(listener.local_addr().ok());
    tracing::info!(address = ?*bound.borrow(), "page listens");
    let answer = move |request, peer| {
        let desk = desk.clone();
        async move { desk.take(request, peer).await }
    };
    http::accept(listener, Neighbours::new(options.any_peer), answer).await;
}

/// Asks for the port until it is free; says so once, and again when it is.
async fn bind(address: SocketAddr, events: &Sender) -> TcpListener {
    let mut wait = RETRY;
    let mut told: Option<String> = None;
    loop {
        match http::bind(address) {
            Ok(listener) => {
                if told.is_some() {
                    report(events, None);
                }
                return listener;
            }
            Err(error) => {
                let trouble = format!(
                    "The page cannot listen on {address}: {error}; stop the other program or change page.listen in the configuration"
                );
                if told.as_ref() != Some(&trouble) {
                    tracing::error!(%address, %error, "page's port not usable; change page.listen or stop the other program");
                    report(events, Some(trouble.clone()));
                    told = Some(trouble);
                }
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(RETRY_MAX);
            }
        }
    }
}

fn report(events: &Sender, trouble: Option<String>) {
    // A full channel means that the daemon is stuck; the log has said it already.
    let _ = events.try_send(Event::Missing {
        part: Part::Page,
        trouble,
    });
}

#[cfg(test)]
mod tests;
