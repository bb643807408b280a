//! Nodes behind home routers, in network namespaces: what autonat says, circuits, hole punching, and port mapping by a
//! real miniupnpd. Addresses outside are taken from 11.0.0.0/8, which autonat takes for public ones; nothing leaves the
//! namespaces. Needs root, nftables and miniupnpd.

use std::{path::Path, process::Stdio};

use nix::{sys::signal::Signal, unistd::geteuid};
use pillarbox_mailserver::enr;
use pillarbox_mailserver::enr::WakuNode;
use serde_json::Value;

use crate::namespaces::{Namespace, Program};
use crate::partition::{PUBLISH, STORED, envelope};
use crate::support::eventually;

/// A home router's rules: out with its own address, in only what was asked for or mapped. miniupnpd adds its own to the
/// chains named after it.
const RULES: &str = "table inet filter {
  chain input { type filter hook input priority 0; policy drop; iifname { lo, lan } accept; ct state established accept; }
  chain forward {
    type filter hook forward priority 0; policy drop;
    iifname lan accept; ct state established accept; jump miniupnpd;
  }
  chain miniupnpd { }
  chain prerouting { type nat hook prerouting priority -100; jump prerouting_miniupnpd; }
  chain prerouting_miniupnpd { }
  chain postrouting { type nat hook postrouting priority 100; oifname wan masquerade; jump postrouting_miniupnpd; }
  chain postrouting_miniupnpd { }
}
";

/// What stands for the internet: a bridge.
struct Internet {
    space: Namespace,
    test: &'static str,
}

impl Internet {
    fn new(test: &'static str) -> Self {
        let space = Namespace::new(&format!("{test}-net"));
        space.ip("link add internet type bridge");
        space.ip("link set internet up");
        Self { space, test }
    }

    /// A machine with the public address 11.7.7.`host`.
    fn public(&self, name: &str, host: u8) -> Namespace {
        let machine = Namespace::new(&format!("{}-{name}", self.test));
        self.plug(&machine, host);
        machine
    }

    fn plug(&self, machine: &Namespace, host: u8) {
        machine.plug(
            "wan",
            &format!("11.7.7.{host}/24"),
            &self.space,
            &format!("to-{host}"),
            "internet",
        );
    }

    fn home(&self, host: u8) -> Home {
        let router = Namespace::new(&format!("{}-router{host}", self.test));
        let machine = Namespace::new(&format!("{}-home{host}", self.test));
        self.plug(&router, host);
        router.ip("link add lan type bridge");
        router.ip(&format!("addr add 192.168.{host}.1/24 dev lan"));
        router.ip("link set lan up");
        machine.plug("wire", &format!("192.168.{host}.2/24"), &router, "to-home", "lan");
        machine.ip(&format!("route add default via 192.168.{host}.1"));
        router.feed("tee /proc/sys/net/ipv4/ip_forward", "1");
        router.feed("nft -f -", RULES);
        Home { router, machine, host }
    }
}

/// A router with the public address 11.7.7.`host`, and one machine behind it.
struct Home {
    router: Namespace,
    machine: Namespace,
    host: u8,
}

impl Home {
    /// Starts miniupnpd on the router, and waits until it answers.
    async fn map_ports(&self, dir: &Path) -> Program {
        let configuration = dir.join("miniupnpd.conf");
        let text = "ext_ifname=wan\nlistening_ip=lan\nhttp_port=5000\nenable_natpmp=yes\nenable_upnp=yes\nsecure_mode=yes\n\
             min_lifetime=120\nmax_lifetime=86400\nupnp_table_name=filter\nupnp_nat_table_name=filter\n\
             upnp_forward_chain=miniupnpd\nupnp_nat_chain=prerouting_miniupnpd\n\
             upnp_nat_postrouting_chain=postrouting_miniupnpd\nuuid=5ab71e3c-6d7f-4f0a-9a1e-0c5b1d2e3f40\n\
             allow 1024-65535 192.168.0.0/16 1024-65535\ndeny 0-65535 0.0.0.0/0 0-65535\n";
        std::fs::write(&configuration, text).unwrap();
        let flags = format!(
            "-d -4 -f {} -P {}",
            configuration.display(),
            dir.join("miniupnpd.pid").display()
        );
        let program = Program::start(&self.router, "miniupnpd", &flags, Stdio::null());
        let knock = format!("exec 3<>/dev/tcp/192.168.{}.1/5000", self.host);
        let answers = async || {
            let mut command = self.machine.command("bash");
            command.args(["-c", &knock]);
            command.output().unwrap().status.success()
        };
        eventually(answers, |up| *up).await;
        program
    }

    /// Whether the router leads its port to the machine.
    fn leads(&self, port: u16) -> bool {
        let rules = self.router.feed("nft list chain inet filter prerouting_miniupnpd", "");
        rules.contains(&format!("dport {port} dnat ip to 192.168.{}.2:{port}", self.host))
    }
}

