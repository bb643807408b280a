//! One request to the daemon, and its answer.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use crate::control::{Answer, Request};

/// On a box, and on a developer's machine in the checkout.
const USUAL_SOCKETS: [&str; 2] = ["/run/pillarbox/control", "target/pillarbox/control"];
/// A held button takes this long at most.
const TIMEOUT: Duration = Duration::from_secs(45);

pub(super) fn ask(socket: Option<&Path>, request: &Request) -> anyhow::Result<Answer> {
    let path = find(socket);
    let mut stream = UnixStream::connect(&path).with_context(|| {
        format!(
            "pillarboxd is not responding on {}; is it running? (--socket names a different one)",
            path.display()
        )
    })?;
    stream
        .set_read_timeout(Some(TIMEOUT))
        .context("cannot set a time limit")?;
    let mut line = serde_json::to_string(request).context("cannot write the request")?;
    line.push('\n');
    stream.write_all(line.as_bytes()).context("cannot send the request")?;
    let mut answer = String::new();
    BufReader::new(stream)
        .read_line(&mut answer)
        .context("the daemon did not respond")?;
    serde_json::from_str(&answer).context("the daemon's answer cannot be understood; is it a different version?")
}

fn find(socket: Option<&Path>) -> PathBuf {
    let named = socket
        .map(Path::to_owned)
        .or_else(|| std::env::var_os("PILLARBOX_SOCKET").map(PathBuf::from));
    named.unwrap_or_else(|| {
        let usual = USUAL_SOCKETS.map(PathBuf::from);
        usual.iter().find(|path| path.exists()).unwrap_or(&usual[0]).clone()
    })
}
