//! What connections hold for streams that nobody reads yet, in bytes: so much for each, and so much for all.
//!
//! A muxer's bytes pass through a [`Inlet`]. They are held from there until whoever reads a stream has taken them, or the
//! stream is dropped. Where a connection has no room left its inlet reads nothing more, which the other side feels as a full
//! socket; if nobody takes anything for [`PATIENCE`], the connection ends. Every connection may hold [`SHARE_BYTES`]
//! whatever the others hold, so that a full house locks nobody out.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use futures::io::{AsyncRead, AsyncWrite};
use tokio::time::{Sleep, sleep};

/// For one connection: the largest envelope that the network has (1 MiB) for each of a few readers at once.
pub(super) const CONNECTION_BYTES: usize = 4 << 20;
/// For all together, of the service's 256 MiB.
pub(super) const TOTAL_BYTES: usize = 32 << 20;
/// For one connection whatever the others hold: a frame that is as long as yamux's window (256 KiB), or one would never
/// come whole when the house is full.
const SHARE_BYTES: usize = 288 << 10;
/// How long a connection without room may stand still: as long as a set-up may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// What a frame costs beside its bytes: its entry in a queue that has grown to twice what is in it, and the allocation.
pub(super) const FRAME_BYTES: usize = 128;

/// What all connections hold.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    books: Arc<Mutex<Books>>,
    patience: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Self::with_patience(PATIENCE)
    }
}

#[derive(Debug, Default)]
struct Books {
    held: usize,
    /// Connections that wait for room in what is for all.
    waiting: HashMap<u64, Waker>,
    accounts: u64,
}

impl Budget {
    fn with_patience(patience: Duration) -> Self {
        Self {
            books: Arc::default(),
            patience,
        }
    }

    pub(super) fn account(&self) -> Account {
        let mut books = lock(&self.books);
        books.accounts += 1;
        Account(Arc::new(Inner {
            id: books.accounts,
            budget: self.clone(),
            state: Mutex::default(),
        }))
    }

    fn hold(&self, bytes: usize) {
        lock(&self.books).held += bytes;
    }

    fn release(&self, bytes: usize) {
        let mut books = lock(&self.books);
        books.held -= bytes;
        if books.held < TOTAL_BYTES && !books.waiting.is_empty() {
            let waiting = std::mem::take(&mut books.waiting);
            drop(books);
            waiting.into_values().for_each(Waker::wake);
        }
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        lock(&self.books).held
    }
}

/// What one connection holds. It ends with its last clone.
#[derive(Clone, Debug)]
pub(super) struct Account(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: u64,
    budget: Budget,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    held: usize,
    /// The inlet waits for room.
    waiting: Option<Waker>,
    /// When a connection without room is given up.
    limit: Option<Pin<Box<Sleep>>>,
}

impl Account {
    pub(super) fn hold(&self, bytes: usize) {
        lock(&self.0.state).held += bytes;
        self.0.budget.hold(bytes);
    }

    pub(super) fn release(&self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        let mut state = lock(&self.0.state);
        state.held -= bytes;
        let waiting = state.waiting.take();
        drop(state);
        self.0.budget.release(bytes);
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }

    /// How many bytes may come in now. An error ends the connection.
    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut state = lock(&self.0.state);
        let mut books = lock(&self.0.budget.books);
        let shared = TOTAL_BYTES.saturating_sub(books.held);
        let own = SHARE_BYTES.saturating_sub(state.held);
        let room = shared.max(own).min(CONNECTION_BYTES.saturating_sub(state.held));
        if room > 0 {
            state.limit = None;
            return Poll::Ready(Ok(room));
        }
        books.waiting.insert(self.0.id, cx.waker().clone());
        drop(books);
        state.waiting = Some(cx.waker().clone());
        let held = state.held;
        let patience = self.0.budget.patience;
        let limit = state.limit.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(limit.as_mut().poll(cx));
        let error = format!("{held} bytes came in that nobody read for {} s", patience.as_secs());
        Poll::Ready(Err(io::Error::new(io::ErrorKind::OutOfMemory, error)))
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        lock(&self.0.state).held
    }
}

