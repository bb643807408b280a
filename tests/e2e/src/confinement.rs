//! Who gets in, and what those who are in may do: seen from the LAN, from beyond it, and from inside.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::lan::{self, BOX, COMPUTER};
use crate::page;
use crate::shell::Shell;

/// An answer takes milliseconds; a port behind the firewall gives none.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
const PAGE: u16 = 80;
const SSH: u16 = 22;
/// The mailserver's (`daemon/services/mailserver.toml`), for peers anywhere.
const PEERS: [u16; 2] = [60000, 8000];
/// Its REST interface, on loopback.
const REST: u16 = 8645;
/// Where UPnP's answers come from.
const SSDP: u16 = 1900;

/// What becomes of a first packet to the box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Open,
    /// Let in, but nobody is there.
    Refused,
    /// Not let in.
    Dropped,
}

fn tcp(port: u16) -> Result<Door> {
    let address = SocketAddr::from((IpAddr::V4(BOX), port));
    match TcpStream::connect_timeout(&address, ANSWER_LIMIT) {
        Ok(_) => Ok(Door::Open),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(Door::Refused),
        Err(error) if error.kind() == ErrorKind::TimedOut => Ok(Door::Dropped),
        Err(error) => Err(anyhow!("connecting to port {port}: {error}")),
    }
}

/// To a port where nobody listens: the box says so if it lets the packet in.
fn udp(from_port: u16) -> Result<Door> {
    let socket = UdpSocket::bind((COMPUTER, from_port)).context("cannot open a UDP port")?;
    socket.connect((BOX, 54321)).context("cannot address the box")?;
    socket
        .set_read_timeout(Some(ANSWER_LIMIT))
        .context("cannot set a timeout")?;
    socket.send(b"HTTP/1.1 200 OK\r\n\r\n").context("cannot send")?;
    match socket.recv(&mut [0; 16]) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(Door::Refused),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(Door::Dropped),
        other => bail!("port {from_port}: {other:?}"),
    }
}

fn doors(wanted: &[(u16, Door)]) -> Result<()> {
    for (port, door) in wanted {
        let found = tcp(*port)?;
        ensure!(found == *door, "port {port} is {found:?}, not {door:?}");
    }
    Ok(())
}

/// Before there was a key.
pub(crate) fn no_ssh() -> Result<()> {
    doors(&[(SSH, Door::Refused)])
}

pub(crate) fn no_way_in(shell: &Shell) -> Result<()> {
    let passwords = shell.run("cut -d : -f 2 /etc/shadow | sort -u")?;
    ensure!(passwords == "!*", "the passwords are {passwords:?}");
    let refusal = shell.without_key()?;
    ensure!(refusal.contains("(publickey)"), "without a key: {refusal}");
    let root = shell.run("findmnt --noheadings --output OPTIONS / | tr , '\\n' | grep -x ro")?;
    ensure!(root == "ro", "the root can be written to");
    Ok(())
}

pub(crate) fn firewall(shell: &Shell) -> Result<()> {
    let everybody = PEERS.map(|port| (port, Door::Open));
    doors(&everybody)?;
    doors(&[
        (PAGE, Door::Open),
        (SSH, Door::Open),
        (REST, Door::Dropped),
        (5355, Door::Dropped),
    ])?;
    ensure!(
        udp(SSDP)? == Door::Refused,
        "a router's answer to a search for UPnP is not let in"
    );
    ensure!(udp(SSDP + 1)? == Door::Dropped, "any UDP packet is let in");
    // As somebody beyond the router, which hands the packets on.
    lan::from_beyond(|| {
        doors(&everybody)?;
        doors(&[(PAGE, Door::Dropped), (SSH, Door::Dropped)])
    })?;
    // Nothing listens beside what is expected. The kernel's lists have addresses and ports in hexadecimal.
    let listening = shell.run("ss --no-header --listening --tcp --numeric | awk '{print $4}'")?;
    let mut beyond_loopback: Vec<u16> = listening
        .lines()
        .filter(|address| !address.starts_with("127.") && !address.starts_with("[::1]"))
        .filter_map(|address| address.rsplit(':').next()?.parse().ok())
        .collect();
    beyond_loopback.sort_unstable();
    beyond_loopback.dedup();
    ensure!(
        beyond_loopback
            .iter()
            .all(|port| [SSH, PAGE].contains(port) || PEERS.contains(port)),
        "ports that listen: {beyond_loopback:?}"
    );
    Ok(())
}

