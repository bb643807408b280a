//! Durations as people write them: `"500ms"`, `"10s"`, `"5m"`, `"24h"`, `"7d"`, or several parts as `"1h30m"`.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, Visitor};

/// A span of time from a settings file; never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

const WANTED: &str = "a span of time such as \"500ms\", \"10s\", \"5m\", \"24h\" or \"1h30m\"";

/// `None` when the text is not a span of time, is zero, or is longer than a century.
pub fn parse(text: &str) -> Option<Duration> {
    const CENTURY: Duration = Duration::from_secs(100 * 366 * 24 * 3600);
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().ok()?;
        let unit_len = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit_millis = match &rest[digits..digits + unit_len] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        total = total.checked_add(Duration::from_millis(number.checked_mul(unit_millis)?))?;
        rest = rest[digits + unit_len..].trim_start();
    }
    (total > Duration::ZERO && total <= CENTURY).then_some(total)
}

/// In the largest unit that leaves nothing over.
impl serde::Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let millis = self.0.as_millis();
        let units = [
            (86_400_000, "d"),
            (3_600_000, "h"),
            (60_000, "m"),
            (1_000, "s"),
            (1, "ms"),
        ];
        let fitting = units.iter().find(|(unit, _)| millis.is_multiple_of(*unit));
        let (unit, name) = fitting.copied().unwrap_or((1, "ms"));
        serializer.collect_str(&format_args!("{}{name}", millis / unit))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
        struct SpanVisitor;
        impl Visitor<'_> for SpanVisitor {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(WANTED)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
                parse(text)
                    .map(Span)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(SpanVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        for (text, wanted_millis) in [
            ("10s", Some(10_000)),
            ("250ms", Some(250)),
            ("24h", Some(86_400_000)),
            ("7d", Some(7 * 86_400_000)),
            ("1h30m", Some(5_400_000)),
            (" 1h 30m ", Some(5_400_000)),
            ("0s", None),
            ("", None),
            ("10", None),
            ("s", None),
            ("-5s", None),
            ("1.5h", None),
            ("10 s", None),
            ("24 hours", None),
            ("99999999999999999999s", None),
            ("40000d", None),
            ("18446744073709551615d", None),
        ] {
            assert_eq!(parse(text), wanted_millis.map(Duration::from_millis), "{text:?}");
        }
    }
}
