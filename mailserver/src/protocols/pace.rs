//! How long the other end of a stream is waited for.

use std::time::Duration;

/// How long a stream may wait for its first byte: js-waku opens one for each protocol in advance and keeps it.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// From the first byte of a request to its last; a large one may take longer by [`BYTES_A_SECOND`].
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// A reader slower than this for one answer is dropped; a large answer may take longer by [`BYTES_A_SECOND`].
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// What is slower is not waited for, beyond the timeouts: 512 kbit/s, a phone at the edge of its cell.
pub(super) const BYTES_A_SECOND: u64 = 64 << 10;
