//! Why a request is not answered with what it asks for: the status, and a line in the browser's language.

use hyper::header::{ALLOW, HeaderValue};
use hyper::{Response, StatusCode};

use super::response::{self, Answer};
use crate::asking::Refusal;
use crate::backup;
use crate::wording::{Language, Wording};

#[derive(Debug)]
pub(super) enum Refused {
    /// The host that it names is none of ours.
    Host,
    /// Only these methods are for this path.
    Method {
        allowed: &'static str,
    },
    NotFound,
    /// No form of this page's own, or of a browser without access.
    Form,
    /// This machine is not to be restarted or powered off from here.
    Switches,
    TooLong,
    TooSlow,
    /// The supervisor's channel is full.
    Busy,
    WrongCode,
    TooSoon,
    Lock(Refusal),
    /// The two passphrases.
    Differ,
    NotDone(backup::Refused),
}

impl Refused {
    /// A backup or a restore that came to nothing.
    pub(super) fn not_done(why: impl Into<backup::Refused>) -> Self {
        Self::NotDone(why.into())
    }

    pub(super) fn response(&self, language: Language) -> Response<Answer> {
        let line = self.in_words(language.wording()) + "\n";
        let mut response = response::in_language(response::text(self.status(), line), language);
        if let Self::Method { allowed } = self {
            let allowed = HeaderValue::from_static(allowed);
            response.headers_mut().insert(ALLOW, allowed);
        }
        response
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Form | Self::Switches | Self::WrongCode => StatusCode::FORBIDDEN,
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooSoon | Self::Lock(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Differ | Self::NotDone(_) => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }

    fn in_words(&self, wording: &Wording) -> String {
        let words = &wording.answers;
        let line = match self {
            Self::Host => words.host,
            Self::Method { .. } => words.method,
            Self::NotFound => words.not_found,
            Self::Form => words.form,
            Self::Switches => words.switches,
            Self::TooLong | Self::TooSlow => words.size,
            Self::Busy => words.busy,
            Self::WrongCode => words.wrong_code,
            Self::TooSoon => words.too_soon,
            Self::Differ => words.differ,
            Self::Lock(refusal) => return refusal.in_words(wording),
            Self::NotDone(why) => return words.not_done.fill(&[("why", &why.to_string())]),
        };
        line.to_owned()
    }
}
