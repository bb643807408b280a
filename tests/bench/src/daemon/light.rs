//! The LED as somebody in the room sees it, by the file that stands for it, looked at a thousand times a second.

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

/// The pattern `ok`, in milliseconds (daemon, `indicator/pattern.rs`).
const LIT_MS: f64 = 1850.0;
const DARK_MS: f64 = 150.0;
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Changes of the light: when, and to what.
pub(crate) type Edges = Vec<(Instant, bool)>;

pub(crate) fn watch(led: &Path, span: Duration) -> anyhow::Result<Edges> {
    let file = std::fs::File::open(led).with_context(|| format!("opening {}", led.display()))?;
    let begun = Instant::now();
    let (mut edges, mut before) = (Edges::new(), None);
    while begun.elapsed() < span {
        let mut byte = [0];
        file.read_exact_at(&mut byte, 0)?;
        let lit = byte[0] == b'1';
        if before.replace(lit).is_some_and(|before| before != lit) {
            edges.push((Instant::now(), lit));
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(edges)
}

/// By how much the worst stretch of light or darkness was too long or too short.
pub(crate) fn largest_error_ms(edges: &anyhow::Result<Edges>) -> anyhow::Result<f64> {
    let edges = edges.as_ref().map_err(|error| anyhow::anyhow!("{error:#}"))?;
    ensure!(edges.len() > 4, "the light changed {} times only", edges.len());
    let errors = edges.windows(2).map(|pair| {
        let lasted_ms = pair[1].0.duration_since(pair[0].0).as_secs_f64() * 1e3;
        (lasted_ms - if pair[0].1 { LIT_MS } else { DARK_MS }).abs()
    });
    Ok(errors.fold(0.0, f64::max))
}
