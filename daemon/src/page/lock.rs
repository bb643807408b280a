//! How the page's lock looks to one browser: of the snapshot and of where that browser is, nothing else.

use std::net::IpAddr;

use crate::asking::{self, Asker, Refusal, Turn};
use crate::snapshot::Snapshot;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lock<'a> {
    Closed,
    /// This browser has asked; so many are before it.
    Asking {
        number: u8,
        turn: Turn,
        before: usize,
    },
    /// It may not ask now.
    Refused(Refusal),
    /// This browser has access; its forms carry this secret.
    Open {
        csrf: &'a str,
    },
}

impl<'a> Lock<'a> {
    /// `own` is the browser's number and secret, if it ever asked, and `peer` where it is.
    pub(super) fn of(snapshot: &Snapshot, own: Option<(u64, &'a str)>, peer: IpAddr) -> Lock<'a> {
        match (snapshot.unlock.granted, own) {
            (Some(granted), Some((browser, csrf))) if granted == browser => return Lock::Open { csrf },
            (Some(_), _) => return Lock::Refused(Refusal::Taken),
            (None, _) => {}
        }
        let place = own.and_then(|(browser, _)| snapshot.asking.iter().position(|asker| asker.browser == browser));
        if let Some(before) = place {
            let Asker { number, turn, .. } = snapshot.asking[before];
            return Lock::Asking { number, turn, before };
        }
        let resting = snapshot.unlock.resting.iter().copied();
        match asking::refusal(&snapshot.asking, resting, peer) {
            Some(refusal) => Lock::Refused(refusal),
            None => Lock::Closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::program::Program;

    #[test]
    fn the_lock_by_browser() {
        const ME: u64 = 1;
        const OTHER: u64 = 2;
        let (mine, theirs, third): (IpAddr, IpAddr, IpAddr) =
            ([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), [10, 0, 0, 3].into());
        let asker = |browser, address, turn| Asker {
            browser,
            number: 34,
            address,
            program: Program::default(),
            turn,
        };
        let asking = |turn, before| Lock::Asking {
            number: 34,
            turn,
            before,
        };
        let taken = Lock::Refused(Refusal::Taken);
        let another = Lock::Refused(Refusal::Another);
        let me = asker(ME, mine, Turn::Showing);
        let other = asker(OTHER, theirs, Turn::Ready);
        let behind = asker(ME, mine, Turn::Waiting);
        for (granted, askers, to_me, to_third, beside_me) in [
            (None, vec![], Lock::Closed, Lock::Closed, Lock::Closed),
            (None, vec![me], asking(Turn::Showing, 0), Lock::Closed, another),
            (None, vec![other.clone()], Lock::Closed, Lock::Closed, Lock::Closed),
            (
                None,
                vec![other, behind],
                asking(Turn::Waiting, 1),
                Lock::Closed,
                another,
            ),
            (Some(ME), vec![], Lock::Open { csrf: "s" }, taken, taken),
            (Some(OTHER), vec![], taken, taken, taken),
        ] {
            let mut snapshot = Snapshot::at_start("dev");
            (snapshot.unlock.granted, snapshot.asking) = (granted, askers);
            assert_eq!(Lock::of(&snapshot, Some((ME, "s")), mine), to_me, "{snapshot:?}");
            assert_eq!(Lock::of(&snapshot, None, third), to_third, "{snapshot:?}");
            assert_eq!(Lock::of(&snapshot, None, mine), beside_me, "{snapshot:?}");
        }
        let mut snapshot = Snapshot::at_start("dev");
        let left = Duration::from_secs(30);
        snapshot.unlock.resting = vec![asking::Resting { address: mine, left }];
        let resting = Lock::Refused(Refusal::Resting { left });
        assert_eq!(Lock::of(&snapshot, Some((ME, "s")), mine), resting);
        assert_eq!(Lock::of(&snapshot, None, third), Lock::Closed);
    }
}
