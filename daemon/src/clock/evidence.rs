//! Asking time servers what time it is, when the system's clock claims what one forged answer could have made it claim.
//!
//! Whoever sets the system's clock may have believed a single server. So for a leap of more than a day the daemon asks
//! several by itself, as a client of SNTP (RFC 4330): two that are independent of one another have to agree. Two names
//! with one address are one server, and all of an IPv6 /64 are.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{UdpSocket, lookup_host};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::reading::Reading;
use super::{NS_PER_SEC, boot_time, built_secs};

/// What one server may take, name and all.
const WITHIN: Duration = Duration::from_secs(5);
/// Between two rounds, at first and at most: pool.ntp.org asks its users not to ask often.
const PAUSE: Duration = Duration::from_secs(15);
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);
/// So far apart may the answers of servers be that agree: both are near the true time, and the way there takes some.
const AGREE_NS: u64 = 10 * 1_000_000_000;
const INDEPENDENT: usize = 2;
/// Of one name.
const MAX_ADDRESSES: usize = 3;
const NTP_PORT: u16 = 123;
/// A packet without extensions (RFC 4330, section 4).
const PACKET_BYTES: usize = 48;
/// Leap indicator 0, version 4, mode 3: a client's.
const CLIENT: u8 = 4 << 3 | 3;
const MODE_SERVER: u8 = 4;
/// The leap indicator of a server that is not synchronised itself.
const UNSYNCHRONISED: u8 = 3;
/// Larger strata are reserved; 0 is a refusal ("kiss of death").
const STRATA: std::ops::RangeInclusive<u8> = 1..=15;
/// From NTP's epoch, 1900, to Unix's, 1970 (RFC 4330, section 3).
const EPOCHS_APART_SECS: i64 = 2_208_988_800;
/// NTP's seconds have 32 bits: the second era begins in 2036.
const ERA_SECS: i64 = 1 << 32;

/// What is known from asking.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Evidence {
    #[default]
    NotAsked,
    /// So many servers answered, and no two of them agreed.
    Short { answers: usize },
    /// So many agreed on this.
    Agreed(Reading),
}

/// The asking side of a clock.
pub struct Asker {
    pub(super) start: Duration,
    pub(super) wanted: watch::Receiver<bool>,
    pub(super) found: watch::Sender<Evidence>,
}

/// What one server said, and which it is.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Answer {
    from: IpAddr,
    said: Reading,
}

