//! Numbers as people read them, in their language's signs.

use super::table::{Units, Wording};

/// For what is not known.
pub const UNKNOWN: &str = "\u{2013}";

impl Units {
    /// `1234567` as `1 234 567`, with narrow no-break spaces.
    pub fn count(&self, number: u64) -> String {
        let digits = number.to_string();
        let mut out = String::new();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                out.push('\u{202f}');
            }
            out.push(digit);
        }
        out
    }

    /// With so many digits behind the language's decimal point.
    pub fn decimal(&self, value: f64, digits: usize) -> String {
        format!("{value:.digits$}").replace('.', self.decimal_point)
    }

    /// Decimal units, as on a card's label, with three figures.
    pub fn bytes(&self, number: u64) -> String {
        let units = [self.bytes, "kB", "MB", "GB", "TB", "PB"];
        let mut value = number as f64;
        let mut unit = 0;
        while value >= 999.5 && unit + 1 < units.len() {
            value /= 1000.0;
            unit += 1;
        }
        let digits = if unit == 0 || value >= 99.95 {
            0
        } else if value >= 9.995 {
            1
        } else {
            2
        };
        format!("{}\u{a0}{}", self.decimal(value, digits), units[unit])
    }

    /// The two largest parts of a time.
    pub fn span(&self, secs: u64) -> String {
        let parts = [
            (secs / 86_400, self.day),
            (secs / 3600 % 24, self.hour),
            (secs / 60 % 60, self.minute),
            (secs % 60, self.second),
        ];
        let first = parts
            .iter()
            .position(|(value, _)| *value > 0)
            .unwrap_or(parts.len() - 1);
        let shown: Vec<String> = parts[first..]
            .iter()
            .take(2)
            .enumerate()
            .filter(|(index, (value, _))| *index == 0 || *value > 0)
            .map(|(_, (value, unit))| format!("{value}\u{a0}{unit}"))
            .collect();
        shown.join(" ")
    }

    /// How long ago it was; a time that is still to come is not known.
    pub fn ago(&self, now: i64, then: i64) -> String {
        match u64::try_from(now.saturating_sub(then)) {
            Ok(secs) => self.ago.fill(&[("span", &self.span(secs))]),
            Err(_) => UNKNOWN.to_owned(),
        }
    }
}

impl Wording {
    /// For how long messages are kept.
    pub fn retention(&self, secs: u64) -> String {
        match secs {
            86_400 => self.page.a_day.to_owned(),
            secs => self.units.span(secs),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::wording::{ENGLISH, GERMAN};

    #[test]
    fn numbers() {
        let units = &ENGLISH.units;
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1 000"), (1_234_567, "1 234 567")] {
            assert_eq!(units.count(number).replace('\u{202f}', " "), text);
        }
        for (number, text) in [
            (0, "0 bytes"),
            (999, "999 bytes"),
            (1000, "1.00 kB"),
            (12_345, "12.3 kB"),
            (999_600, "1.00 MB"),
            (123_456_789, "123 MB"),
            (32_000_000_000, "32.0 GB"),
        ] {
            assert_eq!(units.bytes(number).replace('\u{a0}', " "), text);
        }
        for (secs, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (61, "1 min 1 s"),
            (3600, "1 h"),
            (90_000, "1 d 1 h"),
            (86_405, "1 d"),
        ] {
            assert_eq!(units.span(secs).replace('\u{a0}', " "), text);
        }
        assert_eq!(units.ago(100, 40).replace('\u{a0}', " "), "1 min ago");
        assert_eq!(units.ago(40, 100), super::UNKNOWN);
    }

    #[test]
    fn numbers_in_german() {
        let units = &GERMAN.units;
        assert_eq!(units.bytes(12_345).replace('\u{a0}', " "), "12,3 kB");
        assert_eq!(units.span(90_000).replace('\u{a0}', " "), "1 Tg. 1 Std.");
        assert_eq!(units.ago(100, 40).replace('\u{a0}', " "), "vor 1 Min.");
    }
}
