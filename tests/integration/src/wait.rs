//! Waiting for a condition with a generous deadline: machines are noisy, so no test measures time.

use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(50);

/// Polls `condition` until it gives a value, and fails naming `what` after `deadline`.
pub async fn until<T, F>(what: &str, deadline: Duration, mut condition: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let started = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(started.elapsed() < deadline, "not within {deadline:?}: {what}");
        tokio::time::sleep(POLL).await;
    }
}
