//! Which web pages' scripts may ask (`--rest-allow-origin`), as nwaku's `origin_handler.nim` decides it.
//!
//! Without the flag no answer carries a CORS header, so a browser lets no foreign page read one. With it, a foreign
//! page is refused outright.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::answer;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Origins(Vec<String>);

impl Origins {
    /// Each value may hold several origins with commas between them.
    pub(super) fn new(allowed: &[String]) -> Self {
        let parts = allowed
            .iter()
            .flat_map(|text| text.split(','))
            .map(|text| text.trim().to_ascii_lowercase());
        Self(parts.filter(|text| !text.is_empty()).collect())
    }

    fn allow_every(&self) -> bool {
        self.0.iter().any(|pattern| pattern == "*")
    }

    fn allow(&self, origin: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        let Some(rest) = origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"))
        else {
            return false;
        };
        self.0.iter().any(|pattern| {
            if pattern.contains("://") {
                matches(pattern.as_bytes(), origin.as_bytes())
            } else {
                matches(pattern.as_bytes(), rest.as_bytes())
            }
        })
    }
}

/// Whether `text` is of `pattern`, in which `*` is any text and `?` any one character or none.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    // Positions of the pattern that the text so far can have reached: linear in time whatever the wildcards.
    let mut reached = vec![false; pattern.len() + 1];
    reached[0] = true;
    let skip = |reached: &mut Vec<bool>| {
        for at in 0..pattern.len() {
            if reached[at] && (pattern[at] == b'*' || pattern[at] == b'?') {
                reached[at + 1] = true;
            }
        }
    };
    skip(&mut reached);
    for byte in text {
        let mut next = vec![false; pattern.len() + 1];
        for at in (0..pattern.len()).filter(|at| reached[*at]) {
            match pattern[at] {
                b'*' => next[at] = true,
                b'?' => next[at + 1] = true,
                literal if literal == *byte => next[at + 1] = true,
                _ => {}
            }
        }
        skip(&mut next);
        reached = next;
    }
    reached[pattern.len()]
}

/// The layer around all of REST.
pub(super) async fn check(State(origins): State<Arc<Origins>>, request: Request, next: Next) -> Response {
    if origins.0.is_empty() {
        return next.run(request).await;
    }
    let mut given = request.headers().get_all(header::ORIGIN).iter();
    let (origin, more) = (given.next().cloned(), given.next().is_some());
    if more {
        return answer::bad_request("Only a single Origin header must be specified").into_response();
    }
    let Some(origin) = origin else {
        return next.run(request).await;
    };
    let allowed = if origins.allow_every() {
        HeaderValue::from_static("*")
    } else if origin.to_str().is_ok_and(|origin| origins.allow(origin)) {
        origin
    } else {
        return answer::text(StatusCode::FORBIDDEN, "Origin not allowed");
    };
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if allowed != "*" {
        headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("Content-Type"),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_match_with_wildcards() {
        let origins = |text: &str| Origins::new(&[text.to_owned()]);
        for (pattern, origin, expected) in [
            ("localhost:*", "http://localhost:8080", true),
            ("localhost:*", "https://localhost:1", true),
            ("localhost:*", "http://localhost.evil.org:8080", false),
            ("127.0.0.1:8080", "http://127.0.0.1:8080", true),
            ("127.0.0.1:8080", "http://127a0b0c1:8080", false),
            ("https://example.org", "http://example.org", false),
            ("https://example.org", "https://example.org", true),
            ("*.example.org", "https://a.b.example.org", true),
            ("a?.org", "http://ab.org", true),
            ("a?.org", "http://a.org", true),
            ("a?.org", "http://abc.org", false),
            ("x.org,y.org", "http://y.org", true),
            ("X.org", "http://x.ORG", true),
            ("x.org", "null", false),
        ] {
            assert_eq!(origins(pattern).allow(origin), expected, "{pattern} {origin}");
        }
        assert!(origins("*").allow_every());
    }
}