impl libp2p_mplex::Account for Account {
    fn hold(&self, bytes: usize) {
        Account::hold(self, bytes);
    }

    fn release(&self, bytes: usize) {
        Account::release(self, bytes);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let held = lock(&self.state).held;
        lock(&self.budget.books).waiting.remove(&self.id);
        self.budget.release(held);
    }
}

/// What is behind the lock is numbers and wakers: sound whatever happened to who held it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Is told of the bytes that come in.
pub(super) trait Watch {
    fn came(&mut self, account: &Account, bytes: &[u8]) -> io::Result<()>;

    /// Something was written, or could not be since the connection is full.
    fn wrote(&mut self, _full: bool) {}
}

/// Between a muxer and its connection: reads as much as there is room for.
#[derive(Debug)]
pub(super) struct Inlet<C, W> {
    connection: C,
    account: Account,
    watch: W,
}

impl<C, W> Inlet<C, W> {
    pub(super) fn new(connection: C, account: Account, watch: W) -> Self {
        Self {
            connection,
            account,
            watch,
        }
    }
}

impl<C: AsyncRead + Unpin, W: Watch + Unpin> AsyncRead for Inlet<C, W> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let room = ready!(this.account.poll_room(cx))?;
        let most = buffer.len().min(room);
        let read = ready!(Pin::new(&mut this.connection).poll_read(cx, &mut buffer[..most]))?;
        this.watch.came(&this.account, &buffer[..read])?;
        Poll::Ready(Ok(read))
    }
}

impl<C: AsyncWrite + Unpin, W: Watch + Unpin> AsyncWrite for Inlet<C, W> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.connection).poll_write(cx, bytes);
        self.watch.wrote(written.is_pending());
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_close(cx)
    }
}

/// For mplex, which itself tells what it has taken out of the bytes and given away: all that comes is held.
#[derive(Debug)]
pub(super) struct All;

impl Watch for All {
    fn came(&mut self, account: &Account, bytes: &[u8]) -> io::Result<()> {
        account.hold(bytes.len());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures::task::noop_waker_ref;

    use super::*;

    fn room(account: &Account) -> Poll<io::Result<usize>> {
        account.poll_room(&mut Context::from_waker(noop_waker_ref()))
    }

    #[tokio::test]
    async fn a_connection_has_room_again_when_something_is_taken() {
        let account = Budget::default().account();
        account.hold(CONNECTION_BYTES - 10);
        assert!(matches!(room(&account), Poll::Ready(Ok(10))));
        account.hold(10);
        assert!(room(&account).is_pending());
        account.release(1);
        assert!(matches!(room(&account), Poll::Ready(Ok(1))));
    }

    #[tokio::test]
    async fn a_connection_that_stays_without_room_ends() {
        let account = Budget::with_patience(Duration::from_millis(1)).account();
        account.hold(CONNECTION_BYTES);
        let ended = std::future::poll_fn(|cx| account.poll_room(cx)).await;
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::OutOfMemory);
    }

    #[tokio::test]
    async fn a_full_house_leaves_everybody_a_share_and_wakes_who_waits() {
        let budget = Budget::default();
        let full: Vec<Account> = (0..TOTAL_BYTES / CONNECTION_BYTES).map(|_| budget.account()).collect();
        full.iter().for_each(|account| account.hold(CONNECTION_BYTES));
        let newcomer = budget.account();
        assert!(matches!(room(&newcomer), Poll::Ready(Ok(SHARE_BYTES))));
        newcomer.hold(SHARE_BYTES);

        let (sender, woken) = tokio::sync::oneshot::channel();
        let waits = newcomer.clone();
        tokio::spawn(async move {
            let room = std::future::poll_fn(|cx| waits.poll_room(cx)).await;
            let _ = sender.send(room);
        });
        tokio::task::yield_now().await;
        drop(full);
        assert_eq!(woken.await.unwrap().unwrap(), CONNECTION_BYTES - SHARE_BYTES);
        assert_eq!(budget.held(), SHARE_BYTES);
        drop(newcomer);
        assert_eq!(budget.held(), 0);
    }
}
