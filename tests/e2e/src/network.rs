//! How a card says where the network is, and what becomes of it when the card is wrong: a gateway that does not answer,
//! then the Wi-Fi of what Raspberry Pi Imager wrote, joined without a radio (the kernel's mac80211_hwsim). Two starts of
//! one card.

use anyhow::{Result, ensure};

use crate::bench::{BOOT_LIMIT, Bench, step, wait_for_status};
use crate::card::Card;
use crate::lan::BOX;
use crate::machine::Cable;
use crate::page;
use crate::shell::Shell;

/// A network that nobody lays.
const NOWHERE: &str = "[network]\naddress = \"192.168.99.2/24\"\ngateway = \"192.168.99.1\"\n";
const PASSWORD: &str = "correct horse";
const NETWORK_CONFIG: &str = "network:\n  version: 2\n  ethernets:\n    eth0:\n      dhcp4: true\n      optional: true\n  \
                              wifis:\n    wlan0:\n      dhcp4: true\n      regulatory-domain: \"AT\"\n      \
                              access-points:\n        \"Attic\":\n          password: \"correct horse\"\n      \
                              optional: true\n";
/// An access point on the second radio, with a router's address and a DHCP server, in the box itself.
const ACCESS_POINT: &str = r#"
set -e
modprobe mac80211_hwsim radios=2
for try in 1 2 3 4 5 6 7 8 9 10; do [ -e /sys/class/net/wlan1 ] && break; sleep 1; done
sleep 3
systemctl stop pillarbox-wifi@wlan1.service
nft insert rule inet pillarbox input udp dport 67 accept
mkdir -p /run/systemd/network
printf '[Match]\nName=wlan1\n[Network]\nAddress=10.77.0.1/24\nDHCPServer=yes\n' > /run/systemd/network/10-attic.network
printf 'ctrl_interface=\nnetwork={\n\tssid="Attic"\n\tmode=2\n\tfrequency=2412\n\tkey_mgmt=WPA-PSK\n\tproto=RSN\n\tpairwise=CCMP\n\tpsk="correct horse"\n}\n' > /run/attic.conf
sed -i /ctrl_interface/d /run/attic.conf
systemd-run --quiet --unit=attic wpa_supplicant -c /run/attic.conf -D nl80211 -i wlan1
systemctl restart systemd-networkd.service
systemctl start --no-block pillarbox-network.service
"#;

pub(crate) fn wrong_and_wireless(bench: &Bench) -> Result<()> {
    let card = Card::flash(&bench.image, &bench.dir)?;
    let shell = Shell::new(&bench.dir)?;
    let user_data = format!(
        "#cloud-config\nhostname: \"attic\"\ntimezone: \"Europe/Vienna\"\nuser:\n  name: \"anna\"\n  lock_passwd: true\n  \
         ssh_authorized_keys:\n    - \"{}\"\n",
        shell.public_key()?
    );
    card.put("user-data", &user_data)?;
    card.put("network-config", NETWORK_CONFIG)?;
    card.put("meta-data", "instance-id: rpi-imager-1\n")?;
    card.put("pillarbox.toml", NOWHERE)?;
    let mut machine = bench.power_on(&card, "nowhere", Cable::In)?;
    step("a gateway that does not answer gives way, and the page says so", || {
        wait_for_status(&mut machine, "the page at the router's address", |status| {
            status
                .to_string()
                .contains("192.168.99.1 is not responding")
                .then_some(())
        })
    })?;
    machine.cut_power();
    let answer = card.read("pillarbox-answer.txt")?;
    ensure!(answer.contains("has no users"), "the card's answer is {answer:?}");
    for file in ["user-data", "network-config"] {
        let left = card.read(file)?;
        ensure!(
            left.starts_with("# The Pillarbox has taken"),
            "{file} is still {left:?}"
        );
    }

    card.put("pillarbox.toml", "# nothing\n")?;
    let mut machine = bench.power_on(&card, "wireless", Cable::In)?;
    step("what Imager wrote holds, though it is gone from the card", || {
        wait_for_status(&mut machine, "the page", |status| Some(status.clone()))?;
        let name = machine.wait_for("a shell", BOOT_LIMIT, |_| shell.run("hostname").map(Some))?;
        ensure!(name == "attic", "the box is called {name}");
        let kept =
            shell.run("stat -c %a /data/system/card/imager.toml; grep -c password /data/system/card/imager.toml")?;
        ensure!(kept == "600\n1", "what is kept is {kept:?}");
        Ok(())
    })?;
    step("the Wi-Fi is joined and gives an address", || {
        shell.run(ACCESS_POINT)?;
        machine.wait_for("an address on wlan0", BOOT_LIMIT, |_| {
            let addresses = shell.run("ip -4 -o addr show dev wlan0")?;
            ensure!(addresses.contains("10.77.0."), "wlan0 has {addresses:?}");
            Ok(Some(()))
        })
    })?;
    step("and is remembered as a network that works", || {
        machine.wait_for("the trial's end", BOOT_LIMIT, |_| {
            let kept = shell.run("cat /data/system/card/network.toml")?;
            ensure!(kept.contains("Attic"), "it is {kept:?}");
            Ok(Some(()))
        })?;
        let failed = shell.run("systemctl --failed --no-legend --plain")?;
        ensure!(failed.is_empty(), "{failed}");
        let journal = shell.run("journalctl -b --no-pager")?;
        ensure!(!journal.contains(PASSWORD), "the password is in the journal");
        ensure!(
            !page::status()?.to_string().contains(PASSWORD),
            "the password is on the page"
        );
        Ok(())
    })?;
    machine.wait_for("the address on the card", BOOT_LIMIT, |_| {
        let told = card.read("pillarbox-address.txt")?;
        ensure!(
            told.contains(&format!("http://{BOX}")) && told.contains("attic.local"),
            "it is {told:?}"
        );
        Ok(Some(()))
    })?;
    machine.cut_power();
    Ok(())
}
