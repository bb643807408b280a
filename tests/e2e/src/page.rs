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
    head: String,
    pub(crate) body: String,
}

pub(crate) fn get(path: &str) -> Result<Answer> {
    send(&format!(
        "GET {path} HTTP/1.1\r\nHost: {BOX}\r\nConnection: close\r\n\r\n"
    ))
}

/// A browser that asked to be let in.
pub(crate) struct Browser {
    cookie: String,
}

impl Browser {
    /// Presses the page's button to ask.
    pub(crate) fn ask() -> Result<Browser> {
        let answer = send(&format!(
            "POST /ask HTTP/1.1\r\nHost: {BOX}\r\nOrigin: http://{BOX}\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 0\r\n\r\n"
        ))?;
        ensure!(
            answer.status == 303,
            "asking to be let in is answered {}",
            answer.status
        );
        let cookie = answer
            .head
            .lines()
            .find_map(|line| {
                line.split_once(':')
                    .filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"))
            })
            .and_then(|(_, value)| value.split(';').next())
            .context("the browser gets no cookie")?;
        Ok(Browser {
            cookie: cookie.trim().to_owned(),
        })
    }

    /// Whether its page has the forms that change something.
    pub(crate) fn is_let_in(&self) -> Result<bool> {
        let answer = send(&format!(
            "GET / HTTP/1.1\r\nHost: {BOX}\r\nCookie: {}\r\nConnection: close\r\n\r\n",
            self.cookie
        ))?;
        ensure!(answer.status == 200, "the page answers {}", answer.status);
        Ok(answer.body.contains("name=\"csrf\""))
    }
}

fn send(request: &str) -> Result<Answer> {
    let address = SocketAddr::from((IpAddr::V4(BOX), PORT));
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_LIMIT).context("cannot connect to the page")?;
    stream
        .set_read_timeout(Some(ANSWER_LIMIT))
        .context("cannot set a timeout")?;
    stream.write_all(request.as_bytes()).context("cannot ask")?;
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
    ensure!(!chunked, "the page answers in chunks");
    Ok(Answer {
        status,
        head: head.to_owned(),
        body: body.to_owned(),
    })
}

pub(crate) fn status() -> Result<Value> {
    let answer = get("/status.json")?;
    ensure!(answer.status == 200, "/status.json answers {}", answer.status);
    serde_json::from_str(&answer.body).context("/status.json is not JSON")
}
