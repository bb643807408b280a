//! Browsers that requested access. A cookie names a browser to itself only; whether it has access is the supervisor's
//! word, which knows browsers by number. A cookie is good for one asking: once its grant is over, it is forgotten.
//!
//! Bounded: when one more asks, the oldest that asked is forgotten, one of the same address first, and never one that
//! waits for its answer or has access.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Longer than waiting for eleven others, asking, and having access together can last (`crate::asking`).
const LIFE: Duration = Duration::from_secs(20 * 60);
/// Several times those that can wait for an answer.
const MOST: usize = 64;
/// A person has a browser or two on a device.
const MOST_OF_AN_ADDRESS: usize = 4;
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
    address: IpAddr,
    asked_at: Instant,
}

#[derive(Default)]
pub(super) struct Sessions {
    open: VecDeque<Session>,
}

impl Sessions {
    /// A browser asks for the first time. `holds` says whose session must not be forgotten for it; nothing when that is everybody's.
    pub(super) fn open(&mut self, address: IpAddr, now: Instant, holds: impl Fn(u64) -> bool) -> Option<Session> {
        let session = Session {
            cookie: secret(),
            browser: rand::random(),
            csrf: secret(),
            address,
            asked_at: now,
        };
        let of_address = |session: &Session| session.address == address;
        let crowded = self.open.iter().filter(|session| of_address(session)).count() >= MOST_OF_AN_ADDRESS;
        if crowded || self.open.len() >= MOST {
            let may_go = |session: &Session| (!crowded || of_address(session)) && !holds(session.browser);
            let oldest = self.open.iter().position(may_go)?;
            self.open.remove(oldest);
        }
        self.open.push_back(session.clone());
        Some(session)
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

    /// A browser asks again: its session begins again, or it might end while it has access.
    pub(super) fn renew(&mut self, browser: u64, now: Instant) {
        if let Some(at) = self.open.iter().position(|session| session.browser == browser)
            && let Some(session) = self.open.remove(at)
        {
            self.open.push_back(Session {
                asked_at: now,
                ..session
            });
        }
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

    fn at(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn a_cookie_leads_to_its_own_session_until_it_is_over() {
        let now = Instant::now();
        let mut sessions = Sessions::default();
        let mut open = || sessions.open(at(1), now, |_| false).unwrap();
        let (one, two) = (open(), open());
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
        let first = sessions.open(at(0), now, |_| false).unwrap();
        for last in 1..=MOST as u8 {
            sessions.open(at(last), now, |_| false).unwrap();
        }
        assert_eq!(sessions.open.len(), MOST);
        assert!(sessions.find(&format!("{COOKIE}={}", first.cookie), now).is_none());
    }

    #[test]
    fn nobody_pushes_out_who_waits_or_was_let_in() {
        let now = Instant::now();
        let mut sessions = Sessions::default();
        let owner = sessions.open(at(1), now, |_| false).unwrap();
        let holds = |browser| browser == owner.browser;
        for number in 0..1000_u32 {
            sessions.open(at((number % 100) as u8), now, holds).unwrap();
        }
        let header = format!("{COOKIE}={}", owner.cookie);
        assert_eq!(
            sessions.find(&header, now).map(|found| found.browser),
            Some(owner.browser)
        );
        assert!(sessions.open.len() <= MOST);
        // One address makes room among its own.
        let mut sessions = Sessions::default();
        let other = sessions.open(at(1), now, |_| false).unwrap();
        for _ in 0..40 {
            sessions.open(at(2), now, |_| false).unwrap();
        }
        assert_eq!(sessions.open.len(), 1 + MOST_OF_AN_ADDRESS);
        assert!(sessions.find(&format!("{COOKIE}={}", other.cookie), now).is_some());
        assert!(sessions.open(at(2), now, |_| true).is_none());
    }
}
