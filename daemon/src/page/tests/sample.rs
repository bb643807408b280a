//! Boxes in each state, with everything filled in that can be.

use archive::DiskStage;

use crate::detail::{ArchiveDetail, BoardDetail, Cause, ClockDetail, Detail, NetworkDetail, ServiceDetail};
use crate::fault::Fault;
use crate::indicator::Pattern;
use crate::log::Entry;
use crate::snapshot::*;

pub(in crate::page) const NOW: i64 = 1_800_000_000;

pub(in crate::page) fn starting() -> Snapshot {
    let mut snapshot = Snapshot::at_start("dev");
    snapshot.version = "1.2.3".to_owned();
    snapshot.uptime_secs = 4;
    snapshot.leds.insert("status".to_owned(), Pattern::Starting);
    snapshot
        .services
        .push(service("mailserver", ServiceStateName::Activating, Some(4242)));
    snapshot
}

pub(in crate::page) fn ok() -> Snapshot {
    let mut snapshot = starting();
    snapshot.state = BoxState::Ok;
    snapshot.reason = Detail::AllWell;
    snapshot.uptime_secs = 3 * 86_400 + 4 * 3600;
    snapshot.leds.insert("status".to_owned(), Pattern::Ok);
    snapshot.services = vec![service("mailserver", ServiceStateName::Active, Some(4242)), {
        let mut nwaku = service("nwaku", ServiceStateName::Disabled, None);
        nwaku.health = None;
        nwaku
    }];
    snapshot.archive = ArchiveStatus {
        envelopes: Some(128_934),
        bytes: Some(271_000_000),
        oldest: Some(NOW - 86_100),
        newest: Some(NOW - 2),
        retention_secs: Some(86_400),
        pruned_total: 402_113,
        last_prune: Some(NOW - 31),
        quarantined: Vec::new(),
        newer: Vec::new(),
        unreadable: Vec::new(),
        in_the_way: Vec::new(),
        writer: WriterStatus {
            written_bytes_last_day: Some(642_000_000),
            written_per_payload: Some(2.43),
            dropped_early: Some(0),
            refused: [("expired".to_owned(), 3), ("share".to_owned(), 1204)].into(),
        },
    };
    snapshot.mailserver = MailserverStatus {
        peer_id: Some("16Uiu2HAmPLe7Mzm8TsYUubgCAW1aJoeFScxrLj8ppHFivPo97bUZ".to_owned()),
        multiaddrs: [
            "/ip4/127.0.0.1/tcp/60000",
            "/ip4/192.168.1.20/tcp/60000",
            "/ip4/192.168.1.20/tcp/8000/ws",
        ]
        .iter()
        .map(|start| format!("{start}/p2p/16Uiu2HAmPLe7Mzm8TsYUubgCAW1aJoeFScxrLj8ppHFivPo97bUZ"))
        .collect(),
        peers: Some(17),
        peers_in: Some(5),
        peers_out: Some(12),
        peers_public: Some(16),
        reachable: Some(true),
    };
    snapshot.system = SystemStatus {
        load: Some([0.21, 0.18, 0.12]),
        memory: Some(MemoryStatus {
            total_bytes: 953_000_000,
            available_bytes: 702_000_000,
        }),
        disk: Some(DiskStatus {
            total_bytes: 31_000_000_000,
            available_bytes: 27_400_000_000,
            stage: DiskStage::Fine,
            read_only: false,
        }),
        temperature: Some(48.3),
        cores: Some(4),
        power: PowerStatus::default(),
        watchdog: None,
        updating: false,
    };
    snapshot.network = NetworkStatus {
        links: Some(vec!["eth0".to_owned()]),
        addresses: vec!["192.168.1.20".to_owned()],
        gateway: Some("192.168.1.1".to_owned()),
        internet: Some(true),
        counters: None,
    };
    snapshot.traffic = TrafficStatus {
        month: Some("2027-01".to_owned()),
        received_bytes: 41_200_000_000,
        sent_bytes: 63_800_000_000,
        cap_kib_per_sec: Some(500),
    };
    let found: [(Subject, Detail); 9] = [
        (Subject::Clock, ClockDetail::Known.into()),
        (
            Subject::Disk,
            BoardDetail::Free {
                bytes: 27_400_000_000,
                stage: DiskStage::Fine,
            }
            .into(),
        ),
        (
            Subject::Memory,
            BoardDetail::MemoryAvailable {
                available_bytes: 702_000_000,
                total_bytes: 953_000_000,
            }
            .into(),
        ),
        (
            Subject::Network,
            NetworkDetail::Connected {
                links: vec!["eth0".to_owned()],
                address: Some("192.168.1.20".to_owned()),
                gateway: Some("192.168.1.1".to_owned()),
                public_peers: Some(16),
            }
            .into(),
        ),
        (
            Subject::Peers,
            NetworkDetail::Peers {
                peers: 17,
                by_way: Some((5, 12)),
            }
            .into(),
        ),
        (Subject::Services, ServiceDetail::AllRunning.into()),
        (
            Subject::Temperature,
            BoardDetail::Temperature {
                celsius: 48.3,
                slowed: false,
            }
            .into(),
        ),
        (Subject::LastEnvelope, ArchiveDetail::SentAgo { secs: 2 }.into()),
        // What the daemon was told by somebody else stays as it was said.
        (Subject::Hardware, Detail::said("The LED \"status\": no such line")),
    ];
    for (subject, detail) in found {
        let level = Level::Ok;
        snapshot.health.insert(subject, Some(Finding { level, detail }));
    }
    snapshot.health.insert(Subject::Power, None);
    snapshot
}

