//! Sessions of reconciliation 1.0.0 over their streams, and the sending that goes with them.

use std::time::Duration;

use archive::MessageHash;
use futures::AsyncWriteExt;
use libp2p::{PeerId, Stream};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::metrics::{RECEIVED, SENT};
use super::partners::Side;
use super::ranges::{MAX_PAYLOAD_BYTES, Malformed, Payload};
use super::reconcile::{Answer, Session};
use super::server::{LIMITS, Server};
use super::wire::RECONCILIATION;
use crate::labels::count;
use crate::protocols::pace::{READ_TIMEOUT, WRITE_TIMEOUT};
use crate::swarm::RequestError;
use crate::wire::framing::{FrameError, read_frame, write_frame};

const PROTOCOL: &str = "reconciliation";
/// From the first payload to the last; sending what was found may take longer.
const SESSION_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a session that a peer started waits for a place, and any for envelopes on their way.
const PATIENCE: Duration = Duration::from_secs(3);

/// Why a session did not come to its end.
#[derive(Debug, Error)]
pub(crate) enum SessionError {
    #[error(transparent)]
    Open(#[from] RequestError),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("malformed payload: {0}")]
    Malformed(#[from] Malformed),
    #[error("a session with this peer is running")]
    Busy,
    #[error("the range is empty: the archive keeps less than the relay jitter")]
    NothingToCompare,
    #[error("the node is stopping")]
    Stopping,
}

/// What a session came to.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) rounds: u32,
    pub(crate) differences: usize,
    pub(crate) sent: u64,
    pub(crate) cut_short: bool,
}

impl Server {
    /// Compares with a connected peer, and sends it what it lacks.
    pub(crate) async fn synchronize(&self, peer: PeerId) -> Result<Report, SessionError> {
        self.wait_for_envelopes(peer).await;
        let _running = self.0.partners.begin(peer, Side::Starts).ok_or(SessionError::Busy)?;
        let (session, end) = self.opening();
        let ids = self.ids().clone();
        let floor = self.floor();
        let (session, opening) = blocking(move || {
            let mut set = ids.set();
            set.forget_before(floor);
            let opening = session.open(&set, end);
            (session, opening)
        })
        .await?;
        let opening = opening.ok_or(SessionError::NothingToCompare)?;
        let stream = self.0.swarm.open(peer, RECONCILIATION).await?;
        self.run(peer, stream, session, Some(opening)).await
    }

    /// Answers a session that a peer started.
    pub(super) async fn serve_reconciliation(self, peer: PeerId, stream: Stream) -> Result<(), FrameError> {
        self.wait_for_envelopes(peer).await;
        let place = self.0.sessions.enter(peer, PATIENCE).await;
        let running = self.0.partners.begin(peer, Side::Answers);
        if !self.is_ready() || place.is_none() || running.is_none() {
            self.ended("refused");
            return Ok(());
        }
        let session = Session::new(self.floor(), LIMITS);
        match self.run(peer, stream, session, None).await {
            Ok(report) => {
                tracing::debug!(%peer, ?report, "store sync answered");
                Ok(())
            }
            // The other side thought better of it.
            Err(SessionError::Frame(FrameError::Eof)) => Ok(()),
            Err(SessionError::Frame(error)) => Err(error),
            Err(error @ SessionError::Malformed(_)) => {
                tracing::debug!(%peer, %error, "store sync");
                Err(FrameError::Length)
            }
            Err(_) => Ok(()),
        }
    }

    /// What the session before brought is taken in first, or it would be found lacking again. A while: nwaku keeps its
    /// transfer stream open when it has sent everything.
    async fn wait_for_envelopes(&self, peer: PeerId) {
        drop(self.0.transfers.enter(peer, PATIENCE).await);
    }

    /// Compares and sends at the same time.
    async fn run(
        &self,
        peer: PeerId,
        stream: Stream,
        session: Session,
        opening: Option<Payload>,
    ) -> Result<Report, SessionError> {
        // One list a round, so there is always a place.
        let (found, to_send) = mpsc::channel(LIMITS.rounds as usize + 1);
        let compared = async {
            let compared = self.compare(stream, session, opening, found);
            timeout(SESSION_TIMEOUT, compared)
                .await
                .unwrap_or(Err(SessionError::Frame(FrameError::timed_out())))
        };
        let (compared, sent) = tokio::join!(compared, self.send(peer, to_send));
        self.metrics()
            .ids
            .set(i64::try_from(self.ids().set().len()).unwrap_or(i64::MAX));
        let session = compared.inspect_err(|error| match error {
            SessionError::Frame(FrameError::Eof) => self.ended("refused"),
            _ => self.ended("failed"),
        })?;
        self.ended(if session.is_cut_short() { "cut_short" } else { "done" });
        let metrics = self.metrics();
        metrics.rounds.observe(f64::from(session.rounds()));
        metrics.differences.observe(session.differences() as f64);
        Ok(Report {
            rounds: session.rounds(),
            differences: session.differences(),
            sent,
            cut_short: session.is_cut_short(),
        })
    }

    /// The payloads of one session; `found` gets what is to be sent.
    async fn compare(
        &self,
        mut stream: Stream,
        mut session: Session,
        opening: Option<Payload>,
        found: mpsc::Sender<Vec<MessageHash>>,
    ) -> Result<Session, SessionError> {
        if let Some(opening) = opening {
            self.write(&mut stream, &opening).await?;
        }
        loop {
            let read = timeout(READ_TIMEOUT, read_frame(&mut stream, MAX_PAYLOAD_BYTES)).await;
            let bytes = read.map_err(|_| FrameError::timed_out())??;
            self.metrics().traffic(PROTOCOL, RECEIVED, bytes.len());
            let ids = self.ids().clone();
            let answer: Answer;
            (session, answer) = blocking(move || {
                let payload = Payload::decode(&bytes)?;
                let answer = session.answer(&ids.set(), &payload);
                Ok::<_, Malformed>((session, answer))
            })
            .await??;
            if !answer.hand_over.is_empty() && found.try_send(answer.hand_over).is_err() {
                // The sending side has given up: there is no sense in finding more.
                return Ok(session);
            }
            if let Some(payload) = answer.payload {
                self.write(&mut stream, &payload).await?;
            }
            if answer.last {
                let _ = stream.close().await;
                return Ok(session);
            }
        }
    }

    async fn write(&self, stream: &mut Stream, payload: &Payload) -> Result<(), FrameError> {
        let bytes = payload.encode();
        self.metrics().traffic(PROTOCOL, SENT, bytes.len());
        let written = timeout(WRITE_TIMEOUT, write_frame(stream, &bytes)).await;
        written.map_err(|_| FrameError::timed_out())?
    }

    fn ended(&self, how: &'static str) {
        count(&self.metrics().sessions, how);
    }
}

/// Comparing a whole set takes milliseconds.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, SessionError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| SessionError::Stopping)
}
