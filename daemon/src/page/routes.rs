//! What is answered to which request. Everything here reads; nothing waits, so one slow peer costs no other its turn.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use data_encoding::BASE64;
use http_body_util::Full;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::history::History;
use super::view::{self, View};
use super::{Options, host, texts};
use crate::indicator::SILENCE;
use crate::snapshot::{BoxState, Snapshot};

pub(super) type Answer = Full<Bytes>;

/// All that a request can look at.
pub(super) struct Desk {
    options: Options,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    seen: Mutex<Seen>,
    policy: HeaderValue,
}

/// What the page remembers of the snapshots that passed by.
struct Seen {
    history: History,
    heard_at: Instant,
}

impl Desk {
    pub(super) fn new(options: Options, snapshots: watch::Receiver<Arc<Snapshot>>, now: Instant) -> Desk {
        let seen = Mutex::new(Seen {
            history: History::new(now),
            heard_at: now,
        });
        Desk {
            options,
            snapshots,
            seen,
            policy: policy(),
        }
    }

    /// Follows the snapshots until the supervisor is gone.
    pub(super) async fn watch(&self) {
        let mut snapshots = self.snapshots.clone();
        loop {
            let snapshot = snapshots.borrow_and_update().clone();
            {
                let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.heard_at = Instant::now();
                let heard_at = seen.heard_at;
                seen.history.see(&snapshot, heard_at);
            }
            if snapshots.changed().await.is_err() {
                return;
            }
        }
    }

    pub(super) fn answer<B>(&self, request: &Request<B>) -> Response<Answer> {
        let Some(asked) = host::asked(request).filter(|asked| host::answers_to(asked, &self.options.names)) else {
            return self.text(StatusCode::MISDIRECTED_REQUEST, texts::REFUSED_HOST);
        };
        if request.method() != Method::GET && request.method() != Method::HEAD {
            let mut response = self.text(StatusCode::METHOD_NOT_ALLOWED, texts::REFUSED_METHOD);
            response
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match request.uri().path() {
            "/" => self.page(&asked, Instant::now()),
            "/status.json" => self.status(),
            "/healthz" => self.healthz(Instant::now()),
            _ => self.text(StatusCode::NOT_FOUND, texts::NOT_FOUND),
        }
    }

    fn page(&self, host: &str, now: Instant) -> Response<Answer> {
        let snapshot = self.snapshots.borrow().clone();
        let (silent, hours, sizes, seen_for) = {
            let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let sizes = seen.history.sizes(now, snapshot.archive.bytes);
            (
                silence(&seen, now),
                seen.history.by_hour(),
                sizes,
                seen.history.seen_for(now),
            )
        };
        let now = (self.options.unix_time)();
        let html = view::document(&View {
            snapshot: &snapshot,
            silent,
            hours,
            sizes,
            seen_for,
            now,
            host,
        });
        self.response(StatusCode::OK, "text/html; charset=utf-8", html)
    }

    fn status(&self) -> Response<Answer> {
        let snapshot = self.snapshots.borrow().clone();
        match serde_json::to_string_pretty(&*snapshot) {
            Ok(json) => self.response(StatusCode::OK, "application/json", json + "\n"),
            Err(error) => self.text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }

    /// For machines that watch the box: 200 while it does its job.
    fn healthz(&self, now: Instant) -> Response<Answer> {
        let state = self.snapshots.borrow().state;
        let silent = silence(&self.seen.lock().unwrap_or_else(PoisonError::into_inner), now).is_some();
        let (status, word) = match (silent, state) {
            (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "silent\n"),
            (false, BoxState::Ok) => (StatusCode::OK, "ok\n"),
            (false, BoxState::Degraded) => (StatusCode::OK, "degraded\n"),
            (false, BoxState::Starting) => (StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
            (false, BoxState::Failed) => (StatusCode::SERVICE_UNAVAILABLE, "failed\n"),
        };
        self.text(status, word)
    }

    fn text(&self, status: StatusCode, text: &str) -> Response<Answer> {
        self.response(status, "text/plain; charset=utf-8", text.to_owned())
    }

    fn response(&self, status: StatusCode, kind: &'static str, body: String) -> Response<Answer> {
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(CONTENT_SECURITY_POLICY, self.policy.clone());
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

fn silence(seen: &Seen, now: Instant) -> Option<Duration> {
    Some(now.saturating_duration_since(seen.heard_at)).filter(|silent| *silent >= SILENCE)
}

/// Nothing is loaded and nothing runs but the page's own style and script.
fn policy() -> HeaderValue {
    let hash = |text: &str| BASE64.encode(&Sha256::digest(text));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash(view::STYLE),
        hash(view::SCRIPT)
    );
    HeaderValue::try_from(policy).expect("hashes in base64 are visible ASCII")
}
