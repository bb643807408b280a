//! What ships joins the Status network, and a developer's box does not: seen on the wire, in a network that the test
//! made, with the settings and the service files that ship.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use card_settings::{daemon, settings};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use pillarbox_integration::namespace::{A, Door, Names, Namespace, TXT};
use pillarbox_integration::pillarbox::COME_UP;
use pillarbox_integration::programs;
use pillarbox_integration::wait::until;
use serde_json::Value;
use toml::Table;

const IMAGE: &str = "image-builder/overlay/root/etc/pillarbox/pillarboxd.toml";
const PACKAGE: &str = "image-builder/deb/pillarboxd.toml";
const DEVELOPER: &str = "daemon/configs/dev.toml";

const LIST: &str = "boot.prod.status.nodes.status.im";
/// The fleet's, at addresses of the test's own.
const BOOTS: &[(&str, Ipv4Addr)] = &[
    ("boot-01.do-ams3.status.prod.status.im", Ipv4Addr::new(11, 7, 7, 11)),
    (
        "boot-01.gc-us-central1-a.status.prod.status.im",
        Ipv4Addr::new(11, 7, 7, 12),
    ),
    (
        "boot-01.ac-cn-hongkong-c.status.prod.status.im",
        Ipv4Addr::new(11, 7, 7, 13),
    ),
];
const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(11, 7, 7, 1);
const BOOT_PORT: u16 = 30303;
/// How long nobody may ask for anything once the mailserver serves; one that joins asks before it does.
const QUIET: Duration = Duration::from_secs(5);

fn root() -> bool {
    let root = geteuid().is_root();
    if !root {
        eprintln!("not root: no network of the test's own, nothing shown");
    }
    root
}

/// What stands for the internet: a name server, and the boot nodes' addresses, whose port is watched.
struct Outside {
    names: Names,
    door: Door,
    _space: Namespace,
}

impl Outside {
    /// Reached from `home` by a wire.
    fn of(home: &Namespace) -> Outside {
        let space = Namespace::new();
        home.wire(Ipv4Addr::new(11, 7, 7, 2), &space, NAME_SERVER);
        for (_, address) in BOOTS {
            space.ip(&format!("address add {address}/24 dev wire"));
        }
        Outside {
            names: Names::serve(&space, NAME_SERVER, BOOTS),
            door: Door::open(&space, BOOT_PORT),
            _space: space,
        }
    }

    /// What of the way into the Status network nobody has gone yet.
    fn not_tried(&self) -> Vec<String> {
        let (asked, knocked) = (self.names.asked(), self.door.knocked());
        let list = (LIST.to_owned(), TXT);
        let mut missing: Vec<String> = Vec::new();
        missing.extend((!asked.contains(&list)).then(|| format!("the TXT of {LIST}")));
        for (name, address) in BOOTS {
            let look_up = ((*name).to_owned(), A);
            missing.extend((!asked.contains(&look_up)).then(|| format!("the address of {name}")));
            missing.extend((!knocked.contains(address)).then(|| format!("port {BOOT_PORT} of {name}")));
        }
        missing
    }
}

/// A box with shipped settings, but for where its files are and its board.
struct Shipped {
    daemon: Child,
    page: u16,
    folder: tempfile::TempDir,
}

impl Shipped {
    fn start(space: &Namespace, file: &str, wishes: &str, service: &str, names: &str) -> Shipped {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("pillarboxd.toml");
        let settings = moved(file, wishes, service, folder.path());
        std::fs::write(&config, settings.to_string()).expect("the settings are written");
        let servers = folder.path().join("resolv.conf");
        std::fs::write(&servers, names).expect("the name servers are written");
        let log = std::fs::File::create(folder.path().join("log")).expect("a log");
        let daemon = space
            .command(&servers, &programs::folder().join("pillarboxd"))
            .arg("--config")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("it starts");
        let listen = settings["page"]["listen"].as_str().expect("an address");
        let page = listen.rsplit(':').next().and_then(|port| port.parse().ok());
        Shipped {
            daemon,
            page: page.expect("a port"),
            folder,
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Waits until the service answers.
    async fn serves(&self, space: &Namespace) {
        until("the mailserver tells its addresses", COME_UP, || async {
            let status: Value = serde_json::from_str(&space.get(self.page, "/status.json")?).ok()?;
            let addresses = status["mailserver"]["multiaddrs"].as_array()?;
            (!addresses.is_empty()).then_some(())
        })
        .await;
    }
}

impl Drop for Shipped {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the daemon's log:\n{}", self.log());
        }
        let pid = i32::try_from(self.daemon.id()).expect("a pid fits");
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        let _ = self.daemon.wait();
    }
}