async fn info(program: &Program) -> Value {
    let text = eventually(
        || program.ask(8645, "GET", "/debug/v1/info", ""),
        |text| text.contains("enr:"),
    )
    .await;
    serde_json::from_str(&text).unwrap()
}

fn addresses(info: &Value) -> Vec<String> {
    let listed = info["listenAddresses"].as_array().unwrap();
    listed
        .iter()
        .map(|address| address.as_str().unwrap().to_owned())
        .collect()
}

/// The first of its addresses that has `part`, once there is one; and the record names it as well.
async fn address_with(program: &Program, part: &str) -> String {
    let found = |info: &Value| addresses(info).into_iter().find(|address| address.contains(part));
    let recorded = |info: &Value| {
        let record = enr::parse(info["enrUri"].as_str().unwrap()).unwrap();
        let addresses = WakuNode::of(&record).unwrap().addresses;
        addresses.iter().any(|address| address.to_string().contains(part))
    };
    let info = eventually(|| info(program), |info| found(info).is_some() && recorded(info)).await;
    found(&info).unwrap()
}

async fn has_metric(program: &Program, sample: &str) {
    let found = |text: &String| {
        text.lines()
            .any(|line| line.starts_with(sample) && !line.ends_with(" 0.0"))
    };
    eventually(|| program.metrics(), found).await;
}

async fn connects(program: &Program, address: &str) -> bool {
    program
        .ask(8645, "POST", "/admin/v1/peers", &format!("[\"{address}\"]"))
        .await
        == "OK"
}

fn root(what: &str) -> bool {
    let root = geteuid().is_root();
    if !root {
        eprintln!("not root: no network namespaces, no {what}");
    }
    root
}

/// Two homes whose routers let nobody in. Both nodes learn that they are private, wait at circuits of the public ones,
/// and one reaches the other there; then a hole is punched, and the public ones are no longer needed.
#[tokio::test(flavor = "multi_thread")]
async fn two_private_nodes_meet_at_a_circuit_and_punch_a_hole() {
    if !root("homes") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let internet = Internet::new("punch");
    let (first_space, second_space) = (internet.public("first", 10), internet.public("second", 11));
    let (near, far) = (internet.home(1), internet.home(2));
    let flags = "--nat=any --discv5-discovery=false";
    let first = Program::mailserver(&first_space, dir.path(), "first", flags);
    let first_address = address_with_own(&first, "/ip4/11.7.7.10/tcp/60000/p2p/").await;
    let flags = format!("{flags} --staticnode={first_address}");
    let second = Program::mailserver(&second_space, dir.path(), "second", &flags);
    let second_address = address_with_own(&second, "/ip4/11.7.7.11/tcp/60000/p2p/").await;
    let flags = format!("{flags} --staticnode={second_address}");
    let one = Program::mailserver(&near.machine, dir.path(), "one", &flags);
    let other = Program::mailserver(&far.machine, dir.path(), "other", &flags);

    let reachability = "libp2p_autonat_reachability_confidence{reachability=";
    for public in [&first, &second] {
        has_metric(public, &format!("{reachability}\"Reachable\"}}")).await;
    }
    for private in [&one, &other] {
        has_metric(private, &format!("{reachability}\"NotReachable\"}}")).await;
    }
    let circuit = address_with(&one, "/p2p-circuit").await;
    address_with(&other, "/p2p-circuit").await;
    // A node that only others' circuits lead to offers none itself.
    let offered = first.ask(8645, "GET", "/admin/v1/peers/connected", "").await;
    let offered: Value = serde_json::from_str(&offered).unwrap();
    for peer in offered.as_array().unwrap() {
        let home = ["11.7.7.1/", "11.7.7.2/"]
            .iter()
            .any(|ip| peer["multiaddr"].as_str().unwrap().contains(ip));
        let hop = peer["protocols"]
            .to_string()
            .contains("/libp2p/circuit/relay/0.2.0/hop");
        assert_eq!(hop, !home, "{peer}");
    }

    eventually(|| connects(&other, &circuit), |connected| *connected).await;
    has_metric(&one, "pillarbox_hole_punches_total{outcome=\"successful\"}").await;
    has_metric(&other, "pillarbox_hole_punches_total{outcome=\"successful\"}").await;
    // Without those in between the two still have each other.
    drop((first, second));
    for home in [&one, &other] {
        eventually(|| home.metrics(), |text| text.contains("\nlibp2p_peers 1\n")).await;
    }
    assert_eq!(one.ask(8645, "POST", PUBLISH, &envelope(7)).await, "OK");
    let stored = |page: &String| {
        serde_json::from_str::<Value>(page).is_ok_and(|page| page["messages"].as_array().unwrap().len() == 1)
    };
    eventually(|| other.ask(8645, "GET", STORED, ""), stored).await;
}

