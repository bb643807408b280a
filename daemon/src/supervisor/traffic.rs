//! What the box received and sent this month, for whose line has a limit: all of its interfaces' bytes, by the kernel's
//! counters, while the daemon ran. The month is a trusted clock's, in UTC; without trust the bytes go to the last known
//! one.

use crate::clock::{Now, month_of};
use crate::snapshot::TrafficStatus;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Traffic {
    status: TrafficStatus,
    /// The counters at the last sample.
    last: Option<(u64, u64)>,
}

impl Traffic {
    /// Goes on from what [`Traffic::to_text`] wrote; anything else begins anew.
    pub(super) fn resume(&mut self, text: &str) {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        if let [month, received, sent] = fields[..]
            && let (Ok(received), Ok(sent)) = (received.parse(), sent.parse())
        {
            self.status = TrafficStatus {
                month: Some(month.to_owned()),
                received_bytes: received,
                sent_bytes: sent,
                cap_kib_per_sec: None,
            };
        }
    }

    pub(super) fn to_text(&self) -> Option<String> {
        let TrafficStatus {
            month,
            received_bytes,
            sent_bytes,
            ..
        } = &self.status;
        month
            .as_ref()
            .map(|month| format!("{month} {received_bytes} {sent_bytes}\n"))
    }

    pub(super) fn sampled(&mut self, counters: Option<(u64, u64)>, now: Now) {
        let Some(counters) = counters else { return };
        if now.trusted {
            let month = month_of(now.wall_ns.div_euclid(1_000_000_000));
            if self.status.month.as_ref() != Some(&month) {
                let first = self.status.month.is_none();
                // What came in before the time was known belongs to the month that it then turns out to be.
                let kept = if first {
                    self.status.clone()
                } else {
                    TrafficStatus::default()
                };
                self.status = TrafficStatus {
                    month: Some(month),
                    ..kept
                };
            }
        }
        if let Some(last) = self.last {
            // Less than before: an interface came anew, and counts from zero.
            let grown = |now: u64, before: u64| now.checked_sub(before).unwrap_or(now);
            self.status.received_bytes = self.status.received_bytes.saturating_add(grown(counters.0, last.0));
            self.status.sent_bytes = self.status.sent_bytes.saturating_add(grown(counters.1, last.1));
        }
        self.last = Some(counters);
    }

    pub(super) fn status(&self) -> TrafficStatus {
        self.status.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// 2027-01-15 and a month later.
    const JANUARY: i64 = 1_800_000_000;
    const FEBRUARY: i64 = JANUARY + 31 * 86_400;

    fn at(secs: i64, trusted: bool) -> Now {
        Now {
            mono: Duration::ZERO,
            wall_ns: secs * 1_000_000_000,
            trusted,
        }
    }

    #[test]
    fn bytes_are_counted_by_month() {
        let mut traffic = Traffic::default();
        traffic.sampled(None, at(JANUARY, true));
        assert_eq!(traffic.to_text(), None);
        traffic.sampled(Some((1000, 500)), at(JANUARY, false));
        assert_eq!(
            (traffic.status().received_bytes, traffic.status().month),
            (0, None),
            "what was before is not ours"
        );
        traffic.sampled(Some((1100, 501)), at(0, false));
        traffic.sampled(Some((1110, 502)), at(JANUARY, true));
        assert_eq!(traffic.to_text().as_deref(), Some("2027-01 110 2\n"));
        traffic.sampled(Some((30, 0)), at(JANUARY, true));
        assert_eq!(
            traffic.to_text().as_deref(),
            Some("2027-01 140 2\n"),
            "the interface came anew"
        );
        traffic.sampled(Some((40, 1)), at(0, false));
        assert_eq!(
            traffic.to_text().as_deref(),
            Some("2027-01 150 3\n"),
            "a wrong clock begins no month"
        );
        traffic.sampled(Some((45, 1)), at(FEBRUARY, true));
        assert_eq!(traffic.to_text().as_deref(), Some("2027-02 5 0\n"));
    }

    #[test]
    fn it_goes_on_after_a_restart_and_nonsense_begins_anew() {
        let mut traffic = Traffic::default();
        traffic.resume("2027-01 150 3\n");
        traffic.sampled(Some((7, 7)), at(JANUARY, true));
        traffic.sampled(Some((9, 8)), at(JANUARY, true));
        assert_eq!(traffic.to_text().as_deref(), Some("2027-01 152 4\n"));
        for nonsense in ["", "2027-01 x 3", "2027-01 1", "a b c d"] {
            let mut traffic = Traffic::default();
            traffic.resume(nonsense);
            assert_eq!(traffic, Traffic::default(), "{nonsense:?}");
        }
    }
}
