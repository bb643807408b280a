//! The page's sections below the state, each from the same view. Every section has words for when there is nothing to
//! show yet.

use super::markup::{Markup, put};
use super::view::{View, ago, as_sentence};
use super::{chart, format, qr, texts};
use crate::redact::redact;
use crate::snapshot::{Level, ServiceHealth, ServiceStateName, ServiceStatus, WriterStatus};

pub(super) fn tiles(view: &View<'_>) -> Markup {
    let snapshot = view.snapshot;
    let unknown = || texts::UNKNOWN.to_owned();
    let node = &snapshot.mailserver;
    let ways = node.peers_in.zip(node.peers_out);
    let peers = ways.map_or_else(|| texts::PEERS.to_owned(), |(came, went)| texts::peers(came, went));
    let tiles = [
        (
            texts::KEPT.to_owned(),
            snapshot.archive.envelopes.map_or_else(unknown, format::count),
        ),
        (peers, node.peers.map_or_else(unknown, format::count)),
        (
            texts::STORAGE.to_owned(),
            snapshot.archive.bytes.map_or_else(unknown, format::bytes),
        ),
        (texts::RUNNING.to_owned(), format::span(snapshot.uptime_secs)),
    ];
    let mut out = Markup::new();
    put!(
        out,
        "<h2 class=\"unseen-text\">",
        &texts::MENU_FACTS,
        "</h2><dl class=\"tiles\">"
    );
    for (name, value) in tiles {
        put!(out, "<div><dt>", &name, "</dt><dd>", &value, "</dd></div>");
    }
    put!(out, "</dl>");
    out
}

pub(super) fn day(view: &View<'_>) -> Markup {
    let mut out = heading(texts::LAST_DAY);
    let seen: Vec<u64> = view.hours.iter().flatten().copied().collect();
    if seen.is_empty() {
        put!(out, "<p class=\"empty tall\">", &texts::NOTHING_COUNTED, "</p>");
        return out;
    }
    if seen.iter().all(|count| *count == 0) && view.snapshot.archive.envelopes == Some(0) {
        let seen_for = format::span(view.seen_for.as_secs() / 60 * 60);
        put!(out, "<p class=\"empty tall\">", &texts::nothing_came(&seen_for), "</p>");
        return out;
    }
    let most = seen.iter().copied().max().unwrap_or(0);
    let total: u64 = seen.iter().sum();
    put!(out, "<div class=\"charts\">");
    let label = texts::bars_label(seen.len(), total, most);
    let aside = texts::busiest(&format::count(most));
    figure(&mut out, texts::BY_HOUR, &aside, chart::bars(&view.hours, &label));
    let present = view.sizes.last().map_or(0, |(_, bytes)| *bytes);
    let largest = view.sizes.iter().map(|(_, bytes)| *bytes).max().unwrap_or(0);
    let label = texts::area_label(&format::bytes(present), &format::bytes(largest));
    let aside = texts::seen_for(&format::span(view.seen_for.as_secs() / 60 * 60));
    figure(&mut out, texts::BY_SIZE, &aside, chart::area(&view.sizes, &label));
    put!(out, "</div>");
    out
}

fn figure(out: &mut Markup, title: &str, aside: &str, chart: Markup) {
    put!(
        *out,
        "<figure><figcaption><h3>",
        &title,
        "</h3><span>",
        &aside,
        "</span></figcaption>",
        chart
    );
    put!(
        *out,
        "<p class=\"axis\" aria-hidden=\"true\"><span>",
        &texts::DAY_AGO,
        "</span><span>",
        &texts::NOW
    );
    put!(*out, "</span></p></figure>");
}

pub(super) fn how_to_use(view: &View<'_>) -> Markup {
    let mut out = heading(texts::USE);
    let addresses = &view.snapshot.mailserver.multiaddrs;
    let Some(address) = best(addresses) else {
        put!(out, "<p class=\"empty tall\">", &texts::NO_ADDRESS, "</p>");
        return out;
    };
    put!(out, "<div class=\"use\"><div><ol class=\"steps\">");
    for step in texts::USE_STEPS {
        put!(out, "<li>", &step, "</li>");
    }
    put!(
        out,
        "</ol><div class=\"address\"><h3>",
        &texts::ADDRESS,
        "</h3><code id=\"address\">",
        &address,
        "</code>"
    );
    put!(
        out,
        "<button type=\"button\" data-copy=\"address\" data-done=\"",
        &texts::COPIED,
        "\" hidden>",
        &texts::COPY
    );
    put!(out, "</button><p class=\"hint\">", &texts::USE_WHERE, "</p>");
    if addresses.len() > 1 {
        put!(
            out,
            "<details id=\"addresses\"><summary>",
            &texts::ADDRESSES,
            "</summary><ul>"
        );
        for address in addresses {
            put!(out, "<li><code>", address, "</code></li>");
        }
        put!(out, "</ul></details>");
    }
    put!(out, "</div></div>");
    if let Some(code) = qr::svg(address, texts::QR) {
        put!(out, "<div>", code, "</div>");
    }
    put!(out, "</div>");
    out
}

