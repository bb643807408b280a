//! Telling somebody when the box's state changes: by webhook, ntfy or e-mail.
//!
//! A reader of snapshots like the page and the lights, on a thread of its own, so that nothing it waits for can hold up
//! the supervisor. What is worth telling is decided by [`teller::Teller`], which is pure; each way has a task that sends
//! the newest message until it is taken ([`deliver`]). Without `[notify]` there is no thread.

mod email;
mod error;
mod message;
mod post;
mod teller;
mod trust;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

pub use message::Message;

use crate::config::notify::Notify;
use crate::snapshot::Snapshot;
use error::Error;
use teller::Teller;
use trust::Trust;

/// For one attempt, name look-up and handshake included.
const ATTEMPT: Duration = Duration::from_secs(30);
const RETRY: Duration = Duration::from_secs(5);
const RETRY_MAX: Duration = Duration::from_secs(600);
/// How often the present is looked at while nothing changes: what waits for its minute has to go out then.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Starts the thread, which ends with the process or with the snapshots' sender.
pub fn start(notify: Notify, snapshots: watch::Receiver<Arc<Snapshot>>, unix_time: fn() -> i64) -> std::io::Result<()> {
    if notify.is_empty() {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()?;
    let run = move || runtime.block_on(run(notify, snapshots, unix_time));
    thread::Builder::new().name("notify".to_owned()).spawn(run)?;
    Ok(())
}

async fn run(notify: Notify, mut snapshots: watch::Receiver<Arc<Snapshot>>, unix_time: fn() -> i64) {
    let trust = Arc::new(Trust::read(notify.ca_file.as_deref()));
    let (newest, mut ways) = (watch::channel(None).0, Vec::new());
    let ways_of = [
        notify.webhook.map(Way::Webhook),
        notify.ntfy.map(Way::Ntfy),
        notify.email.map(Way::Email),
    ];
    for way in ways_of.into_iter().flatten() {
        ways.push(tokio::spawn(deliver(way, trust.clone(), newest.subscribe())));
    }
    let begun = Instant::now();
    let host = message::host();
    let mut teller = Teller::default();
    loop {
        let snapshot = snapshots.borrow_and_update().clone();
        if teller.due(&snapshot, begun.elapsed()) {
            newest.send_replace(Some(Arc::new(Message::of(&snapshot, &host, unix_time()))));
        }
        if let Ok(Err(_)) = timeout(LOOK_EVERY, snapshots.changed()).await {
            break;
        }
    }
    // The daemon ends, and with it the process; what was not taken by now is the next one's to tell.
    drop(newest);
    for way in ways {
        let _ = way.await;
    }
}

enum Way {
    Webhook(crate::config::notify::Webhook),
    Ntfy(crate::config::notify::Ntfy),
    Email(crate::config::notify::Email),
}

impl Way {
    fn name(&self) -> &'static str {
        match self {
            Way::Webhook(_) => "webhook",
            Way::Ntfy(_) => "ntfy",
            Way::Email(_) => "email",
        }
    }

    async fn send(&self, message: &Message, trust: &Trust) -> Result<(), Error> {
        match self {
            Way::Webhook(webhook) => post::webhook(webhook, message, trust).await,
            Way::Ntfy(ntfy) => post::ntfy(ntfy, message, trust).await,
            Way::Email(email) => email::send(email, message, trust).await,
        }
    }
}

/// Sends each message until it is taken or a newer one is there; older ones are not worth telling any more.
async fn deliver(way: Way, trust: Arc<Trust>, mut newest: watch::Receiver<Option<Arc<Message>>>) {
    while newest.changed().await.is_ok() {
        let mut wait = RETRY;
        let mut failures = 0_u32;
        loop {
            let Some(message) = newest.borrow_and_update().clone() else {
                break;
            };
            let sent = timeout(ATTEMPT, way.send(&message, &trust)).await;
            match sent.unwrap_or(Err(Error::Late(ATTEMPT))) {
                Ok(()) => {
                    tracing::info!(way = way.name(), id = message.id, failures, "notified");
                    break;
                }
                Err(error) => {
                    failures += 1;
                    if failures == 1 {
                        tracing::warn!(way = way.name(), id = message.id, %error, "not notified; tried again");
                    }
                }
            }
            tokio::select! {
                () = sleep(wait) => wait = (wait * 2).min(RETRY_MAX),
                changed = newest.changed() => match changed {
                    Ok(()) => (wait, failures) = (RETRY, 0),
                    Err(_) => return,
                },
            }
        }
    }
}
