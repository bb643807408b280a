//! What is asked for, and who may have it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64;
use nix::unistd::geteuid;
use tokio::sync::watch;

use super::press::press;
use super::{Answer, Peer, Request};
use crate::backup::{Passphrase, Vault};
use crate::diagnostics;
use crate::event::{self, Ending, Event, Sender};
use crate::log::Logbook;
use crate::snapshot::Snapshot;

const MAX_LINES: usize = 1000;
/// The longest hold that means something is 20 s.
const MAX_HOLD: Duration = Duration::from_secs(30);

pub struct Desk {
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    pub events: Sender,
    pub log: Logbook,
    /// The FIFO of a simulated button; a board with a real one has none.
    pub button: Option<PathBuf>,
    /// Whether the machine may be restarted and powered off from here.
    pub switches: bool,
    pub vault: Vault,
}

impl Desk {
    pub(super) async fn answer(&self, request: Request, peer: Peer) -> Answer {
        if request != Request::Status && !may_act(peer) {
            return Answer::Refused("only root and the account of pillarboxd may do that; use sudo".to_owned());
        }
        match request {
            Request::Status => {
                let snapshot = Arc::clone(&self.snapshots.borrow());
                Answer::Status(Box::new(Snapshot::clone(&snapshot)))
            }
            Request::Logs { lines, service } => {
                if let Some(refusal) = service.as_ref().and_then(|service| self.no_such(service)) {
                    return refusal;
                }
                Answer::Logs(self.log.last(lines.min(MAX_LINES), service.as_deref()))
            }
            Request::Restart { service } => match self.no_such(&service) {
                Some(refusal) => refusal,
                None => self.send(Event::Asked(event::Request::Restart { service })),
            },
            Request::Unlock { number } => self.unlock(number),
            Request::Diagnose => Answer::Text(diagnostics::report(&self.snapshots.borrow(), &self.log)),
            Request::Backup { passphrase } => match self.vault.backup(passphrase).await {
                Ok(sealed) => Answer::Sealed(BASE64.encode(&sealed)),
                Err(why) => Answer::Refused(why.to_string()),
            },
            Request::Restore {
                passphrase,
                sealed,
                identity_only,
            } => self.restore(passphrase, &sealed, identity_only).await,
            Request::Reboot | Request::PowerOff if !self.switches => Answer::Refused(
                "restart and power-off are disabled on this machine (power = \"none\"); use the machine's own commands"
                    .to_owned(),
            ),
            Request::Reboot => self.send(Event::Asked(event::Request::End(Ending::Reboot))),
            Request::PowerOff => self.send(Event::Asked(event::Request::End(Ending::PowerOff))),
            Request::ConfirmTime => self.send(Event::Asked(event::Request::ConfirmTime)),
            Request::Press { hold_ms } => {
                let Some(fifo) = &self.button else {
                    return Answer::Refused("this board has a real button: press it".to_owned());
                };
                match press(fifo, Duration::from_millis(hold_ms).min(MAX_HOLD)).await {
                    Ok(()) => Answer::Done,
                    Err(error) => Answer::Refused(format!("cannot press {}: {error}", fifo.display())),
                }
            }
        }
    }

    async fn restore(&self, passphrase: Passphrase, sealed: &str, identity_only: bool) -> Answer {
        let Ok(sealed) = BASE64.decode(sealed.as_bytes()) else {
            return Answer::Refused("the backup did not arrive whole; try again".to_owned());
        };
        let restored = self.vault.restore(passphrase, &sealed, identity_only, &self.events);
        match restored.await {
            Ok(left_out) => Answer::Restored(left_out),
            Err(why) => Answer::Refused(why.to_string()),
        }
    }

    fn unlock(&self, number: u8) -> Answer {
        let snapshot = Arc::clone(&self.snapshots.borrow());
        if snapshot.unlock.granted.is_some() {
            return Answer::Refused("a browser already has access; wait until its five minutes are over".to_owned());
        }
        match snapshot.asking.iter().find(|asker| asker.number == number) {
            Some(asker) => self.send(Event::Unlocked { browser: asker.browser }),
            None if snapshot.asking.is_empty() => Answer::Refused(
                "no browser is requesting access; open the page and request access there first".to_owned(),
            ),
            None => Answer::Refused(format!(
                "no browser is requesting access under the number {number}; `pillarbox unlock` lists those that are"
            )),
        }
    }

    fn no_such(&self, service: &str) -> Option<Answer> {
        let snapshot = self.snapshots.borrow();
        if snapshot.services.iter().any(|known| known.name == service) {
            return None;
        }
        let names: Vec<&str> = snapshot.services.iter().map(|known| known.name.as_str()).collect();
        Some(Answer::Refused(format!(
            "there is no service {service:?}; the services are: {}",
            names.join(", ")
        )))
    }

