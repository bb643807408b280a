//! The snapshot as Prometheus reads it (text format 0.0.4). What is not known is left out: a gap in a graph is the
//! truth, a zero is not.

use std::fmt::{Display, Write};
use std::time::Duration;

use crate::snapshot::{BoxState, Level, ServiceHealth, ServiceStateName, Snapshot};

pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

#[derive(Clone, Copy)]
enum Kind {
    Gauge,
    Counter,
}

#[derive(Default)]
struct Exposition(String);

/// Label names and values of one sample.
type Labels<'a> = &'a [(&'static str, &'a str)];

impl Exposition {
    /// One metric with all its samples; nothing at all when there are none.
    fn metric<'a, V: Display>(
        &mut self,
        name: &'static str,
        kind: Kind,
        help: &'static str,
        samples: impl IntoIterator<Item = (Vec<(&'static str, &'a str)>, V)>,
    ) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        let kind = match kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
        };
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        for (labels, value) in samples {
            let _ = writeln!(self.0, "{name}{} {value}", braces(&labels));
        }
    }

    fn gauge<V: Display>(&mut self, name: &'static str, help: &'static str, value: Option<V>) {
        self.metric(name, Kind::Gauge, help, value.map(|value| (Vec::new(), value)));
    }
}

fn braces(labels: Labels<'_>) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let pairs: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}=\"{}\"", escape(value)))
        .collect();
    format!("{{{}}}", pairs.join(","))
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn one(yes: bool) -> u8 {
    u8::from(yes)
}

/// `silent` is how long the supervisor has said nothing.
pub(super) fn text(snapshot: &Snapshot, silent: Duration) -> String {
    let mut out = Exposition::default();
    state(&mut out, snapshot, silent);
    services(&mut out, snapshot);
    archive(&mut out, snapshot);
    peers(&mut out, snapshot);
    system(&mut out, snapshot);
    traffic(&mut out, snapshot);
    levels(&mut out, snapshot);
    out.0
}

fn state(out: &mut Exposition, snapshot: &Snapshot, silent: Duration) {
    let labels = vec![
        ("version", snapshot.version.as_str()),
        ("board", snapshot.board.as_str()),
    ];
    out.metric(
        "pillarbox_build_info",
        Kind::Gauge,
        "The daemon's version and board.",
        [(labels, 1)],
    );
    let states = [
        ("starting", BoxState::Starting),
        ("ok", BoxState::Ok),
        ("degraded", BoxState::Degraded),
        ("failed", BoxState::Failed),
    ];
    let states = states.map(|(name, state)| (vec![("state", name)], one(snapshot.state == state)));
    out.metric(
        "pillarbox_state",
        Kind::Gauge,
        "1 for the state that the box is in.",
        states,
    );
    out.gauge(
        "pillarbox_fault_code",
        "The fault code that the light blinks; 0 for none.",
        Some(snapshot.code.unwrap_or(0)),
    );
    out.gauge(
        "pillarbox_uptime_seconds",
        "Since the daemon's start.",
        Some(snapshot.uptime_secs),
    );
    let silent = format!("{:.3}", silent.as_secs_f64());
    out.gauge(
        "pillarbox_supervisor_silence_seconds",
        "Since the supervisor's last word.",
        Some(silent),
    );
}

fn peers(out: &mut Exposition, snapshot: &Snapshot) {
    out.gauge(
        "pillarbox_mailserver_peers",
        "Peers that the mailserver is connected to.",
        snapshot.mailserver.peers,
    );
    out.gauge(
        "pillarbox_mailserver_peers_in",
        "Of them, those that came to us.",
        snapshot.mailserver.peers_in,
    );
    out.gauge(
        "pillarbox_mailserver_peers_out",
        "Of them, those that we went to.",
        snapshot.mailserver.peers_out,
    );
}

fn services(out: &mut Exposition, snapshot: &Snapshot) {
    let all = || {
        snapshot
            .services
            .iter()
            .filter(|service| service.state != ServiceStateName::Disabled)
    };
    let label = |name: &str| -> Vec<(&'static str, String)> { vec![("service", name.to_owned())] };
    let owned: Vec<_> = all().map(|service| (label(&service.name), service)).collect();
    let borrowed = || {
        owned.iter().map(|(labels, service)| {
            (
                labels
                    .iter()
                    .map(|(name, value)| (*name, value.as_str()))
                    .collect::<Vec<_>>(),
                *service,
            )
        })
    };
    let running = borrowed().map(|(labels, service)| (labels, one(service.state == ServiceStateName::Active)));
    out.metric(
        "pillarbox_service_running",
        Kind::Gauge,
        "1 while the service is running.",
        running,
    );
    let healthy = borrowed().filter_map(|(labels, service)| Some((labels, one(service.health? == ServiceHealth::Ok))));
    out.metric(
        "pillarbox_service_healthy",
        Kind::Gauge,
        "1 while the service's last check succeeded.",
        healthy,
    );
    let restarts = borrowed().map(|(labels, service)| (labels, service.restarts));
    out.metric(
        "pillarbox_service_restarts_total",
        Kind::Counter,
        "Starts after the first one.",
        restarts,
    );
}

fn archive(out: &mut Exposition, snapshot: &Snapshot) {
    let archive = &snapshot.archive;
    out.gauge(
        "pillarbox_archive_envelopes",
        "Envelopes that are kept.",
        archive.envelopes,
    );
    out.gauge("pillarbox_archive_bytes", "The archive's size on disk.", archive.bytes);
    out.gauge(
        "pillarbox_archive_oldest_timestamp_seconds",
        "The oldest envelope's own time.",
        archive.oldest,
    );
    out.gauge(
        "pillarbox_archive_newest_timestamp_seconds",
        "The newest envelope's own time.",
        archive.newest,
    );
    out.gauge(
        "pillarbox_archive_retention_seconds",
        "How long envelopes are kept.",
        archive.retention_secs,
    );
    let pruned = [(Vec::new(), archive.pruned_total)];
    let help = "Envelopes removed for their age since the daemon's start.";
    out.metric("pillarbox_archive_pruned_envelopes_total", Kind::Counter, help, pruned);
    let help = "When envelopes were last looked through for their age.";
    out.gauge(
        "pillarbox_archive_last_prune_timestamp_seconds",
        help,
        archive.last_prune,
    );
    let help = "Files of the archive that were set aside.";
    out.gauge(
        "pillarbox_archive_quarantined_files",
        help,
        Some(archive.quarantined.len()),
    );
    let help = "Segments that a newer Pillarbox wrote, ignored.";
    out.gauge("pillarbox_archive_newer_segments", help, Some(archive.newer.len()));
}

fn system(out: &mut Exposition, snapshot: &Snapshot) {
    let system = &snapshot.system;
    let memory = system.memory;
    out.gauge(
        "pillarbox_memory_total_bytes",
        "Memory of the box.",
        memory.map(|memory| memory.total_bytes),
    );
    out.gauge(
        "pillarbox_memory_available_bytes",
        "Memory that is free for use.",
        memory.map(|memory| memory.available_bytes),
    );
    let disk = system.disk;
    out.gauge(
        "pillarbox_disk_total_bytes",
        "The disk that holds the archive.",
        disk.map(|disk| disk.total_bytes),
    );
    out.gauge(
        "pillarbox_disk_available_bytes",
        "What is free on it.",
        disk.map(|disk| disk.available_bytes),
    );
    out.gauge(
        "pillarbox_temperature_celsius",
        "The processor's temperature.",
        system.temperature,
    );
    out.gauge(
        "pillarbox_load1",
        "Load average over a minute.",
        system.load.map(|load| load[0]),
    );
}

fn traffic(out: &mut Exposition, snapshot: &Snapshot) {
    let traffic = snapshot.traffic.month.is_some().then_some(&snapshot.traffic);
    out.gauge(
        "pillarbox_traffic_month_received_bytes",
        "What the box received this month.",
        traffic.map(|traffic| traffic.received_bytes),
    );
    out.gauge(
        "pillarbox_traffic_month_sent_bytes",
        "What the box sent this month.",
        traffic.map(|traffic| traffic.sent_bytes),
    );
    out.gauge(
        "pillarbox_traffic_cap_bytes_per_second",
        "Bandwidth limit of the services in each direction; absent where there is none.",
        snapshot.traffic.cap_kib_per_sec.map(|cap| u64::from(cap) * 1024),
    );
}

fn levels(out: &mut Exposition, snapshot: &Snapshot) {
    let findings: Vec<(String, u8)> = snapshot
        .health
        .iter()
        .filter_map(|(subject, finding)| {
            let level = match finding.as_ref()?.level {
                Level::Ok => 0,
                Level::Warn => 1,
                Level::Bad => 2,
            };
            // The names of `/status.json`, so that both can be looked at side by side.
            let name = serde_json::to_value(subject).ok()?;
            Some((name.as_str()?.to_owned(), level))
        })
        .collect();
    let findings = findings
        .iter()
        .map(|(name, level)| (vec![("subject", name.as_str())], *level));
    out.metric(
        "pillarbox_health_level",
        Kind::Gauge,
        "0 fine, 1 needs attention, 2 bad.",
        findings,
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::tests::sample;

    #[test]
    fn samples_of_a_working_box() {
        let text = text(&sample::ok(), Duration::from_millis(250));
        for line in [
            "pillarbox_build_info{version=\"1.2.3\",board=\"dev\"} 1",
            "pillarbox_state{state=\"ok\"} 1",
            "pillarbox_state{state=\"failed\"} 0",
            "pillarbox_service_running{service=\"mailserver\"} 1",
            "pillarbox_archive_envelopes 128934",
            "pillarbox_archive_pruned_envelopes_total 402113",
            "pillarbox_health_level{subject=\"clock\"} 0",
            "pillarbox_supervisor_silence_seconds 0.250",
        ] {
            assert!(text.lines().any(|have| have == line), "{line} is missing from\n{text}");
        }
        assert!(
            !text.contains("service=\"nwaku\""),
            "a service that is off is not a service that is down"
        );
    }

    #[test]
    fn what_is_not_known_is_left_out_and_labels_are_escaped() {
        let text = text(&sample::failed(), Duration::ZERO);
        assert!(
            !text.contains("pillarbox_archive_envelopes") && !text.contains("temperature"),
            "{text}"
        );
        assert!(
            text.contains("service=\"<script>alert(\\\"1\\\")</script>&'\""),
            "{text}"
        );
    }

    /// Every line is a comment or `name{labels} number`, every metric is announced before its samples, and once.
    #[test]
    fn well_formed() {
        for snapshot in [sample::starting(), sample::ok(), sample::degraded(), sample::failed()] {
            let mut announced: Vec<String> = Vec::new();
            for line in text(&snapshot, Duration::ZERO).lines() {
                if let Some(rest) = line.strip_prefix("# TYPE ") {
                    let name = rest.split(' ').next().unwrap().to_owned();
                    assert!(!announced.contains(&name), "{name} twice");
                    announced.push(name);
                } else if !line.starts_with('#') {
                    let (sample, value) = line.rsplit_once(' ').unwrap();
                    assert!(value.parse::<f64>().is_ok(), "{line}");
                    assert_eq!(sample.split('{').next(), announced.last().map(String::as_str), "{line}");
                }
            }
        }
    }

    /// The dashboard and the alert rules name only metrics that there are.
    #[test]
    fn what_is_shipped_for_monitoring_names_real_metrics() {
        let mut all = sample::ok();
        all.mailserver.peers = Some(1);
        let text = text(&all, Duration::ZERO);
        let known: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
            .collect();
        for file in [
            include_str!("../../../monitoring/alerts.yml"),
            include_str!("../../../monitoring/grafana-dashboard.json"),
        ] {
            let words = file.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
            let named: Vec<&str> = words.filter(|word| word.starts_with("pillarbox_")).collect();
            assert!(named.len() > 10);
            for name in named {
                assert!(known.contains(&name), "{name} is no metric of the page");
            }
        }
        let dashboard: serde_json::Value =
            serde_json::from_str(include_str!("../../../monitoring/grafana-dashboard.json")).unwrap();
        assert!(dashboard["panels"].as_array().is_some_and(|panels| panels.len() > 5));
    }
}
