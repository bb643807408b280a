//! The last log lines, in memory. When it is full the oldest line goes.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::clock;

/// Together with [`LINE_BYTES`] at most a quarter of a megabyte.
const LINES: usize = 500;
const LINE_BYTES: usize = 500;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Seconds since the Unix epoch, by the clock of the moment.
    pub at: i64,
    pub level: String,
    /// Whose output it is; `null` for the daemon's own words.
    pub service: Option<String>,
    pub text: String,
}

/// Clones share their lines.
#[derive(Clone, Debug, Default)]
pub struct Logbook {
    lines: Arc<Mutex<VecDeque<Entry>>>,
}

impl Logbook {
    /// The last `count` lines, oldest first, of one service or of all.
    pub fn last(&self, count: usize, service: Option<&str>) -> Vec<Entry> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = |entry: &&Entry| service.is_none() || entry.service.as_deref() == service;
        let mut last: Vec<Entry> = lines.iter().rev().filter(wanted).take(count).cloned().collect();
        last.reverse();
        last
    }

    fn push(&self, entry: Entry) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LINES {
            lines.pop_front();
        }
        lines.push_back(entry);
    }
}

impl<S: Subscriber> Layer<S> for Logbook {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        if *metadata.level() > Level::INFO {
            return;
        }
        let is_output = metadata.target() == super::SERVICE;
        let mut words = Words {
            is_output,
            ..Words::default()
        };
        event.record(&mut words);
        let mut text = words.message;
        text.push_str(&words.fields);
        if let Some((end, _)) = text.char_indices().find(|(at, _)| *at >= LINE_BYTES) {
            text.truncate(end);
            text.push('…');
        }
        let level = metadata.level().as_str().to_ascii_lowercase();
        self.push(Entry {
            at: clock::unix_time(),
            level,
            service: words.service,
            text,
        });
    }
}

/// An event's message and fields as text.
#[derive(Default)]
struct Words {
    is_output: bool,
    message: String,
    fields: String,
    service: Option<String>,
}

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "service" && self.is_output {
            self.service = Some(value.to_owned());
        } else {
            self.record_debug(field, &format_args!("{value}"));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a String does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt;

    #[test]
    fn lines_are_kept_bounded_and_told_apart() {
        let book = Logbook::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(book.clone()), || {
            for number in 0..LINES {
                tracing::info!(target: crate::log::SERVICE, service = "one", "line {number}");
            }
            tracing::warn!(service = "one", failures = 3, "service");
            tracing::debug!("not kept");
            tracing::info!(target: crate::log::SERVICE, service = "two", "{}", "ä".repeat(1000));
        });
        assert_eq!(book.last(usize::MAX, None).len(), LINES);
        let last = book.last(2, None);
        assert_eq!(
            (last[0].service.as_deref(), last[0].text.as_str()),
            (None, "service service=one failures=3")
        );
        assert_eq!(last[0].level, "warn");
        assert!(last[1].text.len() < LINE_BYTES + 8 && last[1].text.ends_with('…'));
        let ones = book.last(3, Some("one"));
        assert_eq!(
            ones.iter().map(|entry| entry.text.as_str()).collect::<Vec<_>>(),
            ["line 497", "line 498", "line 499"]
        );
    }
}
