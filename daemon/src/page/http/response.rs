//! What every answer has: its headers, and a policy that lets nothing be loaded and nothing run but the page's own style
//! and script.

use std::sync::LazyLock;

use bytes::Bytes;
use data_encoding::BASE64;
use http_body_util::Full;
use hyper::header::{
    ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    HeaderName, HeaderValue, LOCATION, VARY,
};
use hyper::{Response, StatusCode};
use sha2::{Digest, Sha256};

use crate::page::html::{SCRIPT, STYLE};
use crate::wording::Language;

pub(super) type Answer = Full<Bytes>;

static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = |text: &str| BASE64.encode(&Sha256::digest(text));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    HeaderValue::try_from(policy).expect("hashes in base64 are visible ASCII")
});

const FIXED: [(HeaderName, HeaderValue); 6] = [
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (
        HeaderName::from_static("x-content-type-options"),
        HeaderValue::from_static("nosniff"),
    ),
    (
        HeaderName::from_static("x-frame-options"),
        HeaderValue::from_static("DENY"),
    ),
    // Not `no-referrer`: a browser would then hide the page's own origin from the page's own forms.
    (
        HeaderName::from_static("referrer-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

pub(super) fn of(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Answer> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.extend(FIXED);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CONTENT_SECURITY_POLICY, POLICY.clone());
    response
}

pub(super) fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Answer> {
    of(status, "text/plain; charset=utf-8", text)
}

pub(super) fn html(body: impl Into<Bytes>, language: Language) -> Response<Answer> {
    in_language(of(StatusCode::OK, "text/html; charset=utf-8", body), language)
}

/// Says which language it is in, and that another browser may get another.
pub(super) fn in_language(mut response: Response<Answer>, language: Language) -> Response<Answer> {
    let headers = response.headers_mut();
    headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
    headers.insert(VARY, HeaderValue::from_name(ACCEPT_LANGUAGE));
    response
}

/// Something for the browser to save, under a name that `disposition` gives it.
pub(super) fn download(kind: &'static str, disposition: &'static str, body: impl Into<Bytes>) -> Response<Answer> {
    let mut response = of(StatusCode::OK, kind, body);
    let disposition = HeaderValue::from_static(disposition);
    response.headers_mut().insert(CONTENT_DISPOSITION, disposition);
    response
}

/// Back to the page, and a reload of it repeats nothing.
pub(super) fn see_other(to: &str) -> Response<Answer> {
    let mut response = text(StatusCode::SEE_OTHER, "");
    let to = HeaderValue::try_from(to).expect("the page's own paths are ASCII");
    response.headers_mut().insert(LOCATION, to);
    response
}
