//! The bodies of the page's own forms (application/x-www-form-urlencoded) and where a request to change something may
//! come from.

use std::collections::BTreeMap;

use hyper::Request;
use hyper::header::{CONTENT_TYPE, HOST, ORIGIN};

/// No form of the page is longer, but for the one with a backup in it.
pub(super) const MOST_BYTES: usize = 4096;
pub(super) const FIELDS: &str = "application/x-www-form-urlencoded";
pub(super) const UPLOAD: &str = "multipart/form-data";

/// Whether the request was caused by this very page: its origin is the host that it asks, and a browser that says how
/// it came about says the same. `wanted` is the kind of form that belongs there.
pub(super) fn from_this_page<B>(request: &Request<B>, wanted: &str) -> bool {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let (Some(origin), Some(host)) = (header(ORIGIN.as_str()), header(HOST.as_str())) else {
        return false;
    };
    let own = origin
        .strip_prefix("http://")
        .is_some_and(|from| from.eq_ignore_ascii_case(host));
    let kind = header(CONTENT_TYPE.as_str()).is_some_and(|kind| {
        kind.split(';')
            .next()
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case(wanted))
    });
    own && kind && header("sec-fetch-site").is_none_or(|site| site == "same-origin")
}

/// The fields by name; nothing when a field comes twice or is not well-formed UTF-8.
pub(crate) fn fields(body: &[u8]) -> Option<BTreeMap<String, String>> {
    let mut fields = BTreeMap::new();
    for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        let name = decode(halves.next()?)?;
        let value = decode(halves.next().unwrap_or_default())?;
        if fields.insert(name, value).is_some() {
            return None;
        }
    }
    Some(fields)
}

fn decode(text: &[u8]) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                let (high, low) = (digit(bytes.next()?)?, digit(bytes.next()?)?);
                out.push(u8::try_from(high * 16 + low).ok()?);
            }
            other => out.push(*other),
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bodies() {
        let parsed = |body: &str| {
            fields(body.as_bytes())
                .map(|fields| fields.into_iter().map(|(a, b)| format!("{a}:{b}")).collect::<Vec<_>>())
        };
        assert_eq!(parsed("a=b&c=d+e%26%C3%A4").unwrap(), ["a:b", "c:d e&ä"]);
        assert_eq!(parsed("").unwrap(), [""; 0]);
        assert_eq!(parsed("a&&b=").unwrap(), ["a:", "b:"]);
        for bad in ["a=%", "a=%4", "a=%zz", "a=%ff", "a=1&a=2"] {
            assert_eq!(parsed(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_from_this_page() {
        const FORM: &str = FIELDS;
        let cases: &[(&[(&str, &str)], bool)] = &[
            (
                &[
                    ("host", "10.0.0.5:80"),
                    ("origin", "http://10.0.0.5:80"),
                    ("content-type", FORM),
                ],
                true,
            ),
            (
                &[
                    ("host", "box"),
                    ("origin", "http://box"),
                    ("content-type", FORM),
                    ("sec-fetch-site", "same-origin"),
                ],
                true,
            ),
            (
                &[
                    ("host", "box"),
                    ("origin", "http://box"),
                    ("content-type", FORM),
                    ("sec-fetch-site", "cross-site"),
                ],
                false,
            ),
            (&[("host", "box"), ("content-type", FORM)], false),
            (&[("host", "box"), ("origin", "null"), ("content-type", FORM)], false),
            (
                &[("host", "box"), ("origin", "http://evil"), ("content-type", FORM)],
                false,
            ),
            (
                &[("host", "box:80"), ("origin", "http://box:81"), ("content-type", FORM)],
                false,
            ),
            (
                &[("host", "box"), ("origin", "https://box"), ("content-type", FORM)],
                false,
            ),
            (
                &[
                    ("host", "box"),
                    ("origin", "http://box"),
                    ("content-type", "text/plain"),
                ],
                false,
            ),
            (&[("host", "box"), ("origin", "http://box")], false),
        ];
        for (headers, allowed) in cases {
            let request = headers.iter().fold(Request::builder(), |request, (name, value)| {
                request.header(*name, *value)
            });
            let request = request.body(()).unwrap();
            assert_eq!(from_this_page(&request, FIELDS), *allowed, "{headers:?}");
            assert!(!from_this_page(&request, UPLOAD), "{headers:?}");
        }
    }

    proptest! {
        #[test]
        fn no_body_panics(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = fields(&body);
        }
    }
}