/// What the kernel says of a process, by the names in `/proc/PID/status`.
fn process(shell: &Shell, pid: u64) -> Result<BTreeMap<String, String>> {
    let text = shell.run(&format!("cat /proc/{pid}/status"))?;
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    Ok(pairs
        .map(|(name, value)| (name.to_owned(), value.split_whitespace().collect::<Vec<_>>().join(" ")))
        .collect())
}

fn is(process: &BTreeMap<String, String>, name: &str, wanted: &str) -> Result<()> {
    let value = process.get(name).map_or("", String::as_str);
    ensure!(value == wanted, "{name} of the {} is {value:?}", process["Name"]);
    Ok(())
}

const NO_CAPABILITY: &str = "0000000000000000";

/// The services' own accounts, without capabilities, filtered and limited; the daemon itself as its unit says.
pub(crate) fn services(shell: &Shell) -> Result<()> {
    let status = page::status()?;
    let pid = status["services"][0]["pid"]
        .as_u64()
        .context("the mailserver does not run")?;
    let mailserver = process(shell, pid)?;
    let account = shell.run("id -u pillarbox-mailserver")?;
    is(&mailserver, "Uid", &[account.as_str(); 4].join(" "))?;
    is(&mailserver, "NoNewPrivs", "1")?;
    is(&mailserver, "Seccomp", "2")?;
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        is(&mailserver, set, NO_CAPABILITY)?;
    }
    let group = shell.run(&format!("cut -d : -f 3 /proc/{pid}/cgroup"))?;
    let limit = shell.run(&format!("cat /sys/fs/cgroup{group}/memory.max"))?;
    ensure!(
        limit == (256 << 20).to_string(),
        "{group} may use {limit} bytes of memory"
    );

    let pid = shell.run("systemctl show --property=MainPID --value pillarboxd")?;
    let daemon = process(shell, pid.parse().context("the daemon has no process")?)?;
    is(&daemon, "NoNewPrivs", "1")?;
    is(&daemon, "Seccomp", "2")
}

/// A second daemon with a service of its own, which runs as root and tries to write where it may not.
pub(crate) fn landlock(shell: &Shell) -> Result<()> {
    let said = shell.run(
        r#"mkdir -p /run/probe/services && cd /run/probe
        cat > daemon.toml << 'END'
board = "dev"
state_dir = "state"
services_dir = "services"
clock = "trusted"
[page]
listen = "127.0.0.1:8081"
[health]
expects = "nothing"
END
        cat > services/probe.toml << 'END'
program = "/bin/sh"
arguments = ["-c", "cd $HOME; exec 2> errors; echo x > own; echo x > /data/probe; rm /run/probe/kept; echo done > done; exec sleep 1000"]
[sandbox]
write = ["{service_dir}"]
END
        touch kept
        pillarboxd --config daemon.toml 2> log & daemon=$!
        tries=0
        until [ -e state/probe/done ] || [ $tries -ge 300 ]; do sleep 0.2; tries=$((tries + 1)); done
        kill $daemon; wait $daemon
        cat state/probe/errors || cat log
        [ ! -e /data/probe ] && [ -e kept ] && [ -e state/probe/own ]"#,
    )?;
    ensure!(said.matches("denied").count() == 2, "the service's errors: {said}");
    shell.run("rm -r /run/probe")?;
    Ok(())
}