    fn send(&self, event: Event) -> Answer {
        match self.events.try_send(event) {
            Ok(()) => Answer::Done,
            Err(_) => Answer::Refused("the daemon is busy; try again".to_owned()),
        }
    }
}

pub(super) fn may_act(peer: Peer) -> bool {
    peer.uid == 0 || peer.uid == geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asking::{Asker, Turn};
    use crate::program::Program;

    fn desk(snapshots: watch::Receiver<Arc<Snapshot>>, events: Sender, switches: bool) -> Desk {
        Desk {
            snapshots,
            events,
            log: Logbook::default(),
            button: None,
            switches,
            vault: Vault::new("/nonexistent".into()),
        }
    }

    #[tokio::test]
    async fn root_grants_access_only_to_who_waits() {
        let (events, mut inbox) = event::channel();
        let (snapshots, seen) = watch::channel(Arc::new(Snapshot::at_start("dev")));
        let desk = desk(seen, events, false);
        let root = Peer { uid: 0 };
        let asker = Asker {
            browser: 1,
            number: 34,
            address: [10, 0, 0, 5].into(),
            program: Program::default(),
            turn: Turn::Waiting,
        };
        for (granted, asking, refusal) in [
            (None, vec![], Some("no browser is requesting access; open")),
            (Some(1), vec![], Some("already")),
            (
                None,
                vec![Asker {
                    number: 35,
                    ..asker.clone()
                }],
                Some("no browser is requesting access under the number 34"),
            ),
            (None, vec![asker], None),
        ] {
            snapshots.send_modify(|snapshot| {
                let snapshot = Arc::make_mut(snapshot);
                (snapshot.unlock.granted, snapshot.asking) = (granted, asking);
            });
            let answer = desk.answer(Request::Unlock { number: 34 }, root).await;
            match refusal {
                Some(words) => assert!(
                    matches!(&answer, Answer::Refused(why) if why.contains(words)),
                    "{answer:?}"
                ),
                None => {
                    assert_eq!(answer, Answer::Done);
                    assert!(matches!(inbox.try_recv(), Ok(Event::Unlocked { browser: 1 })));
                }
            }
        }
        let Answer::Text(report) = desk.answer(Request::Diagnose, root).await else {
            panic!("no report")
        };
        assert!(
            report.starts_with("Report of a Pillarbox") && report.contains("\"board\": \"dev\""),
            "{report}"
        );
    }

    fn passphrase() -> Passphrase {
        Passphrase::new("correct horse").unwrap()
    }

    #[tokio::test]
    async fn a_machine_is_switched_only_where_it_may_be() {
        for switches in [false, true] {
            let (events, mut inbox) = event::channel();
            let (_keep, snapshots) = watch::channel(Arc::new(Snapshot::at_start("dev")));
            let desk = desk(snapshots, events, switches);
            for (request, wanted) in [
                (Request::Reboot, event::Request::End(Ending::Reboot)),
                (Request::PowerOff, event::Request::End(Ending::PowerOff)),
            ] {
                let answer = desk.answer(request, Peer { uid: 0 }).await;
                if switches {
                    assert_eq!(answer, Answer::Done);
                    assert!(matches!(inbox.try_recv(), Ok(Event::Asked(asked)) if asked == wanted));
                } else {
                    assert!(
                        matches!(&answer, Answer::Refused(why) if why.contains("none")),
                        "{answer:?}"
                    );
                    assert!(inbox.try_recv().is_err());
                }
            }
        }
    }

    #[tokio::test]
    async fn strangers_may_only_look() {
        let (events, mut inbox) = event::channel();
        let (_keep, snapshots) = watch::channel(Arc::new(Snapshot::at_start("dev")));
        let desk = desk(snapshots, events, false);
        let stranger = Peer {
            uid: geteuid().as_raw() + 4_000_000,
        };
        assert!(matches!(
            desk.answer(Request::Status, stranger).await,
            Answer::Status(_)
        ));
        for request in [
            Request::Logs {
                lines: 1,
                service: None,
            },
            Request::Restart {
                service: "one".to_owned(),
            },
            Request::Press { hold_ms: 1 },
            Request::Unlock { number: 34 },
            Request::Diagnose,
            Request::ConfirmTime,
            Request::Reboot,
            Request::PowerOff,
            Request::Backup {
                passphrase: passphrase(),
            },
            Request::Restore {
                passphrase: passphrase(),
                sealed: String::new(),
                identity_only: true,
            },
        ] {
            assert!(matches!(desk.answer(request, stranger).await, Answer::Refused(why) if why.contains("only root")));
        }
        assert!(inbox.try_recv().is_err());
    }
}
