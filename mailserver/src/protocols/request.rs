//! Who opened a stream, and its request, read within what strangers may make this node hold.
//!
//! Memory is set aside as bytes come, not by the length that is announced, and counted for the caller's address until the
//! request is done with. A request that stalls gives way to one that gets on.

use std::time::Duration;

use futures::AsyncReadExt;
use libp2p::{PeerId, Stream};
use tokio::time::timeout;

use super::pace::{BYTES_A_SECOND, IDLE_TIMEOUT, READ_TIMEOUT};
use crate::activity::{Activity, Work};
use crate::budget::{Budget, GaveWay, Limits, Share};
use crate::host::Host;
use crate::wire::framing::{FrameError, read_length};

/// Requests that are being read or are in work, all together. An envelope of the Status network is 1 MiB at most, and its
/// light push 64 KiB more: eight clients behind one address (a carrier's NAT) have room at the same time, each with the
/// largest.
const REQUESTS: Limits = Limits {
    total: 20 << 20,
    per_host: 10 << 20,
    // A stream that waits holds what it has received: the stalest ends at once.
    grace: Duration::ZERO,
};
/// Answers of store that are being made or written. One is a page, 4 MiB at most. A client that takes 64 KiB in two seconds
/// keeps its answer, whatever others behind the same address ask for: they wait.
const ANSWERS: Limits = Limits {
    total: 32 << 20,
    per_host: 16 << 20,
    grace: Duration::from_secs(2),
};
/// Set aside when a request begins; then twice as much each time.
const FIRST_BYTES: usize = 4096;

/// What all callers together may make this node hold.
#[derive(Clone, Debug)]
pub(crate) struct Budgets {
    requests: Budget,
    answers: Budget,
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            requests: Budget::new(REQUESTS),
            answers: Budget::new(ANSWERS),
        }
    }
}

/// Who opened a stream.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) peer: PeerId,
    pub(crate) host: Host,
    budgets: Budgets,
    activity: Activity,
}

impl Caller {
    pub(super) fn new(peer: PeerId, host: Host, budgets: &Budgets, activity: &Activity) -> Self {
        Self {
            peer,
            host,
            budgets: budgets.clone(),
            activity: activity.clone(),
        }
    }

    /// For an answer to this caller; of nothing yet.
    pub(super) fn answer_share(&self) -> Share {
        self.budgets.answers.share(self.host)
    }
}

/// A request; while it lives the node waits for its answer before it ends.
pub(crate) struct Request {
    bytes: Vec<u8>,
    share: Option<Share>,
    _work: Work,
}

impl Request {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes, to be decoded; what is decoded goes on counting until [`Request::done`].
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// Nothing of it is held any more; only its answer is to be written.
    pub(crate) fn done(&mut self) {
        self.bytes = Vec::new();
        self.share = None;
    }
}

impl From<GaveWay> for FrameError {
    fn from(GaveWay: GaveWay) -> Self {
        Self::GaveWay
    }
}

/// Reads one request. `None` when the peer closed without asking or never asked.
pub(crate) async fn read_request(
    stream: &mut Stream,
    caller: &Caller,
    max_bytes: usize,
) -> Result<Option<Request>, FrameError> {
    let length = match timeout(IDLE_TIMEOUT, read_length(stream, max_bytes)).await {
        Ok(Ok(length)) => length,
        Ok(Err(FrameError::Eof)) | Err(_) => return Ok(None),
        Ok(Err(error)) => return Err(error),
    };
    let share = caller.budgets.requests.share(caller.host);
    let deadline = READ_TIMEOUT + Duration::from_secs(length as u64 / BYTES_A_SECOND);
    let bytes = tokio::select! {
        read = timeout(deadline, read_within(&share, stream, length)) => read.map_err(|_| FrameError::timed_out())??,
        () = share.left() => return Err(FrameError::GaveWay),
    };
    share.stays(true);
    Ok(Some(Request {
        bytes,
        share: Some(share),
        _work: caller.activity.begin(),
    }))
}

async fn read_within(share: &Share, stream: &mut Stream, length: usize) -> Result<Vec<u8>, FrameError> {
    let mut body = Vec::new();
    let mut got = 0;
    while got < length {
        if got == body.len() {
            let room = (2 * got).max(FIRST_BYTES).min(length);
            share.hold(room).await?;
            body.reserve_exact(room - got);
            body.resize(room, 0);
        }
        match stream.read(&mut body[got..]).await? {
            0 => return Err(FrameError::Truncated { got, length }),
            read => got += read,
        }
    }
    Ok(body)
}
