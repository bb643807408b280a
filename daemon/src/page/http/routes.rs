//! What is answered to which request. Everything here reads; nothing waits, so one slow peer costs no other its turn.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Body;
use hyper::header::{CONTENT_TYPE, COOKIE, HeaderValue, SET_COOKIE, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::watch;
use tokio::time::timeout;

use super::printed::{MadeOf, Printed};
use super::refused::Refused;
use super::response::{self, Answer};
use super::sessions::{Session, Sessions};
use super::token::{Tried, Tries};
use super::{action, form, host, language, metrics, upload};
use crate::backup::Passphrase;
use crate::diagnostics;
use crate::event::{self, Ending, Event, Sender};
use crate::indicator::SILENCE;
use crate::page::history::History;
use crate::page::html;
use crate::page::lock::Lock;
use crate::page::options::Options;
use crate::page::view::View;
use crate::program::Program;
use crate::snapshot::{BoxState, Snapshot};
use crate::wording::Language;

type Outcome = Result<Response<Answer>, Refused>;

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
        let language = language::preferred(request.headers());
        let answer = self.answer(request, peer, language).await;
        answer.unwrap_or_else(|refused| refused.response(language))
    }

    async fn answer<B>(&self, request: Request<B>, peer: IpAddr, language: Language) -> Outcome
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let host = host::asked(&request).filter(|host| host::answers_to(host, &self.options.names));
        let host = host.ok_or(Refused::Host)?;
        match (request.method(), request.uri().path()) {
            (&Method::GET | &Method::HEAD, _) => self.show(&request, &host, peer, language),
            (&Method::POST, path) if FORMS.contains(&path) => {
                let (request, body) = self.form(request).await?;
                match request.uri().path() {
                    "/ask" => self.ask(&request, &body, peer, Instant::now()),
                    "/diagnostics" => self.diagnostics(&request, &body, Instant::now()),
                    "/backup" => self.backup(&request, &body).await,
                    "/restore" => self.restore(&request, body, language).await,
                    _ => self.act(&request, &body, Instant::now()),
                }
            }
            (_, path) if FORMS.contains(&path) => Err(Refused::Method { allowed: "POST" }),
            _ => Err(Refused::Method { allowed: "GET, HEAD" }),
        }
    }

    /// The body of a form of this page's own.
    async fn form<B>(&self, request: Request<B>) -> Result<(Request<()>, Bytes), Refused>
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let restores = request.uri().path() == "/restore";
        let (kind, most, within) = if restores {
            (form::UPLOAD, upload::MOST_BYTES, FILE)
        } else {
            (form::FIELDS, form::MOST_BYTES, FORM)
        };
        // A stranger's file is not even read.
        let stranger = restores && self.session(&request, Instant::now()).is_none();
        if stranger || !form::from_this_page(&request, kind) {
            return Err(Refused::Form);
        }
        let (head, body) = request.into_parts();
        let body = timeout(within, Limited::new(body, most).collect()).await;
        let body = body.map_err(|_| Refused::TooSlow)?.map_err(|_| Refused::TooLong)?;
        Ok((Request::from_parts(head, ()), body.to_bytes()))
    }

    fn show<B>(&self, request: &Request<B>, host: &str, peer: IpAddr, language: Language) -> Outcome {
        let now = Instant::now();
        match request.uri().path() {
            "/" => Ok(self.page(request, host, peer, now, language)),
            "/status.json" => Ok(self.status()),
            "/healthz" => Ok(self.healthz(now)),
            "/metrics" => {
                let silent = now.saturating_duration_since(self.seen().heard_at);
                let text = metrics::text(&self.snapshots.borrow(), silent);
                Ok(response::of(StatusCode::OK, metrics::CONTENT_TYPE, text))
            }
            _ => Err(Refused::NotFound),
        }
    }

    /// A browser requests access. One that has done so already is the same one still, and keeps its place.
    fn ask(&self, request: &Request<()>, body: &[u8], peer: IpAddr, now: Instant) -> Outcome {
        let proved = self.proved(body, now)?;
        let snapshot = self.snapshots.borrow().clone();
        let known = self.seen().sessions.find(cookies(request), now).cloned();
        let own = known.as_ref().map(|session| (session.browser, session.csrf.as_str()));
        match Lock::of(&snapshot, own, peer) {
            Lock::Refused(refusal) if !proved => return Err(Refused::Lock(refusal)),
            Lock::Asking { .. } if !proved => return Ok(response::see_other("/#change")),
            _ => {}
        }
        let holds = |browser| {
            snapshot.unlock.granted == Some(browser) || snapshot.asking.iter().any(|asker| asker.browser == browser)
        };
        if let Some(session) = &known {
            self.seen().sessions.renew(session.browser, now);
        }
        let session = known.or_else(|| self.seen().sessions.open(peer, now, holds));
        let session = session.ok_or(Refused::Busy)?;
        let browser = session.browser;
        self.send(if proved {
            Event::Unlocked { browser }
        } else {
            let agent = request.headers().get(USER_AGENT);
            let program = Program::of(agent.and_then(|agent| agent.to_str().ok()).unwrap_or_default());
            tracing::info!(address = %peer, %program, "a browser requests access");
            Event::UnlockAsked {
                browser,
                address: peer,
                program,
            }
        })?;
        let mut response = response::see_other("/#change");
        if let Ok(cookie) = HeaderValue::try_from(session.set_cookie()) {
            response.headers_mut().insert(SET_COOKIE, cookie);
        }
        Ok(response)
    }

    /// Whether the form has the access code; one that has none asks for the button.
    fn proved(&self, body: &[u8], now: Instant) -> Result<bool, Refused> {
        let code = form::fields(body).and_then(|mut fields| fields.remove("code"));
        let (Some(file), Some(code)) = (&self.options.token_file, code.filter(|code| !code.is_empty())) else {
            return Ok(false);
        };
        match self.seen().tries.attempt(file, &code, now) {
            Tried::Right => Ok(true),
            Tried::Wrong => Err(Refused::WrongCode),
            Tried::TooSoon => Err(Refused::TooSoon),
        }
    }

    fn send(&self, event: Event) -> Result<(), Refused> {
        self.events.try_send(event).map_err(|_| Refused::Busy)
    }

    /// The session of a browser that has access: its cookie and the supervisor's word agree.
    fn session<B>(&self, request: &Request<B>, now: Instant) -> Option<Session> {
        let session = self.seen().sessions.find(cookies(request), now).cloned()?;
        (self.snapshots.borrow().unlock.granted == Some(session.browser)).then_some(session)
    }

    /// The fields of a form, if it comes from a browser that has access and carries that session's secret.
    fn granted(&self, request: &Request<()>, body: &[u8], now: Instant) -> Result<BTreeMap<String, String>, Refused> {
        let session = self.session(request, now).ok_or(Refused::Form)?;
        let fields = form::fields(body).filter(|fields| fields.get("csrf").is_some_and(|csrf| session.owns(csrf)));
        fields.ok_or(Refused::Form)
    }

    fn act(&self, request: &Request<()>, body: &[u8], now: Instant) -> Outcome {
        let fields = self.granted(request, body, now)?;
        let asked = action::asked(&fields).ok_or(Refused::Form)?;
        if matches!(asked, event::Request::End(Ending::Reboot | Ending::PowerOff)) && !self.options.switches {
            return Err(Refused::Switches);
        }
        let word = action::done(&asked);
        tracing::info!(request = ?asked, "asked by the page");
        self.send(Event::Asked(asked))?;
        Ok(response::see_other(&format!("/?done={word}")))
    }

    /// All that somebody who helps needs to see, with what must not leave the house taken out.
    fn diagnostics(&self, request: &Request<()>, body: &[u8], now: Instant) -> Outcome {
        self.granted(request, body, now)?;
        let text = diagnostics::report(&self.snapshots.borrow(), &self.options.log);
        let name = "attachment; filename=\"pillarbox-diagnostics.txt\"";
        Ok(response::download("text/plain; charset=utf-8", name, text))
    }

    /// Identity and settings, encrypted with the passphrase that was typed twice.
    async fn backup(&self, request: &Request<()>, body: &[u8]) -> Outcome {
        let mut fields = self.granted(request, body, Instant::now())?;
        let passphrase = fields.remove("passphrase").unwrap_or_default();
        if fields.get("again") != Some(&passphrase) {
            return Err(Refused::Differ);
        }
        let passphrase = Passphrase::new(&passphrase).map_err(Refused::not_done)?;
        let sealed = self.options.vault.backup(passphrase).await.map_err(Refused::not_done)?;
        tracing::info!(bytes = sealed.len(), "backup made for the page");
        let name = "attachment; filename=\"pillarbox-backup.age\"";
        Ok(response::download("application/octet-stream", name, sealed))
    }

    async fn restore(&self, request: &Request<()>, body: Bytes, language: Language) -> Outcome {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let upload = upload::read(kind.unwrap_or_default(), body)
            .await
            .ok_or(Refused::Form)?;
        let session = self.session(request, Instant::now()).ok_or(Refused::Form)?;
        let field = |name: &str| upload.fields.get(name).map(String::as_str).unwrap_or_default();
        if !session.owns(field("csrf")) || field("sure") != "yes" {
            return Err(Refused::Form);
        }
        let identity_only = field("identity") == "only";
        let passphrase = Passphrase::given(field("passphrase")).map_err(Refused::not_done)?;
        let vault = &self.options.vault;
        let restored = vault.restore(passphrase, &upload.file, identity_only, &self.events);
        let left_out = restored.await.map_err(Refused::not_done)?;
        if left_out.is_empty() {
            return Ok(response::see_other("/?done=restore"));
        }
        // Said at once: the box restarts, and a later request may meet one that remembers nothing.
        Ok(response::html(html::left_out(&left_out, language.wording()), language))
    }

    /// The page as one browser sees it. All that have not requested access, and may, see the same one, so it is made once
    /// per second and language however often it is requested.
    fn page<B>(
        &self,
        request: &Request<B>,
        host: &str,
        peer: IpAddr,
        now: Instant,
        language: Language,
    ) -> Response<Answer> {
        let words = language.wording();
        let made_of = MadeOf {
            snapshot: self.snapshots.borrow().clone(),
            host: host.to_owned(),
            unix_time: (self.options.unix_time)(),
        };
        let snapshot = &made_of.snapshot;
        let query = request.uri().query();
        let done = query.and_then(|query| action::done_in_words(query.strip_prefix("done=")?, words));
        let seen = self.seen();
        let session = seen.sessions.find(cookies(request), now).cloned();
        let own = session.as_ref().map(|session| (session.browser, session.csrf.as_str()));
        let lock = Lock::of(snapshot, own, peer);
        let shared = session.is_none() && done.is_none() && lock == Lock::Closed;
        if shared && let Some(body) = seen.printed.same(language, &made_of) {
            return response::html(body, language);
        }
        let view = View {
            words,
            snapshot,
            silent: silence(&seen, now),
            hours: seen.history.by_hour(),
            sizes: seen.history.sizes(now, snapshot.archive.bytes),
            seen_for: seen.history.seen_for(now),
            now: made_of.unix_time,
            host,
            lock,
            log: self.options.log.last(LOG_LINES, None),
            done,
            switches: self.options.switches,
            has_code: self.options.token_file.is_some(),
        };
        drop(seen);
        let body = Bytes::from(html::document(&view));
        if shared {
            self.seen().printed.keep(language, made_of, body.clone());
        }
        response::html(body, language)
    }

    fn status(&self) -> Response<Answer> {
        let snapshot = self.snapshots.borrow().clone();
        match serde_json::to_string_pretty(&*snapshot) {
            Ok(json) => response::of(StatusCode::OK, "application/json", json + "\n"),
            Err(error) => response::text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
    }

    /// For machines that watch the box: 200 while it is working.
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
