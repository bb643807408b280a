//! Who is connected, and who has to go when one more comes: the bookkeeping of the page's acceptor, without sockets.
//!
//! A new connection is always accepted. When its source, or the page as a whole, has no room, the oldest connection is
//! closed for it, whatever it is doing. A browser sends its request at once and is answered at once, so it is gone
//! before it is the oldest; what gathers age is the idle and the slow. (Sparing those that are being answered looks
//! kinder, but then those that never read their answer keep all places, and it is the newcomers that are closed.) A
//! single source cannot push out others: it makes room among its own first, and a full page makes room among those of
//! the source that has most.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

/// Connections altogether. Each costs some 10 KiB at worst.
pub(super) const TOTAL: usize = 192;
/// Connections of one source. A browser uses six; a source that opens a thousand a second leaves each one 64 ms.
pub(super) const PER_SOURCE: usize = 64;

/// One host as far as can be told: an IPv4 address, or an IPv6 network of /64, which one host can have all of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Source(IpAddr);

impl Source {
    pub(super) fn of(address: IpAddr) -> Source {
        Source(match address.to_canonical() {
            IpAddr::V4(v4) => IpAddr::V4(v4),
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) & (u128::MAX << 64))),
        })
    }
}

/// Numbered in order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Guest(u64);

struct Entry<K> {
    source: Source,
    /// What closes the connection.
    key: K,
}

pub(super) struct Crowd<K> {
    guests: BTreeMap<Guest, Entry<K>>,
    next: u64,
}

impl<K> Default for Crowd<K> {
    fn default() -> Crowd<K> {
        Crowd {
            guests: BTreeMap::new(),
            next: 0,
        }
    }
}

impl<K> Crowd<K> {
    /// Lets one in; returns its number, and the keys of those who have to go.
    pub(super) fn admit(&mut self, source: Source, key: K) -> (Guest, Vec<K>) {
        let mut evicted = Vec::new();
        if self.guests.values().filter(|entry| entry.source == source).count() >= PER_SOURCE {
            evicted.extend(self.evict_from(source));
        }
        if self.guests.len() >= TOTAL
            && let Some(biggest) = self.biggest()
        {
            evicted.extend(self.evict_from(biggest));
        }
        let guest = Guest(self.next);
        self.next += 1;
        self.guests.insert(guest, Entry { source, key });
        (guest, evicted)
    }

    pub(super) fn leave(&mut self, guest: Guest) {
        self.guests.remove(&guest);
    }

    /// Makes room by force, when the process has no file descriptors left.
    pub(super) fn evict_oldest(&mut self) -> Option<K> {
        self.biggest().and_then(|source| self.evict_from(source))
    }

    fn biggest(&self) -> Option<Source> {
        let mut counts: BTreeMap<Source, usize> = BTreeMap::new();
        for entry in self.guests.values() {
            *counts.entry(entry.source).or_default() += 1;
        }
        counts
            .into_iter()
            .max_by_key(|(_, count)| *count)
            .map(|(source, _)| source)
    }

    fn evict_from(&mut self, source: Source) -> Option<K> {
        let (guest, _) = self.guests.iter().find(|(_, entry)| entry.source == source)?;
        let guest = *guest;
        self.guests.remove(&guest).map(|entry| entry.key)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn source(number: u32) -> Source {
        Source::of(IpAddr::from(number.to_be_bytes()))
    }

    #[test]
    fn the_oldest_of_the_same_source_goes() {
        let mut crowd = Crowd::default();
        let other = crowd.admit(source(9), usize::MAX).0;
        for key in 0..PER_SOURCE {
            assert_eq!(crowd.admit(source(1), key).1, [0; 0]);
        }
        assert_eq!(crowd.admit(source(1), 100).1, [0]);
        assert_eq!(crowd.admit(source(1), 101).1, [1]);
        assert!(crowd.guests.contains_key(&other), "another source is left alone");
    }

    #[test]
    fn a_full_page_takes_from_the_one_that_has_most() {
        let mut crowd = Crowd::default();
        for number in 0..TOTAL - 20 {
            crowd.admit(source(number as u32), number);
        }
        for key in 1000..1020 {
            crowd.admit(source(7), key);
        }
        assert_eq!(crowd.guests.len(), TOTAL);
        assert_eq!(crowd.admit(source(500), 0).1, [7], "the oldest of the source with most");
    }

    #[test]
    fn an_ipv6_host_is_its_network() {
        let of = |text: &str| Source::of(text.parse().unwrap());
        assert_eq!(of("fe80::1"), of("fe80::2:3"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
    }

    proptest! {
        #[test]
        fn bounds_hold_and_the_newcomer_is_in(steps in prop::collection::vec((0..40u32, 0..4u8), 1..400)) {
            let mut crowd = Crowd::default();
            for (step, (number, kind)) in steps.into_iter().enumerate() {
                let (guest, _) = crowd.admit(source(number % 7), step);
                prop_assert!(crowd.guests.contains_key(&guest));
                if kind == 0 {
                    crowd.leave(guest);
                }
                prop_assert!(crowd.guests.len() <= TOTAL);
                for number in 0..7 {
                    let many = crowd.guests.values().filter(|entry| entry.source == source(number)).count();
                    prop_assert!(many <= PER_SOURCE);
                }
            }
        }
    }
}
