//! Which language a browser is answered in: what it asks for in `Accept-Language` (RFC 9110, 12.5.4), among those that
//! we have. English for a browser that asks for nothing, or for nothing that we have.
//!
//! The header is a stranger's: of its ranges only the first are looked at, and those that are not well-formed say nothing.

use hyper::HeaderMap;
use hyper::header::ACCEPT_LANGUAGE;

use crate::wording::Language;

/// A browser sends as many as its owner chose, seldom more than four; behind these nobody's language is waiting.
const MOST_RANGES: usize = 16;

pub(super) fn preferred(headers: &HeaderMap) -> Language {
    let values = headers.get_all(ACCEPT_LANGUAGE).into_iter();
    let values = values.filter_map(|value| value.to_str().ok());
    choose(values.flat_map(|value| value.split(',')))
}

/// The one that is liked best; of equals the one that was named first, and then the one that comes first with us.
fn choose<'a>(ranges: impl Iterator<Item = &'a str>) -> Language {
    let ranges: Vec<(&str, u16)> = ranges.take(MOST_RANGES).filter_map(range).collect();
    let liked = |language: Language| {
        let named = |(tag, _): &(&str, u16)| is_of(tag, language);
        // A wildcard stands for those that are not named beside it.
        let counts = |entry: &(&str, u16)| match ranges.iter().any(named) {
            true => named(entry),
            false => entry.0 == "*",
        };
        let places = ranges.iter().enumerate().filter(|(_, entry)| counts(entry));
        places
            .map(|(place, (_, thousandths))| (*thousandths, std::cmp::Reverse(place)))
            .max()
            .filter(|(thousandths, _)| *thousandths > 0)
    };
    let mut best = (None, Language::default());
    for language in Language::ALL {
        let liked = liked(language);
        if liked > best.0 {
            best = (liked, language);
        }
    }
    best.1
}

/// A language range and how much it is liked, in thousandths.
fn range(text: &str) -> Option<(&str, u16)> {
    let mut parts = text.split(';').map(str::trim);
    let tag = parts.next().filter(|tag| !tag.is_empty())?;
    let weight = match (parts.next(), parts.next()) {
        (None, _) => 1000,
        (Some(weight), None) => thousandths(weight)?,
        (Some(_), Some(_)) => return None,
    };
    Some((tag, weight))
}

/// `q=0.8`, with at most three digits behind the point (RFC 9110, 12.4.2).
fn thousandths(weight: &str) -> Option<u16> {
    let value = weight.strip_prefix("q=").or_else(|| weight.strip_prefix("Q="))?;
    let (whole, part) = value.split_once('.').unwrap_or((value, ""));
    if part.len() > 3 || !part.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let part: u16 = format!("{part:0<3}").parse().ok()?;
    match (whole, part) {
        ("0", part) => Some(part),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

/// Whether a range is this language, or one of its regional forms.
fn is_of(range: &str, language: Language) -> bool {
    let primary = range.split('-').next().unwrap_or_default();
    primary.eq_ignore_ascii_case(language.tag())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[&str]) -> Language {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(ACCEPT_LANGUAGE, value.parse().unwrap());
        }
        preferred(&headers)
    }

    #[test]
    fn languages_by_header() {
        use Language::{English, German};
        let cases: &[(&[&str], Language)] = &[
            (&[], English),
            (&[""], English),
            (&["de"], German),
            (&["DE-at"], German),
            (&["de-CH,de;q=0.9,en-US;q=0.8,en;q=0.7"], German),
            (&["en-US,en;q=0.9,de;q=0.8"], English),
            (&["en;q=0.5, de;q=0.501"], German),
            (&["en;q=0.5", "de;q=0.6"], German),
            (&["de;q=0.5 , en ; q=1.000"], English),
            // Equals: the first that is named.
            (&["de, en"], German),
            (&["en, de"], English),
            // Nothing that we have, and the wildcard.
            (&["fr, pt-BR;q=0.9"], English),
            (&["*"], English),
            (&["fr, *;q=0.1"], English),
            (&["en;q=0, *"], German),
            (&["en;q=0.1, *"], German),
            (&["de;q=0, en;q=0"], English),
            (&["de;q=0, *"], English),
            // A form of a language that is not wanted does not end the language.
            (&["de-AT;q=0, de;q=0.8, en;q=0.5"], German),
            // Not well-formed: says nothing.
            (&["de;q=2, en;q=0.1"], English),
            (&["de;q=1.1"], English),
            (&["de;q=0.1234, en;q=0.01"], English),
            (&["de;q=-1"], English),
            (&["de;q="], English),
            (&["de;level=1"], English),
            (&["de;q=0.9;x=1"], English),
            (&["deu"], English),
        ];
        for (values, wanted) in cases {
            assert_eq!(of(values), *wanted, "{values:?}");
        }
    }

    #[test]
    fn only_the_first_ranges_are_looked_at() {
        let many = |count: usize| format!("{}de", "fr,".repeat(count));
        assert_eq!(of(&[&many(MOST_RANGES - 1)]), Language::German);
        assert_eq!(of(&[&many(MOST_RANGES)]), Language::English);
    }

    proptest! {
        #[test]
        fn no_header_panics(text in "[ -~]{0,200}") {
            let _ = of(&[&text]);
        }

        #[test]
        fn a_weight_is_read_as_it_is_written(thousandths in 0_u16..1000) {
            let text = format!("q=0.{thousandths:03}");
            prop_assert_eq!(super::thousandths(&text), Some(thousandths));
        }
    }
}