/// The address it listens on, before anybody has confirmed one.
async fn address_with_own(program: &Program, start: &str) -> String {
    let found = |info: &Value| addresses(info).into_iter().find(|address| address.starts_with(start));
    found(&eventually(|| info(program), |info| found(info).is_some()).await).unwrap()
}

/// A router's miniupnpd maps the port, strangers come in by it, and it is given back at the end.
async fn mapped(test: &'static str, nat: &str) {
    if !root("routers") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let internet = Internet::new(test);
    let (stranger_space, home) = (internet.public("stranger", 10), internet.home(1));
    let _router = home.map_ports(dir.path()).await;
    let flags = format!("--discv5-discovery=false --websocket-support {nat}");
    let node = Program::mailserver(&home.machine, dir.path(), "node", &flags);
    let stranger = Program::mailserver(
        &stranger_space,
        dir.path(),
        "stranger",
        "--nat=none --discv5-discovery=false",
    );
    for part in ["/ip4/11.7.7.1/tcp/60000/p2p/", "/ip4/11.7.7.1/tcp/8000/ws/p2p/"] {
        let address = address_with(&node, part).await;
        eventually(|| connects(&stranger, &address), |connected| *connected).await;
    }
    assert!(home.leads(60000) && home.leads(8000));
    node.stop();
    assert!(
        !home.leads(60000) && !home.leads(8000),
        "the mappings outlived the node"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn upnp_maps_ports_and_gives_them_back() {
    mapped("upnp", "--nat=upnp").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nat_pmp_maps_ports_and_gives_them_back() {
    mapped("pmp", "--nat=pmp").await;
}

/// A cut in the middle leaves the mapping to its lifetime; the node that comes back has the same ports again.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_killed_with_its_mappings_takes_them_up_again() {
    if !root("routers") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let internet = Internet::new("kill");
    let home = internet.home(1);
    let _router = home.map_ports(dir.path()).await;
    let start = || Program::mailserver(&home.machine, dir.path(), "node", "--nat=any --discv5-discovery=false");
    let node = start();
    address_with(&node, "/ip4/11.7.7.1/tcp/60000").await;
    node.signal(Signal::SIGKILL);
    drop(node);
    assert!(home.leads(60000));
    let node = start();
    address_with(&node, "/ip4/11.7.7.1/tcp/60000").await;
    node.stop();
    assert!(!home.leads(60000));
}

/// A device that answers the search as a router would, and describes itself without end. Perl is on every Debian.
const ENDLESS_DEVICE: &str = r#"
use strict; use IO::Socket::INET; use IO::Select;
my ($ip, $ready, $asked) = @ARGV;
$SIG{PIPE} = 'IGNORE';
my $http = IO::Socket::INET->new(Listen => 8, LocalAddr => $ip, LocalPort => 5000, ReuseAddr => 1) or die;
my $search = IO::Socket::INET->new(Proto => 'udp', LocalPort => 1900, ReuseAddr => 1) or die;
setsockopt($search, 0, 35, inet_aton('239.255.255.250') . inet_aton($ip)) or die;
my $both = IO::Select->new($http, $search);
my $more = '<device/>' x 10000;
open(my $file, '>', $ready); close($file);
while (my @ready = $both->can_read) {
    for my $socket (@ready) {
        if ($socket == $search) {
            my $from = recv($search, my $text, 2048, 0);
            send($search, "HTTP/1.1 200 OK\r\nST: x\r\nLOCATION: http://$ip:5000/root.xml\r\n\r\n", 0, $from);
            next;
        }
        my $client = $http->accept;
        open($file, '>', $asked); close($file);
        print $client "HTTP/1.1 200 OK\r\n\r\n<root>";
        while (print $client $more) {}
    }
}
"#;
/// What a node without peers may take, and not what a description is long.
const QUIET_MIB: u64 = 64;

fn anonymous_mib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_describes_itself_without_end_costs_little() {
    if !root("devices") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let internet = Internet::new("device");
    let home = internet.home(1);
    let [script, ready, asked] = ["device.pl", "ready", "asked"].map(|name| dir.path().join(name));
    std::fs::write(&script, ENDLESS_DEVICE).unwrap();
    let flags = format!(
        "{} 192.168.1.1 {} {}",
        script.display(),
        ready.display(),
        asked.display()
    );
    let _device = Program::start(&home.router, "perl", &flags, Stdio::null());
    eventually(async || ready.exists(), |ready| *ready).await;
    let node = Program::mailserver(&home.machine, dir.path(), "node", "--nat=upnp --discv5-discovery=false");
    eventually(async || asked.exists(), |asked| *asked).await;
    let mut peak = 0;
    for _ in 0..80 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        peak = peak.max(anonymous_mib(node.child.id()));
    }
    assert!(peak < QUIET_MIB, "{peak} MiB");
    assert!(
        addresses(&info(&node).await)
            .iter()
            .all(|address| !address.contains("/ip4/11."))
    );
    node.stop();
}
