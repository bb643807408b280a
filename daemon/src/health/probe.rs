//! Health checks: does a service answer?
//!
//! A probe belongs to one run and reports under its number, so that a late answer says nothing about the next run.
//! Checks of one run follow each other and never overlap, however long one takes.

use std::time::Duration;

use tokio::time::sleep;

use super::check::check;
use crate::config::service::HealthRules;
use crate::event::{Event, RunId, Sender, ServiceId};

/// Between checks until the first succeeds: a start is to be noticed soon.
const EAGER: Duration = Duration::from_millis(100);

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
