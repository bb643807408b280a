//! A home network for the emulated board: a cable (tap device), a router that gives addresses (dnsmasq), knows two time
//! servers and answers every other question for a name with "no such name", and nothing behind it. All of it lies in a
//! network namespace of this process's own, so the machine that
//! tests is not touched.

use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::time_server;

/// The cable's end at the computer.
pub(crate) const CABLE: &str = "lan0";
/// The computer, which is the router as well.
pub(crate) const COMPUTER: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 1);
/// A second time server: an image that is older than a day has its box ask for two.
const OTHER_CLOCK: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 2);
/// What the router gives to the box.
pub(crate) const BOX: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 10);
/// The box's network card (52:54:00 is QEMU's).
pub(crate) const BOX_MAC: &str = "52:54:00:70:62:10";
const NETMASK: &str = "255.255.255.0";

/// What the router was asked, by DHCP and for names.
const ROUTER_LOG: &str = "router.log";

/// Starts this program again in a network namespace of its own, unless it is in one that has no network yet.
pub(crate) fn enter() -> Result<()> {
    let table = std::fs::read_to_string("/proc/self/net/dev").context("cannot read the list of network interfaces")?;
    if interfaces(&table).all(|name| name == "lo") {
        return Ok(());
    }
    let program = std::env::current_exe().context("cannot tell this program's file")?;
    // Comes back only when it could not.
    let error = Command::new("unshare")
        .arg("--net")
        .arg(program)
        .args(std::env::args_os().skip(1))
        .exec();
    bail!("cannot start unshare (util-linux): {error}");
}

fn interfaces(table: &str) -> impl Iterator<Item = &str> {
    table
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name.trim())
}

/// The network; dropping it ends the router.
pub(crate) struct Lan {
    router: Child,
}

impl Lan {
    pub(crate) fn lay(dir: &Path) -> Result<Lan> {
        ip(&["link", "set", "lo", "up"])?;
        ip(&["tuntap", "add", "mode", "tap", "name", CABLE])?;
        ip(&["address", "add", &format!("{COMPUTER}/24"), "dev", CABLE])?;
        ip(&["link", "set", CABLE, "up"])?;
        // Questions to everybody (mDNS) leave by the cable.
        ip(&["route", "add", "224.0.0.0/4", "dev", CABLE])?;
        ip(&["address", "add", &format!("{OTHER_CLOCK}/24"), "dev", CABLE])?;
        time_server::start(COMPUTER)?;
        time_server::start(OTHER_CLOCK)?;
        let log = std::fs::File::create(dir.join(ROUTER_LOG)).context("cannot write the router's log")?;
        // The kernel ends it with this program, however that ends.
        let router = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "dnsmasq"])
            .args([
                "--keep-in-foreground",
                "--conf-file=/dev/null",
                "--log-facility=-",
                "--log-dhcp",
            ])
            .args(["--user=root", "--group=root", "--pid-file"])
            // Of all names it knows two, which a box asks about a leap of its clock.
            .args(["--no-resolv", "--no-hosts", "--local=/#/", "--log-queries"])
            .arg(format!("--address=/0.debian.pool.ntp.org/{COMPUTER}"))
            .arg(format!("--address=/1.debian.pool.ntp.org/{OTHER_CLOCK}"))
            .args(["--bind-interfaces", &format!("--interface={CABLE}")])
            .arg(format!("--dhcp-range={BOX},{BOX},{NETMASK},1h"))
            .arg(format!("--dhcp-host={BOX_MAC},{BOX}"))
            .arg(format!("--dhcp-option=option:ntp-server,{COMPUTER}"))
            .arg(format!("--dhcp-leasefile={}", dir.join("leases").display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("cannot start dnsmasq; it is in Debian's dnsmasq-base")?;
        Ok(Lan { router })
    }
}

/// Whether the box asked the router whose network was laid in `dir` for a name's texts.
pub(crate) fn asked_for_texts(dir: &Path, name: &str) -> Result<bool> {
    let log = std::fs::read_to_string(dir.join(ROUTER_LOG)).context("cannot read the router's log")?;
    Ok(log.contains(&format!("query[TXT] {name} from {BOX}")))
}

impl Drop for Lan {
    fn drop(&mut self) {
        // It may have ended already; either way it is gone afterwards.
        let _ = self.router.kill();
        let _ = self.router.wait();
    }
}

/// Somebody on the internet (RFC 5737, a block for documentation).
const BEYOND: &str = "203.0.113.5";

/// Does something whose packets to the box come from beyond the LAN: the box answers them by its gateway, which this
/// computer is.
pub(crate) fn from_beyond<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let (address, route) = (format!("{BEYOND}/32"), format!("{BOX}/32"));
    ip(&["address", "add", &address, "dev", "lo"])?;
    ip(&["route", "add", &route, "dev", CABLE, "src", BEYOND])?;
    let done = work();
    ip(&["route", "del", &route, "dev", CABLE])?;
    ip(&["address", "del", &address, "dev", "lo"])?;
    done
}

fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip")
        .args(arguments)
        .output()
        .context("cannot start ip; it is in Debian's iproute2")?;
    ensure!(
        output.status.success(),
        "ip {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_are_told_from_headings() {
        let table = "Inter-|   Receive\n face |bytes    packets\n    lo:       0       0\n  eth0: 12 3\n";
        assert_eq!(interfaces(table).collect::<Vec<_>>(), ["lo", "eth0"]);
    }
}
