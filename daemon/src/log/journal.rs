//! The systemd journal: the daemon's events under its own name, each service's output under the service's.
//!
//! Services' lines go out by the journal's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL) from here, because
//! tracing-journald has one identifier for all it sends.

use std::fmt::Write;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

const SOCKET: &str = "/run/systemd/journal/socket";

/// Whether systemd has connected this process to the journal (systemd.exec(5), `$JOURNAL_STREAM`).
pub(super) fn connected() -> bool {
    std::env::var_os("JOURNAL_STREAM").is_some()
}

pub(super) fn layer<S: Subscriber + for<'span> LookupSpan<'span>>() -> io::Result<impl Layer<S>> {
    let own = tracing_journald::layer()?.with_syslog_identifier("pillarboxd".to_owned());
    let own = own.with_filter(tracing_subscriber::filter::filter_fn(|metadata| {
        metadata.target() != super::SERVICE
    }));
    Ok(own.and_then(ServiceLines::connect(Path::new(SOCKET))?))
}

struct ServiceLines {
    socket: UnixDatagram,
}

impl ServiceLines {
    fn connect(path: &Path) -> io::Result<ServiceLines> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        // A journal that is stuck must not stop the supervisor; its line is lost then.
        socket.set_nonblocking(true)?;
        Ok(ServiceLines { socket })
    }
}

impl<S: Subscriber> Layer<S> for ServiceLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != super::SERVICE {
            return;
        }
        let mut line = Line::default();
        event.record(&mut line);
        let _ = self.socket.send(line.datagram(*event.metadata().level()).as_bytes());
    }
}

#[derive(Default)]
struct Line {
    service: String,
    message: String,
}

impl Line {
    /// One field a line: what has a newline would need the protocol's other form, but a line of output has none.
    fn datagram(&self, level: Level) -> String {
        let priority = match level {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        };
        let one_line = |text: &str| text.replace('\n', " ");
        format!(
            "PRIORITY={priority}\nSYSLOG_IDENTIFIER={}\nPILLARBOX_SERVICE={}\nMESSAGE={}\n",
            one_line(&self.service),
            one_line(&self.service),
            one_line(&self.message)
        )
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "service" {
            value.clone_into(&mut self.service);
        } else {
            self.record_debug(field, &format_args!("{value}"));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a String does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.message, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt;

    #[test]
    fn a_services_line_arrives_under_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let journal = UnixDatagram::bind(&path).unwrap();
        let layer = ServiceLines::connect(&path).unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::info!("the daemon's own words go another way");
            tracing::info!(target: crate::log::SERVICE, service = "mailserver", "listening\nMESSAGE=forged");
        });
        let mut buffer = [0; 1024];
        let count = journal.recv(&mut buffer).unwrap();
        assert_eq!(
            std::str::from_utf8(&buffer[..count]).unwrap(),
            "PRIORITY=6\nSYSLOG_IDENTIFIER=mailserver\nPILLARBOX_SERVICE=mailserver\n\
             MESSAGE=listening MESSAGE=forged\n"
        );
    }
}
