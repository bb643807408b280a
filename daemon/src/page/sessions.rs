//! Browsers that asked to be let in. A cookie names a browser to itself only; whether it is let in is the supervisor's
//! word, which knows browsers by number. A cookie is good for one asking: once its grant is over, it is forgotten.
//!
//! Bounded: when one more asks, the oldest that asked is forgotten.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Longer than waiting and being let in together can last.
const LIFE: Duration = Duration::from_secs(15 * 60);
const MOST: usize = 32;
/// 128 bits that nobody guesses.
const SECRET_BYTES: usize = 16;

/// The cookie's name.
pub(super) const COOKIE: &str = "pillarbox";

#[derive(Clone, Debug)]
pub(super) struct Session {
    /// What the browser sends back.
    pub(super) cookie: String,
    /// By what number the supervisor knows it.
    pub(super) browser: u64,
    /// What every form of this session carries.
    pub(super) csrf: String,
    asked_at: Instant,
}

#[derive(Default)]
pub(super) struct Sessions {
    open: VecDeque<Session>,
}

impl Sessions {
    /// A browser asks anew.
    pub(super) fn open(&mut self, now: Instant) -> Session {
        let session = Session {
            cookie: secret(),
            browser: rand::random(),
            csrf: secret(),
            asked_at: now,
        };
        if self.open.len() >= MOST {
            self.open.pop_front();
        }
        self.open.push_back(session.clone());
        session
    }

    /// The session of a request's `Cookie` header.
    pub(super) fn find(&self, header: &str, now: Instant) -> Option<&Session> {
        let cookie = header
            .split(';')
            .find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))?;
        let alive = |session: &&Session| now.saturating_duration_since(session.asked_at) < LIFE;
        self.open
            .iter()
            .filter(alive)
            .find(|session| same(&session.cookie, cookie))
    }

    /// The grant of this browser is over.
    pub(super) fn forget(&mut self, browser: u64) {
        self.open.retain(|session| session.browser != browser);
    }
}

impl Session {
    pub(super) fn owns(&self, csrf: &str) -> bool {
        same(&self.csrf, csrf)
    }

    /// The header that gives the cookie: never to scripts, never with a request that another site caused.
    pub(super) fn set_cookie(&self) -> String {
        format!(
            "{COOKIE}={}; HttpOnly; SameSite=Strict; Path=/; Max-Age={}",
            self.cookie,
            LIFE.as_secs()
        )
    }
}

fn secret() -> String {
    let bytes: [u8; SECRET_BYTES] = rand::random();
    data_encoding::HEXLOWER.encode(&bytes)
}

/// In the same time wherever the first difference is.
pub(super) fn same(secret: &str, guess: &str) -> bool {
    secret.len() == guess.len()
        && secret
            .bytes()
            .zip(guess.bytes())
            .fold(0, |differs, (a, b)| differs | (a ^ b))
            == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_leads_to_its_own_session_until_it_is_over() {
        let now = Instant::now();
        let mut sessions = Sessions::default();
        let (one, two) = (sessions.open(now), sessions.open(now));
        assert_ne!(
            (&one.cookie, one.browser, &one.csrf),
            (&two.cookie, two.browser, &two.csrf)
        );
        let header = format!("theme=dark; {COOKIE}={}; x=y", one.cookie);
        assert_eq!(
            sessions.find(&header, now).map(|session| session.browser),
            Some(one.browser)
        );
        assert!(one.owns(&one.csrf) && !one.owns(&two.csrf) && !one.owns(""));
        for header in ["", "pillarbox=", "pillarbox", "notpillarbox=x", "pillarbox=0123"] {
            assert!(sessions.find(header, now).is_none(), "{header}");
        }
        assert!(sessions.find(&header, now + LIFE).is_none());
        sessions.forget(one.browser);
        assert!(sessions.find(&header, now).is_none());
    }

    #[test]
    fn only_so_many_are_kept() {
        let now = Instant::now();
        let mut sessions = Sessions::default();
        let first = sessions.open(now);
        for _ in 0..MOST {
            sessions.open(now);
        }
        assert_eq!(sessions.open.len(), MOST);
        assert!(sessions.find(&format!("{COOKIE}={}", first.cookie), now).is_none());
    }
}
