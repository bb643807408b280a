//! Health checks: does a service answer?
//!
//! A probe belongs to one run and reports under its number, so that a late answer says nothing about the next run.
//! Checks of one run follow each other and never overlap, however long one takes.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::http;
use crate::config::service::{Check, HealthRules};
use crate::event::{Event, RunId, Sender, ServiceId};
use crate::process;

/// Between checks until the first succeeds: a start is to be noticed soon.
const EAGER: Duration = Duration::from_millis(100);
/// A health document is a few hundred bytes.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// Probes until it is dropped.
#[derive(Debug)]
pub struct Probe {
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub fn start(service: ServiceId, run: RunId, rules: HealthRules, events: Sender) -> Probe {
    let task = tokio::spawn(async move {
        let mut answered = false;
        loop {
            sleep(if answered {
                rules.interval
            } else {
                EAGER.min(rules.interval)
            })
            .await;
            let result = check(&rules.check, rules.timeout).await;
            answered |= result.is_ok();
            if events.send(Event::Checked { service, run, result }).await.is_err() {
                return;
            }
        }
    });
    Probe { task }
}

async fn check(check: &Check, limit: Duration) -> Result<(), String> {
    let checked = timeout(limit, async {
        match check {
            Check::Http(address) => match http::get(address, MAX_BODY_BYTES).await? {
                (200..=299, _) => Ok(()),
                (status, _) => Err(format!("{}{} says {status}", address.authority, address.path)),
            },
            Check::Tcp(address) => match TcpStream::connect(address).await {
                Ok(_) => Ok(()),
                Err(error) => Err(format!("cannot connect to {address}: {error}")),
            },
            Check::Command(words) => process::command::succeeds(words).await,
        }
    });
    checked
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {} ms", limit.as_millis())))
}