impl Asker {
    /// Asks `servers` (`host` or `host:port`) whenever the clock wants to know. Ends with the clock.
    pub async fn run(mut self, servers: Vec<String>) {
        let mut pause = PAUSE;
        loop {
            if !*self.wanted.borrow_and_update() {
                pause = PAUSE;
                if self.wanted.changed().await.is_err() {
                    return;
                }
                continue;
            }
            let evidence = weigh(&self.ask_all(&servers).await);
            tracing::info!(?evidence, "asked time servers about a leap of the clock");
            self.found.send_replace(evidence);
            tokio::select! {
                () = sleep(pause) => {}
                changed = self.wanted.changed() => if changed.is_err() { return },
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// One after the other: looking a name up takes a thread, and the daemon has few.
    async fn ask_all(&self, servers: &[String]) -> Vec<Answer> {
        let mut answers: Vec<Answer> = Vec::new();
        for server in servers {
            let addresses = match timeout(WITHIN, addresses(server)).await {
                Ok(Ok(addresses)) => addresses,
                Ok(Err(error)) => {
                    tracing::debug!(server, %error, "time server");
                    continue;
                }
                // The thread that looks goes on looking: another one would only wait beside it.
                Err(_) => {
                    tracing::debug!(server, "time server: its name is not found in time");
                    break;
                }
            };
            for address in addresses {
                match timeout(WITHIN, ask(address, self.start)).await {
                    Ok(Ok(answer)) => answers.push(answer),
                    Ok(Err(error)) => tracing::debug!(%address, %error, "time server"),
                    Err(_) => tracing::debug!(%address, "time server: no answer"),
                }
            }
        }
        answers
    }
}

/// Where a server is: a pool's name leads to several, which are independent.
async fn addresses(server: &str) -> std::io::Result<Vec<SocketAddr>> {
    let with_port = match server.parse::<IpAddr>() {
        Ok(address) => SocketAddr::new(address, NTP_PORT).to_string(),
        Err(_) if server.contains(':') => server.to_owned(),
        Err(_) => format!("{server}:{NTP_PORT}"),
    };
    Ok(lookup_host(with_port).await?.take(MAX_ADDRESSES).collect())
}

async fn ask(address: SocketAddr, start: Duration) -> std::io::Result<Answer> {
    let any: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    // From now on the kernel lets in this address's packets alone.
    socket.connect(address).await?;
    // A random one instead of the time: who does not see it cannot answer it.
    let token: [u8; 8] = rand::random();
    let mut packet = [0; PACKET_BYTES];
    packet[0] = CLIENT;
    packet[40..].copy_from_slice(&token);
    socket.send(&packet).await?;
    loop {
        let mut reply = [0; PACKET_BYTES];
        let length = socket.recv(&mut reply).await?;
        let mono = boot_time().saturating_sub(start);
        if let Some(wall_ns) = understand(&reply[..length], token, built_secs()) {
            let said = Reading::at(mono, wall_ns);
            return Ok(Answer {
                from: address.ip(),
                said,
            });
        }
    }
}

/// The time in a reply to the request with this token, in nanoseconds since the Unix epoch.
fn understand(reply: &[u8], token: [u8; 8], built_secs: i64) -> Option<i64> {
    let reply: &[u8; PACKET_BYTES] = reply.first_chunk()?;
    let (leap, mode, stratum) = (reply[0] >> 6, reply[0] & 7, reply[1]);
    let usable = mode == MODE_SERVER && leap != UNSYNCHRONISED && STRATA.contains(&stratum);
    if !usable || reply[24..32] != token {
        return None;
    }
    let seconds = i64::from(u32::from_be_bytes(*reply[40..].first_chunk()?));
    let fraction = i64::from(u32::from_be_bytes(*reply[44..].first_chunk()?));
    // The first era in which it is not before this program.
    let mut unix_secs = seconds - EPOCHS_APART_SECS;
    while unix_secs < built_secs - 86_400 {
        unix_secs += ERA_SECS;
    }
    Some(unix_secs * NS_PER_SEC + ((fraction * NS_PER_SEC) >> 32))
}

/// The largest number of independent servers that agree, if they are enough, and if no as large number says otherwise.
fn weigh(answers: &[Answer]) -> Evidence {
    let short = Evidence::Short {
        answers: independent(answers.iter()),
    };
    let agreeing = |one: &Answer| {
        independent(
            answers
                .iter()
                .filter(|other| apart_ns(&one.said, &other.said) <= AGREE_NS),
        )
    };
    let Some(best) = answers.iter().max_by_key(|answer| agreeing(answer)) else {
        return short;
    };
    let count = agreeing(best);
    let contested = answers
        .iter()
        .any(|other| agreeing(other) == count && apart_ns(&best.said, &other.said) > 2 * AGREE_NS);
    if count >= INDEPENDENT && !contested {
        Evidence::Agreed(best.said)
    } else {
        short
    }
}

fn independent<'a>(answers: impl Iterator<Item = &'a Answer>) -> usize {
    let sources: std::collections::BTreeSet<IpAddr> = answers.map(|answer| source(answer.from)).collect();
    sources.len()
}

/// An IPv4 address, or an IPv6 /64.
fn source(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
    }
}

fn apart_ns(one: &Reading, other: &Reading) -> u64 {
    one.expected_at(other.mono).abs_diff(other.wall_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILT: i64 = 1_790_000_000;

    fn reply(secs_of_1900: u32, token: [u8; 8]) -> [u8; PACKET_BYTES] {
        let mut reply = [0; PACKET_BYTES];
        reply[0] = 4 << 3 | MODE_SERVER;
        reply[1] = 2;
        reply[24..32].copy_from_slice(&token);
        reply[40..44].copy_from_slice(&secs_of_1900.to_be_bytes());
        reply[44] = 0x80;
        reply
    }

    #[test]
    fn replies() {
        let token = [7; 8];
        let good = reply(u32::try_from(BUILT + 100 + EPOCHS_APART_SECS).unwrap(), token);
        let half = NS_PER_SEC / 2;
        assert_eq!(understand(&good, token, BUILT), Some((BUILT + 100) * NS_PER_SEC + half));
        // 2036-02-07 06:28:16 UTC is second 0 of the second era.
        assert_eq!(
            understand(&reply(0, token), token, BUILT),
            Some(2_085_978_496 * NS_PER_SEC + half)
        );
        let with = |at: usize, byte: u8| {
            let mut other = good;
            other[at] = byte;
            other
        };
        for (what, other) in [
            ("a client's", with(0, CLIENT)),
            ("not synchronised", with(0, 0xe4)),
            ("refused", with(1, 0)),
            ("of no stratum", with(1, 16)),
            ("to another request", with(31, 8)),
        ] {
            assert_eq!(understand(&other, token, BUILT), None, "{what}");
        }
        assert_eq!(understand(&good[..47], token, BUILT), None);
        assert_eq!(understand(&[], token, BUILT), None);
    }

    #[test]
    fn two_independent_servers_are_evidence_unless_two_others_say_otherwise() {
        let answer = |from: &str, secs: i64| Answer {
            from: from.parse().unwrap(),
            said: Reading::at(Duration::from_secs(5), secs * NS_PER_SEC),
        };
        let agreed = |evidence: Evidence| match evidence {
            Evidence::Agreed(said) => Some(said.wall_ns / NS_PER_SEC),
            _ => None,
        };
        for (answers, wanted) in [
            (&[][..], None),
            (&[("192.0.2.1", 100)], None),
            (&[("192.0.2.1", 100), ("192.0.2.1", 101)], None),
            (&[("2001:db8::1", 100), ("2001:db8::2", 100)], None),
            (&[("2001:db8::1", 100), ("2001:db8:0:1::1", 100)], Some(100)),
            (&[("192.0.2.1", 100), ("192.0.2.2", 105)], Some(100)),
            (&[("192.0.2.1", 100), ("192.0.2.2", 200)], None),
            (&[("192.0.2.1", 900), ("192.0.2.2", 200), ("192.0.2.3", 200)], Some(200)),
            (
                &[
                    ("192.0.2.1", 900),
                    ("192.0.2.4", 900),
                    ("192.0.2.2", 200),
                    ("192.0.2.3", 200),
                ],
                None,
            ),
        ] {
            let answers: Vec<Answer> = answers.iter().map(|(from, secs)| answer(from, *secs)).collect();
            let found = agreed(weigh(&answers));
            assert!(
                found
                    .zip(wanted)
                    .is_none_or(|(found, wanted)| (found - wanted).abs() <= 10)
                    && found.is_some() == wanted.is_some(),
                "{answers:?}: {found:?}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn any_reply_is_a_time_or_nothing(reply: Vec<u8>, fixed: [u8; 32], at in 0usize..48) {
            let _ = understand(&reply, [0; 8], BUILT);
            let mut whole = super::tests::reply(1, [0; 8]);
            whole[at] = fixed[0];
            if let Some(wall_ns) = understand(&whole, [0; 8], BUILT) {
                proptest::prop_assert!(wall_ns >= (BUILT - 86_400) * NS_PER_SEC);
            }
        }
    }
}
