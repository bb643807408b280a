//! What is answered to which request. Everything here reads; nothing waits, so one slow peer costs no other its turn.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Body;
use hyper::header::{ALLOW, CONTENT_TYPE, COOKIE, HeaderValue, SET_COOKIE, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::watch;
use tokio::time::timeout;

use super::printed::Printed;
use super::response::{self, Answer};
use super::sessions::{Session, Sessions};
use super::token::{Tried, Tries};
use super::{action, form, host, metrics, program, upload};
use crate::backup::Passphrase;
use crate::diagnostics;
use crate::event::{self, Event, Sender};
use crate::indicator::SILENCE;
use crate::page::history::History;
use crate::page::lock::Lock;
use crate::page::view::View;
use crate::page::{Options, html, texts};
use crate::snapshot::{BoxState, Snapshot};

/// For a form's body to come, and for one with a file in it.
const FORM: Duration = Duration::from_secs(5);
const FILE: Duration = Duration::from_secs(15);
/// What may be posted to.
const FORMS: [&str; 5] = ["/ask", "/act", "/diagnostics", "/backup", "/restore"];
/// Log lines that the page shows.
const LOG_LINES: usize = 12;

/// All that a request can look at.
pub(in crate::page) struct Desk {
    options: Options,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    events: Sender,
    seen: Mutex<Seen>,
}

/// What the page remembers: the snapshots that passed by, and the browsers that asked.
struct Seen {
    history: History,
    heard_at: Instant,
    sessions: Sessions,
    granted: Option<u64>,
    tries: Tries,
    printed: Printed,
}

impl Desk {
    pub(in crate::page) fn new(
        options: Options,
        snapshots: watch::Receiver<Arc<Snapshot>>,
        events: Sender,
        now: Instant,
    ) -> Desk {
        let seen = Seen {
            history: History::new(now),
            heard_at: now,
            sessions: Sessions::default(),
            granted: None,
            tries: Tries::default(),
            printed: Printed::default(),
        };
        Desk {
            options,
            snapshots,
            events,
            seen: Mutex::new(seen),
        }
    }

    /// Only ever held for a moment and never across an await.
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows the snapshots until the supervisor is gone.
    pub(in crate::page) async fn watch(&self) {
        let mut snapshots = self.snapshots.clone();
        loop {
            let snapshot = snapshots.borrow_and_update().clone();
            self.seen().see(&snapshot, Instant::now());
            if snapshots.changed().await.is_err() {
                return;
            }
        }
    }

    /// Answers a request, after reading its body if it may have one.
    pub(in crate::page) async fn take<B>(&self, request: Request<B>, peer: IpAddr) -> Response<Answer>
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let Some(asked) = host::asked(&request).filter(|asked| host::answers_to(asked, &self.options.names)) else {
            return response::text(StatusCode::MISDIRECTED_REQUEST, texts::REFUSED_HOST);
        };
        match (request.method(), request.uri().path()) {
            (&Method::GET | &Method::HEAD, _) => self.show(&request, &asked, peer, Instant::now()),
            (&Method::POST, path) if FORMS.contains(&path) => {
                let (kind, most, within) = match path {
                    "/restore" => (form::UPLOAD, upload::MOST_BYTES, FILE),
                    _ => (form::FIELDS, form::MOST_BYTES, FORM),
                };
                // A stranger's file is not even read.
                let stranger = path == "/restore" && self.session(&request, Instant::now()).is_none();
                if stranger || !form::from_this_page(&request, kind) {
                    return response::text(StatusCode::FORBIDDEN, texts::REFUSED_FORM);
                }
                let (head, body) = request.into_parts();
                let body = match timeout(within, Limited::new(body, most).collect()).await {
                    Ok(Ok(body)) => body,
                    Ok(Err(_)) => return response::text(StatusCode::PAYLOAD_TOO_LARGE, texts::REFUSED_SIZE),
                    Err(_) => return response::text(StatusCode::REQUEST_TIMEOUT, texts::REFUSED_SIZE),
                };
                let body = body.to_bytes();
                let request = Request::from_parts(head, ());
                match request.uri().path() {
                    "/ask" => self.ask(&request, &body, peer, Instant::now()),
                    "/diagnostics" => self.diagnostics(&request, &body, Instant::now()),
                    "/backup" => self.backup(&request, &body).await,
                    "/restore" => self.restore(&request, body).await,
                    _ => self.act(&request, &body, Instant::now()),
                }
            }
            (_, path) => {
                let mut response = response::text(StatusCode::METHOD_NOT_ALLOWED, texts::REFUSED_METHOD);
                let allowed = if FORMS.contains(&path) { "POST" } else { "GET, HEAD" };
                response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
                response
            }
        }
    }

    fn show<B>(&self, request: &Request<B>, host: &str, peer: IpAddr, now: Instant) -> Response<Answer> {
        match request.uri().path() {
            "/" => self.page(request, host, peer, now),
            "/status.json" => self.status(),
            "/healthz" => self.healthz(now),
            "/metrics" => {
                let silent = now.saturating_duration_since(self.seen().heard_at);
                let text = metrics::text(&self.snapshots.borrow(), silent);
                response::of(StatusCode::OK, metrics::CONTENT_TYPE, text)
            }
            _ => response::text(StatusCode::NOT_FOUND, texts::NOT_FOUND),
        }
    }

    /// A browser asks to be let in. One that asked already is the same one still, and keeps its place.
    fn ask(&self, request: &Request<()>, body: &[u8], peer: IpAddr, now: Instant) -> Response<Answer> {
        let word = form::fields(body).and_then(|mut fields| fields.remove("word"));
        let proved = match (&self.options.token_file, word) {
            (Some(file), Some(word)) if !word.is_empty() => match self.seen().tries.attempt(file, &word, now) {
                Tried::Right => true,
                Tried::Wrong => return response::text(StatusCode::FORBIDDEN, texts::REFUSED_WORD),
                Tried::TooSoon => return response::text(StatusCode::TOO_MANY_REQUESTS, texts::REFUSED_SOON),
            },
            _ => false,
        };
        let snapshot = self.snapshots.borrow().clone();
        let known = self.seen().sessions.find(cookies(request), now).cloned();
        let own = known.as_ref().map(|session| (session.browser, session.csrf.as_str()));
        match Lock::of(&snapshot, own, peer) {
            Lock::Refused(refusal) if !proved => {
                let why = texts::may_not_ask(refusal) + "\n";
                return response::text(StatusCode::TOO_MANY_REQUESTS, &why);
            }
            Lock::Asking { .. } if !proved => return response::see_other("/#change"),
            _ => {}
        }
        let holds = |browser| {
            snapshot.unlock.granted == Some(browser) || snapshot.asking.iter().any(|asker| asker.browser == browser)
        };
        if let Some(session) = &known {
            self.seen().sessions.renew(session.browser, now);
        }
        let Some(session) = known.or_else(|| self.seen().sessions.open(peer, now, holds)) else {
            return response::text(StatusCode::SERVICE_UNAVAILABLE, texts::BUSY);
        };
        let browser = session.browser;
        let event = if proved {
            Event::Unlocked { browser }
        } else {
            let agent = request.headers().get(USER_AGENT);
            let program = program::name(agent.and_then(|agent| agent.to_str().ok()).unwrap_or_default());
            tracing::info!(address = %peer, program, "a browser asks to be let in");
            Event::UnlockAsked {
                browser,
                address: peer,
                program,
            }
        };
        if self.events.try_send(event).is_err() {
            return response::text(StatusCode::SERVICE_UNAVAILABLE, texts::BUSY);
        }
        let mut response = response::see_other("/#change");
        if let Ok(cookie) = HeaderValue::try_from(session.set_cookie()) {
            response.headers_mut().insert(SET_COOKIE, cookie);
        }
        response
    }

    /// The session of a browser that was let in: its cookie and the supervisor's word agree.
    fn session<B>(&self, request: &Request<B>, now: Instant) -> Option<Session> {
        let session = self.seen().sessions.find(cookies(request), now).cloned()?;
        (self.snapshots.borrow().unlock.granted == Some(session.browser)).then_some(session)
    }

    /// The fields of a form, if it comes from a browser that was let in and carries that session's secret.
    fn granted(&self, request: &Request<()>, body: &[u8], now: Instant) -> Option<BTreeMap<String, String>> {
        let session = self.session(request, now)?;
        form::fields(body).filter(|fields| fields.get("csrf").is_some_and(|csrf| session.owns(csrf)))
    }

    fn act(&self, request: &Request<()>, body: &[u8], now: Instant) -> Response<Answer> {
        let Some(asked) = self
            .granted(request, body, now)
            .and_then(|fields| action::asked(&fields))
        else {
            return response::text(StatusCode::FORBIDDEN, texts::REFUSED_FORM);
        };
        if matches!(asked, event::Request::Reboot | event::Request::PowerOff) && !self.options.switches {
            return response::text(StatusCode::FORBIDDEN, texts::REFUSED_SWITCH);
        }
        let word = action::done(&asked);
        tracing::info!(request = ?asked, "asked by the page");
        match self.events.try_send(Event::Asked(asked)) {
            Ok(()) => response::see_other(&format!("/?done={word}")),
            Err(_) => response::text(StatusCode::SERVICE_UNAVAILABLE, texts::BUSY),
        }
    }

    /// All that somebody who helps needs to see, with what must not leave the house taken out.
    fn diagnostics(&self, request: &Request<()>, body: &[u8], now: Instant) -> Response<Answer> {
        if self.granted(request, body, now).is_none() {
            return response::text(StatusCode::FORBIDDEN, texts::REFUSED_FORM);
        }
        let text = diagnostics::report(&self.snapshots.borrow(), &self.options.log);
        let name = "attachment; filename=\"pillarbox-diagnostics.txt\"";
        response::download("text/plain; charset=utf-8", name, text)
    }

    /// Identity and settings, encrypted with the passphrase that was typed twice.
    async fn backup(&self, request: &Request<()>, body: &[u8]) -> Response<Answer> {
        let Some(mut fields) = self.granted(request, body, Instant::now()) else {
            return response::text(StatusCode::FORBIDDEN, texts::REFUSED_FORM);
        };
        let passphrase = fields.remove("passphrase").unwrap_or_default();
        if fields.get("again") != Some(&passphrase) {
            return response::text(StatusCode::UNPROCESSABLE_ENTITY, texts::REFUSED_AGAIN);
        }
        let made = match Passphrase::new(&passphrase) {
            Ok(passphrase) => self.options.vault.backup(passphrase).await,
            Err(why) => Err(why),
        };
        match made {
            Ok(sealed) => {
                tracing::info!(bytes = sealed.len(), "backup made for the page");
                let name = "attachment; filename=\"pillarbox-backup.age\"";
                response::download("application/octet-stream", name, sealed)
            }
            Err(why) => response::text(StatusCode::UNPROCESSABLE_ENTITY, &texts::refused(&why)),
        }
    }

    async fn restore(&self, request: &Request<()>, body: Bytes) -> Response<Answer> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let upload = upload::read(kind.unwrap_or_default(), body).await;
        let session = self.session(request, Instant::now());
        let (Some(upload), Some(session)) = (upload, session) else {
            return response::text(StatusCode::FORBIDDEN, texts::REFUSED_FORM);
        };
        let field = |name: &str| upload.fields.get(name).map(String::as_str).unwrap_or_default();
        if !session.owns(field("csrf")) || field("sure") != "yes" {
            return response::text(StatusCode::FORBIDDEN, texts::REFUSED_FORM);
        }
        let identity_only = field("identity") == "only";
        let restored = match Passphrase::given(field("passphrase")) {
            Ok(passphrase) => {
                let vault = &self.options.vault;
                vault
                    .restore(passphrase, &upload.file, identity_only, &self.events)
                    .await
            }
            Err(why) => Err(why),
        };
        match restored {
            Ok(left_out) if left_out.is_empty() => response::see_other("/?done=restore"),
            // Said at once: the box starts anew, and whoever asks it next may ask one that remembers nothing.
            Ok(left_out) => response::html(html::left_out(&left_out)),
            Err(why) => response::text(StatusCode::UNPROCESSABLE_ENTITY, &texts::refused(&why)),
        }
    }

    /// The page as one browser sees it. All that never asked to be let in, and may, see the same one, so it is made once
    /// a second however often it is asked for.
    fn page<B>(&self, request: &Request<B>, host: &str, peer: IpAddr, now: Instant) -> Response<Answer> {
        let snapshot = self.snapshots.borrow().clone();
        let unix_time = (self.options.unix_time)();
        let done = request
            .uri()
            .query()
            .and_then(|query| texts::done(query.strip_prefix("done=")?));
        let (silent, hours, sizes, seen_for, session) = {
            let seen = self.seen();
            let session = seen.sessions.find(cookies(request), now).cloned();
            let stranger = session.is_none() && Lock::of(&snapshot, None, peer) == Lock::Closed;
            if let (true, None, Some(body)) = (stranger, done, seen.printed.same(&snapshot, host, unix_time)) {
                return response::html(body);
            }
            let sizes = seen.history.sizes(now, snapshot.archive.bytes);
            (
                silence(&seen, now),
                seen.history.by_hour(),
                sizes,
                seen.history.seen_for(now),
                session,
            )
        };
        let own = session.as_ref().map(|session| (session.browser, session.csrf.as_str()));
        let lock = Lock::of(&snapshot, own, peer);
        let html = html::document(&View {
            snapshot: &snapshot,
            silent,
            hours,
            sizes,
            seen_for,
            now: unix_time,
            host,
            lock,
            log: self.options.log.last(LOG_LINES, None),
            done,
            switches: self.options.switches,
            has_word: self.options.token_file.is_some(),
        });
        let body = Bytes::from(html);
        if session.is_none() && done.is_none() && lock == Lock::Closed {
            self.seen().printed.keep(snapshot, host, unix_time, body.clone());
        }
        response::html(body)
    }

    fn status(&self) -> Response<Answer> {
        let snapshot = self.snapshots.borrow().clone();
        match serde_json::to_string_pretty(&*snapshot) {
            Ok(json) => response::of(StatusCode::OK, "application/json", json + "\n"),
            Err(error) => response::text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }

    /// For machines that watch the box: 200 while it does its job.
    fn healthz(&self, now: Instant) -> Response<Answer> {
        let state = self.snapshots.borrow().state;
        let silent = silence(&self.seen(), now).is_some();
        let (status, word) = match (silent, state) {
            (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "silent\n"),
            (false, BoxState::Ok) => (StatusCode::OK, "ok\n"),
            (false, BoxState::Degraded) => (StatusCode::OK, "degraded\n"),
            (false, BoxState::Starting) => (StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
            (false, BoxState::Failed) => (StatusCode::SERVICE_UNAVAILABLE, "failed\n"),
        };
        response::text(status, word)
    }
}

impl Seen {
    fn see(&mut self, snapshot: &Snapshot, now: Instant) {
        self.heard_at = now;
        self.history.see(snapshot, now);
        let before = std::mem::replace(&mut self.granted, snapshot.unlock.granted);
        if let Some(browser) = before
            && before != self.granted
        {
            self.sessions.forget(browser);
        }
    }
}

fn cookies<B>(request: &Request<B>) -> &str {
    request
        .headers()
        .get(COOKIE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

fn silence(seen: &Seen, now: Instant) -> Option<Duration> {
    Some(now.saturating_duration_since(seen.heard_at)).filter(|silent| *silent >= SILENCE)
}
