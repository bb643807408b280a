//! An unmodified js-waku client on the LAN (`envelope.mjs`), which puts an envelope into the box or looks for one.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::lan::BOX;

/// The mailserver's WebSocket port (daemon/services/mailserver.toml).
const PORT: u16 = 8000;

pub(crate) struct Client {
    address: String,
    content_topic: String,
}

impl Client {
    pub(crate) fn of(peer_id: &str) -> Client {
        Client {
            address: format!("/ip4/{BOX}/tcp/{PORT}/ws/p2p/{peer_id}"),
            content_topic: "/pillarbox/1/e2e/proto".to_owned(),
        }
    }

    pub(crate) fn push(&self, payload: &str) -> Result<()> {
        self.node(&["push", payload]).map(|_| ())
    }

    /// The payloads that the box has.
    pub(crate) fn stored(&self) -> Result<Vec<String>> {
        let text = self.node(&["stored"])?;
        let last = text.lines().last().unwrap_or_default();
        serde_json::from_str(last).with_context(|| format!("the client says {text:?}"))
    }

    fn node(&self, arguments: &[&str]) -> Result<String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("envelope.mjs");
        let output = Command::new("node")
            .arg(script)
            .args([&self.address, &self.content_topic])
            .args(arguments)
            .output()
            .context("cannot start node; scripts/test installs it")?;
        ensure!(
            output.status.success(),
            "js-waku, {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
