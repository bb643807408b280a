//! The page on the LAN: one small HTML page that needs nothing else, `/status.json` and `/healthz`.
//!
//! It runs on a thread and a runtime of its own and only ever reads snapshots: whatever the LAN does to it, supervision,
//! pruning and the lights do not notice. A port that cannot be had is said once and asked for again, while the services
//! run on. Requests are answered by address or by a name of ours only ([`host`]), and to neighbours only
//! ([`neighbours`]).

mod change;
mod chart;
pub(crate) mod form;
mod format;
pub(crate) mod fuzzed;
mod history;
mod host;
mod lamp;
mod markup;
mod metrics;
mod neighbours;
mod program;
mod qr;
mod routes;
mod sections;
mod serve;
mod sessions;
mod texts;
mod token;
pub(crate) mod upload;
mod view;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::asking::Asker;
use crate::backup::Vault;
use crate::event::{Event, Part, Sender};
use crate::indicator::Pattern;
use crate::log::Logbook;
use crate::snapshot::Snapshot;
use neighbours::Neighbours;
use routes::Desk;

#[derive(Clone, Debug)]
pub struct Options {
    pub listen: SocketAddr,
    /// Host names that the page answers to beside addresses, `localhost` and `pillarbox*.local`.
    pub names: Vec<String>,
    /// Whether to answer peers that are neither private nor on the same link.
    pub any_peer: bool,
    /// Seconds since the Unix epoch, for "… ago".
    pub unix_time: fn() -> i64,
    /// For the last lines.
    pub log: Logbook,
    /// Whether the machine can be restarted and switched off from here.
    pub switches: bool,
    /// A file with a word that lets a browser in.
    pub token_file: Option<PathBuf>,
    /// For backup and restore.
    pub vault: Vault,
}

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
    serve::accept(listener, Neighbours::new(options.any_peer), answer).await;
}

/// Asks for the port until it is free; says so once, and again when it is.
async fn bind(address: SocketAddr, events: &Sender) -> TcpListener {
    let mut wait = RETRY;
    let mut told: Option<String> = None;
    loop {
        match serve::bind(address) {
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

/// A browser that asks to be let in, in the page's own words.
pub fn asker_in_words(asker: &Asker) -> String {
    texts::asker(asker)
}

/// How a light looks and what that says, in the page's own words.
pub fn light_in_words(pattern: Pattern) -> String {
    format!("{}. {}", texts::looks(pattern), texts::means(pattern))
}

/// What the lights say, as a Markdown table in the page's own words, for the README.
pub fn lights_markdown() -> String {
    texts::markdown()
}

#[cfg(test)]
mod tests;
