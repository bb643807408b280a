//! What the box lives on: supply and heat, network, peers. Samples come in, findings go out; what comes and goes (a
//! cable, the last peer) has to last before it is a fault, and the return has to last before it is forgotten.

use std::time::Duration;

use crate::clock::Now;
use crate::config::Expects;
use crate::detail::{ArchiveDetail, NetworkDetail};
use crate::health::limits::Levels;
use crate::snapshot::{ArchiveStatus, Finding, Level, MailserverStatus, NetworkStatus, SystemStatus};

/// A node that was just started needs some minutes to find others; peers of a home line come and go.
const NO_PEERS_FOR: Duration = Duration::from_secs(5 * 60);
const PEERS_BACK_FOR: Duration = Duration::from_secs(30);
/// A renewed lease or a router's restart: longer than either sample, shorter than anybody's patience.
const NO_NETWORK_FOR: Duration = Duration::from_secs(15);

/// A condition that counts only once it has lasted, and is over only once that has lasted.
#[derive(Clone, Copy, Debug)]
struct Lasting {
    begins_after: Duration,
    ends_after: Duration,
    holds: bool,
    /// Since when the opposite of `holds` has been seen.
    turned: Option<Duration>,
}

impl Lasting {
    const fn new(begins_after: Duration, ends_after: Duration) -> Lasting {
        Lasting {
            begins_after,
            ends_after,
            holds: false,
            turned: None,
        }
    }