/// The settings that ship, with a card's wishes over them, on this machine: nothing of the network is touched.
fn moved(file: &str, wishes: &str, service: &str, folder: &Path) -> Table {
    let shipped = std::fs::read_to_string(programs::workspace().join(file)).expect("it ships");
    let wishes = settings::parse(wishes.as_bytes()).expect("the wishes are right");
    let overlaid = daemon::overlay(&shipped, &wishes, None).expect("they fit");
    let mut table: Table = overlaid.parse().expect("it is TOML");
    let path = |name: &str| toml::Value::from(folder.join(name).display().to_string());
    let services = programs::workspace().join("daemon/services");
    table.insert("board".to_owned(), "dev".into());
    table.insert("state_dir".to_owned(), path("state"));
    table.insert("control".to_owned(), path("control"));
    table.insert("services_dir".to_owned(), services.display().to_string().into());
    table.insert("required".to_owned(), vec![service].into());
    // This machine is not to be restarted, whatever happens.
    table.insert("power".to_owned(), "none".into());
    table.remove("backup");
    table.remove("reports");
    if service != "mailserver" {
        let on = |on: bool| Table::from_iter([("enabled".to_owned(), on.into())]);
        let services = [("mailserver".to_owned(), on(false)), (service.to_owned(), on(true))];
        let services = services.map(|(name, table)| (name, toml::Value::Table(table)));
        table.insert("services".to_owned(), Table::from_iter(services).into());
    }
    table
}

const NAMES: &str = "nameserver 11.7.7.1\n";
/// A name server that is not there; without any the mailserver ends.
const NOBODY: &str = "nameserver 127.0.0.1\n";

#[tokio::test(flavor = "multi_thread")]
async fn what_ships_looks_for_the_status_network() {
    if !root() {
        return;
    }
    for (file, service) in [(IMAGE, "mailserver"), (PACKAGE, "mailserver"), (IMAGE, "relay")] {
        let home = Namespace::new();
        let outside = Outside::of(&home);
        let shipped = Shipped::start(&home, file, "", service, NAMES);
        let what = format!("{service} of {file} asks for the list and dials the boot nodes");
        until(&what, COME_UP, || async {
            outside.not_tried().is_empty().then_some(())
        })
        .await;
        drop(shipped);
    }
}

/// A box is on before its network is: the names' servers are known only later.
#[tokio::test(flavor = "multi_thread")]
async fn it_looks_as_soon_as_there_are_name_servers() {
    if !root() {
        return;
    }
    let home = Namespace::new();
    let outside = Outside::of(&home);
    let shipped = Shipped::start(&home, IMAGE, "", "mailserver", "");
    until("the page answers", COME_UP, || async {
        home.get(shipped.page, "/status.json")
    })
    .await;
    assert_eq!(outside.not_tried().len(), 1 + 2 * BOOTS.len(), "nobody to ask yet");
    // Over the file's content, as whoever manages the network does it where the file is not replaced.
    std::fs::write(shipped.folder.path().join("resolv.conf"), NAMES).expect("it is written");
    until("it asks and dials", COME_UP, || async {
        outside.not_tried().is_empty().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_box_that_joins_nothing_asks_nobody() {
    if !root() {
        return;
    }
    for (file, wishes) in [(DEVELOPER, ""), (IMAGE, "waku = \"none\"\n")] {
        let home = Namespace::new();
        let outside = Outside::of(&home);
        let shipped = Shipped::start(&home, file, wishes, "mailserver", NAMES);
        shipped.serves(&home).await;
        tokio::time::sleep(QUIET).await;
        assert_eq!(outside.names.asked(), [], "{file}");
        assert_eq!(outside.door.knocked(), Vec::<Ipv4Addr>::new(), "{file}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_of_ones_own_that_a_card_names_is_joined() {
    if !root() {
        return;
    }
    let (home, other) = (Namespace::new(), Namespace::new());
    let at = Ipv4Addr::new(10, 77, 0, 2);
    home.wire(Ipv4Addr::new(10, 77, 0, 1), &other, at);
    let friend = Friend::start(&other, at);
    let id = friend.peer_id(&other).await;
    let wishes = format!("[waku]\ncluster = 77\nshards = [5]\nentry_nodes = [\"/ip4/{at}/tcp/60000/p2p/{id}\"]\n");
    let _shipped = Shipped::start(&home, IMAGE, &wishes, "mailserver", NOBODY);
    for (space, what) in [
        (&home, "the box has the other in its mesh"),
        (&other, "and the other has the box"),
    ] {
        until(what, COME_UP, || async {
            let mesh: Value = serde_json::from_str(&space.get(8645, "/admin/v1/peers/mesh/on/5")?).ok()?;
            (!mesh["peers"].as_array()?.is_empty()).then_some(())
        })
        .await;
    }
}

/// A mailserver by itself in that network.
struct Friend {
    program: Child,
    _folder: tempfile::TempDir,
}

impl Friend {
    fn start(space: &Namespace, at: Ipv4Addr) -> Friend {
        let folder = tempfile::tempdir().expect("a folder");
        let names: PathBuf = folder.path().join("resolv.conf");
        std::fs::write(&names, NOBODY).expect("it is written");
        let program = space
            .command(&names, &programs::folder().join("pillarbox-mailserver"))
            .args([
                "--cluster-id=77",
                "--shard=5",
                "--tcp-port=60000",
                "--nat=none",
                "--rest=true",
                "--rest-admin=true",
            ])
            .arg(format!("--listen-address={at}"))
            .arg("--discv5-discovery=false")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("it starts");
        Friend {
            program,
            _folder: folder,
        }
    }

    async fn peer_id(&self, space: &Namespace) -> String {
        until("the other node tells its id", COME_UP, || async {
            let info: Value = serde_json::from_str(&space.get(8645, "/debug/v1/info")?).ok()?;
            let address = info["listenAddresses"].as_array()?.first()?.as_str()?;
            address.rsplit('/').next().map(str::to_owned)
        })
        .await
    }
}

impl Drop for Friend {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}
