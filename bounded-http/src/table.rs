//! Who is connected, and who has to go when one more comes: bookkeeping without sockets.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use super::{Eviction, Limits};

/// One host as far as can be told: an IPv4 address, or an IPv6 network of /64, which one host can have all of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source(IpAddr);

impl Source {
    /// The source that an address belongs to; an IPv4 address in IPv6 form is an IPv4 address.
    #[must_use]
    pub fn of(address: IpAddr) -> Source {
        Source(match address.to_canonical() {
            IpAddr::V4(v4) => IpAddr::V4(v4),
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) & (u128::MAX << 64))),
        })
    }
}

/// A connection, as the table sees it.
pub(crate) trait Occupant {
    fn is_answering(&self) -> bool;
}

/// A place in the table, numbered in order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place(u64);

struct Entry<O> {
    source: Source,
    occupant: O,
}

pub(crate) struct Table<O> {
    entries: BTreeMap<Place, Entry<O>>,
    next: u64,
    total: usize,
    per_source: usize,
    eviction: Eviction,
}

impl<O: Occupant> Table<O> {
    pub(crate) fn new(limits: &Limits) -> Table<O> {
        Table {
            entries: BTreeMap::new(),
            next: 0,
            total: limits.connections,
            per_source: limits.per_source,
            eviction: limits.eviction,
        }
    }

    /// Lets one in; returns its place, and those who have to go.
    pub(crate) fn admit(&mut self, source: Source, occupant: O) -> (Place, Vec<O>) {
        let mut evicted = Vec::new();
        if self.entries.values().filter(|entry| entry.source == source).count() >= self.per_source {
            evicted.extend(self.evict_from(source));
        }
        if self.entries.len() >= self.total {
            evicted.extend(self.make_room());
        }
        let place = Place(self.next);
        self.next += 1;
        self.entries.insert(place, Entry { source, occupant });
        (place, evicted)
    }

    pub(crate) fn leave(&mut self, place: Place) {
        self.entries.remove(&place);
    }

    /// One of the source that has most.
    pub(crate) fn make_room(&mut self) -> Option<O> {
        self.biggest().and_then(|source| self.evict_from(source))
    }

    /// All that are not being answered.
    pub(crate) fn take_idle(&mut self) -> Vec<O> {
        let idle = self.entries.extract_if(.., |_, entry| !entry.occupant.is_answering());
        idle.map(|(_, entry)| entry.occupant).collect()
    }

    fn biggest(&self) -> Option<Source> {
        let mut counts: BTreeMap<Source, usize> = BTreeMap::new();
        for entry in self.entries.values() {
            *counts.entry(entry.source).or_default() += 1;
        }
        let most = counts.into_iter().max_by_key(|(_, count)| *count);
        most.map(|(source, _)| source)
    }

    fn evict_from(&mut self, source: Source) -> Option<O> {
        let own = || self.entries.iter().filter(|(_, entry)| entry.source == source);
        let idle = || own().find(|(_, entry)| !entry.occupant.is_answering());
        let chosen = match self.eviction {
            Eviction::Oldest => own().next(),
            Eviction::OldestIdle => idle().or_else(|| own().next()),
        };
        let place = *chosen?.0;
        self.entries.remove(&place).map(|entry| entry.occupant)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const TOTAL: usize = 192;
    const PER_SOURCE: usize = 64;

    fn table(eviction: Eviction) -> Table<(usize, bool)> {
        Table::new(&Limits {
            connections: TOTAL,
            per_source: PER_SOURCE,
            eviction,
            keep_alive: false,
            date: false,
            first_byte: Duration::ZERO,
            head: Duration::ZERO,
            body: Duration::ZERO,
            connection: Duration::ZERO,
            drain: Duration::ZERO,
            head_bytes: 0,
            headers: 0,
            body_bytes: 0,
        })
    }

    /// A number to tell it by, and whether it is being answered.
    impl Occupant for (usize, bool) {
        fn is_answering(&self) -> bool {
            self.1
        }
    }

    fn source(number: usize) -> Source {
        Source::of(IpAddr::from(u32::try_from(number).unwrap().to_be_bytes()))
    }

    fn numbers(evicted: Vec<(usize, bool)>) -> Vec<usize> {
        evicted.into_iter().map(|(number, _)| number).collect()
    }

    #[test]
    fn the_oldest_of_the_same_source_goes() {
        let mut table = table(Eviction::Oldest);
        let other = table.admit(source(9), (usize::MAX, false)).0;
        for number in 0..PER_SOURCE {
            assert_eq!(numbers(table.admit(source(1), (number, number == 0)).1), [0; 0]);
        }
        assert_eq!(
            numbers(table.admit(source(1), (100, false)).1),
            [0],
            "whatever it is doing"
        );
        assert_eq!(numbers(table.admit(source(1), (101, false)).1), [1]);
        assert!(table.entries.contains_key(&other), "another source is left alone");
    }

    #[test]
    fn who_is_being_answered_is_spared_while_there_are_others() {
        let mut table = table(Eviction::OldestIdle);
        for number in 0..PER_SOURCE {
            table.admit(source(1), (number, number != 5 && number != 7));
        }
        for wanted in [5, 7, 0, 1] {
            assert_eq!(numbers(table.admit(source(1), (100, true)).1), [wanted]);
        }
        assert_eq!(numbers(table.take_idle()), [0; 0]);
        table.admit(source(2), (200, false));
        assert_eq!(numbers(table.take_idle()), [200]);
    }

    #[test]
    fn a_full_table_takes_from_whoever_has_most() {
        for eviction in [Eviction::Oldest, Eviction::OldestIdle] {
            let mut table = table(eviction);
            for number in 0..TOTAL - 20 {
                table.admit(source(number), (number, false));
            }
            for number in 1000..1020 {
                table.admit(source(7), (number, false));
            }
            assert_eq!(table.entries.len(), TOTAL);
            let evicted = numbers(table.admit(source(500), (0, false)).1);
            assert_eq!(evicted, [7], "the oldest of the source with most");
        }
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
        fn bounds_hold_and_the_newcomer_is_in(
            idle_first: bool, steps in prop::collection::vec((0..40_usize, 0..4_u8, any::<bool>()), 1..400),
        ) {
            let mut table = table(if idle_first { Eviction::OldestIdle } else { Eviction::Oldest });
            for (step, (number, kind, answering)) in steps.into_iter().enumerate() {
                let (place, _) = table.admit(source(number % 7), (step, answering));
                prop_assert!(table.entries.contains_key(&place));
                if kind == 0 {
                    table.leave(place);
                }
                prop_assert!(table.entries.len() <= TOTAL);
                for number in 0..7 {
                    let many = table.entries.values().filter(|entry| entry.source == source(number)).count();
                    prop_assert!(many <= PER_SOURCE);
                }
            }
        }
    }
}
