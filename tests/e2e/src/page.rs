//! The page as a browser on the LAN gets it.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;

use crate::lan::BOX;

const PORT: u16 = 80;
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
const MAX_ANSWER_BYTES: u64 = 1 << 20;

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

pub(crate) fn get(path: &str) -> Result<Answer> {
    let address = SocketAddr::from((IpAddr::V4(BOX), PORT));
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_LIMIT).context("cannot connect to the page")?;
    stream
        .set_read_timeout(Some(ANSWER_LIMIT))
        .context("cannot set a timeout")?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {BOX}\r\nConnection: close\r\n\r\n"
    )
    .context("cannot ask")?;
    let mut bytes = Vec::new();
    stream
        .take(MAX_ANSWER_BYTES)
        .read_to_end(&mut bytes)
        .context("no answer")?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text
        .split_once("\r\n\r\n")
        .ok_or_else(|| anyhow!("the answer has no head"))?;
    let status = head
        .split_whitespace()
        .nth(1)
        .and_then(|status| status.parse().ok())
        .ok_or_else(|| anyhow!("the answer starts with {:?}", head.lines().next()))?;
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    ensure!(!chunked, "the page answers {path} in chunks");
    Ok(Answer {
        status,
        body: body.to_owned(),
    })
}

pub(crate) fn status() -> Result<Value> {
    let answer = get("/status.json")?;
    ensure!(answer.status == 200, "/status.json answers {}", answer.status);
    serde_json::from_str(&answer.body).context("/status.json is not JSON")
}