/// The address that a Status app on the LAN can use: plain TCP, not the host itself, IPv4 first.
fn best(addresses: &[String]) -> Option<&String> {
    addresses.iter().min_by_key(|address| {
        let own = ["/ip4/127.", "/ip4/0.0.0.0/", "/ip6/::1/", "/ip6/::/"]
            .iter()
            .any(|start| address.starts_with(start));
        let web = address.contains("/ws");
        let v6 = address.starts_with("/ip6/");
        (own, web, v6)
    })
}

pub(super) fn services(view: &View<'_>) -> Markup {
    let mut out = heading(texts::SERVICES);
    if view.snapshot.services.is_empty() {
        put!(out, "<p class=\"empty\">", &texts::NO_SERVICES, "</p>");
        return out;
    }
    put!(out, "<ul class=\"rows\">");
    for service in &view.snapshot.services {
        put!(
            out,
            "<li><p class=\"top\"><span class=\"name\">",
            &service.name,
            "</span>"
        );
        put!(
            out,
            "<span class=\"badge ",
            &service_tone(service),
            "\">",
            &texts::service_state(service.state),
            "</span></p>"
        );
        put!(out, "<p class=\"detail\">", &service_detail(service), "</p>");
        if let Some(reason) = &service.reason {
            put!(out, "<p class=\"reason\">", reason, "</p>");
        }
        put!(out, "</li>");
    }
    put!(out, "</ul>");
    out
}

fn service_tone(service: &ServiceStatus) -> &'static str {
    match (service.state, service.health) {
        (ServiceStateName::Active, Some(ServiceHealth::Failing)) => "tone-warn",
        (ServiceStateName::Active, _) => "tone-good",
        (ServiceStateName::Activating | ServiceStateName::Deactivating, _) => "tone-busy",
        (ServiceStateName::Backoff, _) => "tone-warn",
        (ServiceStateName::Failed, _) => "tone-bad",
        (ServiceStateName::Disabled | ServiceStateName::Inactive, _) => "tone-off",
    }
}

fn service_detail(service: &ServiceStatus) -> String {
    let mut parts = Vec::new();
    if service.state == ServiceStateName::Active {
        parts.push(texts::service_health(service.health).to_owned());
    }
    parts.extend(service.pid.map(texts::process));
    if service.state != ServiceStateName::Disabled {
        parts.push(texts::restarts(service.restarts));
    }
    parts.extend(service.last_exit.as_deref().map(texts::last_exit));
    parts.join(" \u{b7} ")
}

pub(super) fn health(view: &View<'_>) -> Markup {
    let mut out = heading(texts::HEALTH);
    let measured: Vec<_> = view
        .snapshot
        .health
        .iter()
        .filter_map(|(subject, finding)| Some((*subject, finding.as_ref()?)))
        .collect();
    if measured.is_empty() {
        put!(out, "<p class=\"empty\">", &texts::NO_HEALTH, "</p>");
        return out;
    }
    put!(out, "<ul class=\"rows tight\">");
    for (subject, finding) in measured {
        let tone = match finding.level {
            Level::Ok => "tone-good",
            Level::Warn => "tone-warn",
            Level::Bad => "tone-bad",
        };
        put!(
            out,
            "<li><p class=\"top\"><span><span class=\"name\">",
            &texts::subject(subject),
            "</span>"
        );
        put!(
            out,
            " <span class=\"detail\">",
            &as_sentence(&finding.detail).trim_end_matches('.'),
            "</span></span>"
        );
        put!(
            out,
            "<span class=\"badge ",
            &tone,
            "\">",
            &texts::level(finding.level),
            "</span></p></li>"
        );
    }
    put!(out, "</ul>");
    out
}

pub(super) fn archive(view: &View<'_>) -> Markup {
    let archive = &view.snapshot.archive;
    let unknown = || texts::UNKNOWN.to_owned();
    let mut out = heading(texts::ARCHIVE);
    put!(out, "<dl class=\"facts\">");
    fact(
        &mut out,
        texts::RETENTION,
        &archive.retention_secs.map_or_else(unknown, texts::for_long),
    );
    fact(
        &mut out,
        texts::OLDEST,
        &archive.oldest.map_or_else(unknown, |then| ago(view, then)),
    );
    fact(
        &mut out,
        texts::NEWEST,
        &archive.newest.map_or_else(unknown, |then| ago(view, then)),
    );
    fact(&mut out, texts::PRUNED, &format::count(archive.pruned_total));
    fact(
        &mut out,
        texts::LAST_PRUNE,
        &archive.last_prune.map_or_else(unknown, |then| ago(view, then)),
    );
    wear(&mut out, &archive.writer);
    if !archive.newer.is_empty() {
        fact(&mut out, texts::NEWER, &format::count(archive.newer.len() as u64));
    }
    if !archive.quarantined.is_empty() {
        put!(out, "<div><dt>", &texts::SET_ASIDE, "</dt><dd><ul>");
        for file in &archive.quarantined {
            put!(
                out,
                "<li><code>",
                &file.file,
                "</code> ",
                &as_sentence(&file.reason),
                "</li>"
            );
        }
        put!(out, "</ul></dd></div>");
    }
    put!(out, "</dl>");
    out
}