    fn see(&mut self, present: bool, now: Duration) {
        if present == self.holds {
            self.turned = None;
            return;
        }
        let since = *self.turned.get_or_insert(now);
        let after = if present { self.begins_after } else { self.ends_after };
        if now.saturating_sub(since) >= after {
            self.holds = present;
            self.turned = None;
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Surroundings {
    expects: Expects,
    pub(super) system: SystemStatus,
    network: NetworkStatus,
    pub(super) mailserver: MailserverStatus,
    pub(super) levels: Levels,
    offline: Lasting,
    lonely: Lasting,
}

impl Surroundings {
    pub(super) fn new(expects: Expects) -> Surroundings {
        Surroundings {
            expects,
            system: SystemStatus::default(),
            network: NetworkStatus::default(),
            mailserver: MailserverStatus::default(),
            levels: Levels::default(),
            offline: Lasting::new(NO_NETWORK_FOR, Duration::ZERO),
            lonely: Lasting::new(NO_PEERS_FOR, PEERS_BACK_FOR),
        }
    }

    pub(super) fn sampled(&mut self, system: SystemStatus, network: NetworkStatus, now: Now) {
        self.levels.take(&system, now.mono);
        self.system = system;
        self.offline.see(missing(&network).is_some(), now.mono);
        self.network = network;
    }

    pub(super) fn mailserver_seen(&mut self, seen: MailserverStatus, now: Now) {
        // A mailserver that does not answer is another fault; its peers are not known then.
        self.lonely.see(seen.peers == Some(0), now.mono);
        self.mailserver = seen;
    }

    pub(super) fn network_status(&self) -> NetworkStatus {
        NetworkStatus {
            internet: self.mailserver.peers_public.filter(|peers| *peers > 0).map(|_| true),
            ..self.network.clone()
        }
    }

    /// A box that serves itself alone says how things are, and calls none of it a fault.
    fn judged(&self, level: Level) -> Level {
        match self.expects {
            Expects::Internet => level,
            Expects::Nothing => Level::Ok,
        }
    }

    pub(super) fn network_finding(&self) -> Option<Finding> {
        let links = self.network.links.as_ref()?;
        if let Some((level, what)) = missing(&self.network) {
            let level = if self.offline.holds { level } else { Level::Ok };
            return Some(Finding {
                level: self.judged(level),
                detail: what.into(),
            });
        }
        Some(Finding::ok(NetworkDetail::Connected {
            links: links.clone(),
            address: self.network.addresses.first().cloned(),
            gateway: self.network.gateway.clone(),
            public_peers: self.mailserver.peers_public,
        }))
    }

    pub(super) fn peers_finding(&self) -> Option<Finding> {
        let peers = self.mailserver.peers?;
        // Held on to for a while after the first is back: it may leave at once.
        let level = if self.lonely.holds {
            self.judged(Level::Warn)
        } else {
            Level::Ok
        };
        let by_way = self.mailserver.peers_in.zip(self.mailserver.peers_out);
        Some(Finding {
            level,
            detail: NetworkDetail::Peers { peers, by_way }.into(),
        })
    }

    /// Only ever a hint: most homes are behind a router, and a box that nobody can call still serves its own network.
    pub(super) fn reachability_finding(&self) -> Option<Finding> {
        Some(match self.mailserver.reachable? {
            true => Finding::ok(NetworkDetail::Reachable),
            false => Finding {
                level: self.judged(Level::Warn),
                detail: NetworkDetail::NotReachable.into(),
            },
        })
    }
}

fn missing(network: &NetworkStatus) -> Option<(Level, NetworkDetail)> {
    let links = network.links.as_ref()?;
    if links.is_empty() {
        Some((Level::Bad, NetworkDetail::NoLink))
    } else if network.addresses.is_empty() {
        Some((Level::Bad, NetworkDetail::NoAddress))
    } else if network.gateway.is_none() {
        Some((Level::Warn, NetworkDetail::NoGateway))
    } else {
        None
    }
}

/// How long ago the newest envelope that is kept was sent; a quiet network is no fault.
pub(super) fn last_envelope_finding(archive: &ArchiveStatus, now: Now) -> Option<Finding> {
    if archive.envelopes == Some(0) {
        return Some(Finding::ok(ArchiveDetail::NoneSentYet));
    }
    let newest_secs = archive.newest?;
    let secs = now.wall_ns.div_euclid(1_000_000_000).saturating_sub(newest_secs);
    Some(Finding::ok(ArchiveDetail::SentAgo { secs }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Now {
        Now {
            mono: Duration::from_secs(secs),
            wall_ns: 1_800_000_000_000_000_000,
            trusted: true,
        }
    }

    fn home() -> NetworkStatus {
        NetworkStatus {
            links: Some(vec!["eth0".to_owned()]),
            addresses: vec!["192.168.1.20".to_owned()],
            gateway: Some("192.168.1.1".to_owned()),
            internet: None,
            counters: None,
        }
    }

    fn peers(count: u64) -> MailserverStatus {
        MailserverStatus {
            peers: Some(count),
            peers_public: Some(count),
            ..MailserverStatus::default()
        }
    }

    fn level(finding: Option<Finding>) -> Option<Level> {
        finding.map(|finding| finding.level)
    }

    #[test]
    fn nothing_known_is_nothing_found() {
        let box_ = Surroundings::new(Expects::Internet);
        assert_eq!(box_.network_finding(), None);
        assert_eq!(box_.peers_finding(), None);
        assert_eq!(box_.reachability_finding(), None);
        assert_eq!(last_envelope_finding(&ArchiveStatus::default(), at(0)), None);
    }

    #[test]
    fn a_pulled_cable_is_a_fault_once_it_lasts() {
        for (expects, wanted) in [(Expects::Internet, Level::Bad), (Expects::Nothing, Level::Ok)] {
            let mut box_ = Surroundings::new(expects);
            let unplugged = NetworkStatus {
                links: Some(Vec::new()),
                ..NetworkStatus::default()
            };
            box_.sampled(SystemStatus::default(), home(), at(0));
            assert_eq!(level(box_.network_finding()), Some(Level::Ok));
            for (secs, found) in [(5, Level::Ok), (15, Level::Ok), (20, wanted)] {
                box_.sampled(SystemStatus::default(), unplugged.clone(), at(secs));
                assert_eq!(level(box_.network_finding()), Some(found), "after {secs} s");
            }
            box_.sampled(SystemStatus::default(), home(), at(25));
            assert_eq!(level(box_.network_finding()), Some(Level::Ok));
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        for (change, wanted) in [
            (
                NetworkStatus {
                    links: Some(Vec::new()),
                    ..home()
                },
                Some(NetworkDetail::NoLink),
            ),
            (
                NetworkStatus {
                    addresses: Vec::new(),
                    ..home()
                },
                Some(NetworkDetail::NoAddress),
            ),
            (
                NetworkStatus {
                    gateway: None,
                    ..home()
                },
                Some(NetworkDetail::NoGateway),
            ),
            (NetworkStatus { links: None, ..home() }, None),
            (home(), None),
        ] {
            assert_eq!(missing(&change).map(|(_, what)| what), wanted, "{change:?}");
        }
    }

    #[test]
    fn no_peers_is_said_after_minutes_and_taken_back_after_some_seconds() {
        let mut box_ = Surroundings::new(Expects::Internet);
        let mut at_secs = |secs: u64, seen: MailserverStatus| {
            box_.mailserver_seen(seen, at(secs));
            level(box_.peers_finding())
        };
        assert_eq!(at_secs(0, peers(0)), Some(Level::Ok));
        assert_eq!(at_secs(299, peers(0)), Some(Level::Ok));
        assert_eq!(at_secs(300, peers(0)), Some(Level::Warn));
        assert_eq!(
            at_secs(310, peers(3)),
            Some(Level::Warn),
            "a peer that may leave at once"
        );
        assert_eq!(at_secs(315, peers(0)), Some(Level::Warn));
        assert_eq!(at_secs(320, peers(3)), Some(Level::Warn));
        assert_eq!(at_secs(350, peers(3)), Some(Level::Ok));
        assert_eq!(at_secs(600, peers(0)), Some(Level::Ok));
        assert_eq!(at_secs(700, MailserverStatus::default()), None, "not known is not none");
        assert_eq!(at_secs(950, peers(0)), Some(Level::Ok), "counted from anew");
    }

    #[test]
    fn the_internet_is_proved_by_peers_only() {
        let mut box_ = Surroundings::new(Expects::Internet);
        box_.sampled(SystemStatus::default(), home(), at(0));
        assert_eq!(box_.network_status().internet, None);
        box_.mailserver_seen(peers(0), at(1));
        assert_eq!(box_.network_status().internet, None);
        box_.mailserver_seen(peers(2), at(2));
        assert_eq!(box_.network_status().internet, Some(true));
        assert!(
            box_.network_finding()
                .unwrap()
                .detail
                .to_string()
                .contains("2 peers on the internet")
        );
    }

    #[test]
    fn the_last_envelope_in_words() {
        let newest = |before: i64| ArchiveStatus {
            envelopes: Some(1),
            newest: Some(1_800_000_000 - before),
            ..ArchiveStatus::default()
        };
        for (before, wanted) in [
            (-15, "less than a minute ago"),
            (59, "less than a minute ago"),
            (60, "1 minute ago"),
            (7199, "119 minutes ago"),
            (7200, "2 hours ago"),
        ] {
            let finding = last_envelope_finding(&newest(before), at(0)).unwrap();
            assert_eq!(
                (finding.level, finding.detail.to_string().as_str()),
                (Level::Ok, wanted)
            );
        }
    }
}