pub(in crate::page) fn degraded() -> Snapshot {
    let mut snapshot = ok();
    snapshot.state = BoxState::Degraded;
    snapshot.code = Some(Fault::Clock.code());
    snapshot.reason = ClockDetail::NotSynchronised.into();
    snapshot
        .leds
        .insert("status".to_owned(), Pattern::Degraded(Fault::Clock.code()));
    let finding = Finding {
        level: Level::Warn,
        detail: ClockDetail::NotSynchronised.into(),
    };
    snapshot.health.insert(Subject::Clock, Some(finding));
    snapshot.archive.writer.dropped_early = Some(5021);
    snapshot.archive.newer = vec!["slice-1799998200-3600-000007-main.sqlite".to_owned()];
    snapshot.archive.quarantined.push(QuarantinedFile {
        file: "00001800000000.corrupt.sqlite".to_owned(),
        reason: "not a database".to_owned(),
    });
    snapshot
}

/// With everything hostile that a child, a file or a peer could bring in.
pub(in crate::page) fn failed() -> Snapshot {
    let evil = "<script>alert(\"1\")</script>&'";
    let mut snapshot = starting();
    snapshot.state = BoxState::Failed;
    snapshot.code = Some(Fault::ServiceDown.code());
    let cause = Cause::Ended {
        exit: "exit 1".to_owned(),
        words: Some(evil.to_owned()),
    };
    let gave_up = ServiceDetail::GaveUp {
        service: evil.to_owned(),
        cause: cause.clone(),
        times: 5,
    };
    snapshot.reason = gave_up.into();
    snapshot.board = evil.to_owned();
    snapshot.leds.clear();
    snapshot
        .leds
        .insert("fault".to_owned(), Pattern::Failed(Fault::ServiceDown.code()));
    snapshot.leds.insert("status".to_owned(), Pattern::Off);
    snapshot.services = vec![ServiceStatus {
        name: evil.to_owned(),
        state: ServiceStateName::Failed,
        pid: None,
        restarts: 5,
        last_exit: Some("exit 1".to_owned()),
        health: Some(ServiceHealth::Failing),
        reason: Some(cause.into()),
    }];
    snapshot.mailserver.multiaddrs = vec![format!("/ip4/1.2.3.4/{evil}")];
    snapshot.mailserver.peer_id = Some(evil.to_owned());
    snapshot.archive.writer.refused.insert(evil.to_owned(), 1);
    snapshot.archive.quarantined = vec![QuarantinedFile {
        file: evil.to_owned(),
        reason: evil.to_owned(),
    }];
    let finding = Finding {
        level: Level::Bad,
        detail: Detail::said(evil),
    };
    snapshot.health.insert(Subject::Services, Some(finding));
    snapshot
}

pub(in crate::page) fn log() -> Vec<Entry> {
    let line = |before: i64, level: &str, service: Option<&str>, text: &str| Entry {
        at: NOW - before,
        level: level.to_owned(),
        service: service.map(str::to_owned),
        text: text.to_owned(),
    };
    vec![
        line(3720, "info", None, "starting version=\"1.2.3\""),
        line(61, "warn", Some("mailserver"), "dial /ip4/203.0.113.9/tcp/60000 failed"),
        line(2, "error", Some("mailserver"), "<i>disk</i> on fire"),
    ]
}

fn service(name: &str, state: ServiceStateName, pid: Option<u32>) -> ServiceStatus {
    let health = (state == ServiceStateName::Active).then_some(ServiceHealth::Ok);
    ServiceStatus {
        name: name.to_owned(),
        state,
        pid,
        restarts: 0,
        last_exit: None,
        health,
        reason: None,
    }
}