/// What the archive's writer counts, as far as it does.
fn wear(out: &mut Markup, writer: &WriterStatus) {
    if let Some(bytes) = writer.written_bytes_last_day {
        let ratio = writer
            .written_per_payload
            .map_or_else(String::new, |ratio| format!(" ({ratio:.1} × the messages)"));
        fact(out, texts::WEAR, &(format::bytes(bytes) + &ratio));
    }
    if let Some(dropped) = writer.dropped_early.filter(|dropped| *dropped > 0) {
        fact(out, texts::DROPPED_EARLY, &format::count(dropped));
    }
    if !writer.refused.is_empty() {
        let refused = writer.refused.iter();
        let refused: Vec<String> = refused
            .map(|(reason, count)| format!("{} ({})", format::count(*count), reason.replace('_', " ")))
            .collect();
        fact(out, texts::REFUSED, &refused.join(", "));
    }
}

pub(super) fn system(view: &View<'_>) -> Markup {
    let system = &view.snapshot.system;
    let mut out = heading(texts::SYSTEM);
    put!(out, "<dl class=\"facts\">");
    let memory = system.memory.map(|memory| (memory.total_bytes, memory.available_bytes));
    used(&mut out, texts::MEMORY, memory);
    let disk = system.disk.map(|disk| (disk.total_bytes, disk.available_bytes));
    used(&mut out, texts::DISK, disk);
    if let Some(degrees) = system.temperature {
        fact(&mut out, texts::TEMPERATURE, &format!("{degrees:.0}\u{a0}°C"));
    }
    if let Some([one, five, fifteen]) = system.load {
        fact(
            &mut out,
            texts::LOAD,
            &format!("{one:.2} \u{b7} {five:.2} \u{b7} {fifteen:.2}"),
        );
    }
    let traffic = &view.snapshot.traffic;
    if traffic.month.is_some() {
        let (received, sent) = (format::bytes(traffic.received_bytes), format::bytes(traffic.sent_bytes));
        fact(&mut out, texts::TRAFFIC, &texts::in_and_out(&received, &sent));
    }
    if let Some(cap) = traffic.cap_kib_per_sec {
        fact(&mut out, texts::CAP, &texts::each_way(cap));
    }
    fact(&mut out, texts::BOARD, &view.snapshot.board);
    fact(&mut out, texts::VERSION, &view.snapshot.version);
    if let Some(peer_id) = &view.snapshot.mailserver.peer_id {
        put!(
            out,
            "<div><dt>",
            &texts::PEER_ID,
            "</dt><dd><code>",
            peer_id,
            "</code></dd></div>"
        );
    }
    put!(out, "</dl>");
    out
}

/// The last log lines; what must not leave the house is not shown to the LAN either.
pub(super) fn log(view: &View<'_>) -> Markup {
    let mut out = heading(texts::LOG);
    if view.log.is_empty() {
        put!(out, "<p class=\"empty\">", &texts::NO_LOG, "</p>");
        return out;
    }
    put!(out, "<ol class=\"log\">");
    for entry in &view.log {
        let tone = match entry.level.as_str() {
            "error" => "tone-bad",
            "warn" => "tone-warn",
            _ => "tone-off",
        };
        let who = entry.service.as_deref().unwrap_or(texts::LOG_DAEMON);
        put!(
            out,
            "<li class=\"",
            &tone,
            "\"><span class=\"when\">",
            &ago(view, entry.at),
            "</span> <b>",
            &who,
            "</b> "
        );
        put!(out, "<code>", &redact(&entry.text), "</code></li>");
    }
    put!(out, "</ol>");
    out
}

/// How much of something is used, with a bar; nothing where it was not measured.
fn used(out: &mut Markup, name: &str, amounts: Option<(u64, u64)>) {
    let Some((total, available)) = amounts else { return };
    let used = total.saturating_sub(available);
    let share = if total == 0 {
        0.0
    } else {
        used as f64 / total as f64 * 100.0
    };
    put!(
        *out,
        "<div><dt>",
        &name,
        "</dt><dd>",
        &texts::of_total(&format::bytes(used), &format::bytes(total))
    );
    put!(
        *out,
        "<svg class=\"meter\" viewBox=\"0 0 100 4\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
    );
    put!(
        *out,
        "<rect class=\"all\" width=\"100\" height=\"4\"/><rect class=\"used\" height=\"4\" width=\""
    );
    put!(*out, &format!("{share:.1}"), "\"/></svg></dd></div>");
}

fn fact(out: &mut Markup, name: &str, value: &str) {
    put!(*out, "<div><dt>", &name, "</dt><dd>", &value, "</dd></div>");
}

fn heading(text: &str) -> Markup {
    let mut out = Markup::new();
    put!(out, "<h2>", &text, "</h2>");
    out
}
