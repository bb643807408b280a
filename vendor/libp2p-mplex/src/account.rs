//! What a connection's streams hold until they are read, told to whoever bounds it.

use std::{fmt, sync::Arc};

use bytes::Bytes;

/// What a frame costs beside its data: its entry in a queue that has grown
/// to twice what is in it, and the data's own allocation.
pub(crate) const FRAME_OVERHEAD: usize = 128;

/// Bounds what one connection holds, in bytes.
///
/// What is read from the connection counts as held before the multiplexer
/// has it: the connection itself calls [`Account::hold`] for each byte that
/// it hands over. The multiplexer releases what it takes out of these bytes,
/// and holds and releases the data of frames.
pub trait Account: fmt::Debug + Send + Sync {
    /// So many bytes more are held.
    fn hold(&self, bytes: usize);
    /// So many bytes less are held.
    fn release(&self, bytes: usize);
}

/// Data of a frame, which counts as held for as long as any of it is there.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) data: Bytes,
    counted: Option<(Arc<dyn Account>, usize)>,
}

impl Held {
    pub(crate) fn new(data: Bytes, account: Option<&Arc<dyn Account>>) -> Self {
        let bytes = data.len() + FRAME_OVERHEAD;
        let counted = account.map(|account| {
            account.hold(bytes);
            (account.clone(), bytes)
        });
        Self { data, counted }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some((account, bytes)) = self.counted.take() {
            account.release(bytes);
        }
    }
}

impl PartialEq<Bytes> for Held {
    fn eq(&self, other: &Bytes) -> bool {
        self.data == *other
    }
}
