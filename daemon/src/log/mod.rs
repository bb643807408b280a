//! Where the daemon's own words and its services' output go: to the journal when systemd has connected one, to stderr
//! otherwise; and the last of them into memory ([`Logbook`]) for the CLI and the page.

mod book;
mod journal;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

pub use book::{Entry, Logbook};

/// Target of the events that carry a service's output; its name is in the field `service`.
pub const SERVICE: &str = "service";

/// Starts logging for the whole process. `RUST_LOG` filters; without it everything from info up.
pub fn start() -> Logbook {
    let book = Logbook::default();
    let filter = || EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let journal = journal::connected().then(journal::layer).and_then(Result::ok);
    let (journal, stderr) = match journal {
        Some(journal) => (Some(journal.with_filter(filter())), None),
        None => {
            let stderr = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
            (None, Some(stderr.with_filter(filter())))
        }
    };
    let layers = tracing_subscriber::registry()
        .with(journal)
        .with(stderr)
        .with(book.clone().with_filter(filter()));
    // Fails only if there is a log already, as in tests.
    let _ = layers.try_init();
    book
}
