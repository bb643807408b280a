//! What every image holds, whatever the board: packages, what is cut from them, the kernel's arguments. Each entry that
//! is not obvious has its reason beside it; [`crate::bootscript`] and [`crate::root`] use the lists.

/// Debian 13.
pub(crate) const SUITE: &str = "trixie";
pub(crate) const COMPONENTS: &str = "main,non-free-firmware";
pub(crate) const ARCHITECTURE: &str = "arm64";

/// Unpacked, never installed: their post-installation work (an initrd for every machine) is what we do not want.
pub(crate) const BOOT_PACKAGES: &[&str] = &[KERNEL_PACKAGE, "busybox-static"];
/// A board may want it from another suite.
pub(crate) const KERNEL_PACKAGE: &str = "linux-image-arm64";

/// The root file system, beside Debian's essential packages.
pub(crate) const PACKAGES: &[&str] = &[
    "dbus",
    // A few hundred kilobytes where openssh-server brings PAM, Kerberos and a client; started only for a key.
    "dropbear-bin",
    "e2fsprogs",
    "iproute2",
    "kmod",
    // systemd-resolved 257 loads it when it is there; without it, it takes the box's name for broken, calls the box
    // `linux`, and no `pillarbox-XXXX.local` is announced.
    "libidn2-0",
    "libnss-myhostname",
    "libnss-resolve",
    "nftables",
    "systemd",
    "systemd-repart",
    "systemd-resolved",
    "systemd-sysv",
    "systemd-timesyncd",
    "systemd-zram-generator",
    "tzdata",
    "udev",
    // Which channels and how loud in which country: the kernel reads it with the firmware.
    "wireless-regdb",
    // Not iwd, which needs the D-Bus that a box does without.
    "wpasupplicant",
];

/// Cut from the root: what a system without a package manager and without a screen never opens.
pub(crate) const ROOT_CUTS: &[&str] = &[
    "boot",
    "etc/apt",
    "etc/cron.d",
    "etc/cron.daily",
    "etc/dpkg",
    "usr/bin/apt",
    "usr/bin/apt-cache",
    "usr/bin/apt-cdrom",
    "usr/bin/apt-config",
    "usr/bin/apt-get",
    "usr/bin/apt-mark",
    "usr/bin/perl",
    "usr/lib/aarch64-linux-gnu/gconv",
    "usr/lib/aarch64-linux-gnu/libapt-pkg.so.7.0",
    "usr/lib/aarch64-linux-gnu/libapt-private.so.0.0",
    "usr/lib/aarch64-linux-gnu/perl-base",
    "usr/lib/apt",
    "usr/lib/dpkg",
    "usr/lib/systemd/catalog",
    "usr/lib/udev/hwdb.bin",
    "usr/lib/udev/hwdb.d",
    "usr/share/bash-completion",
    "usr/share/bug",
    "usr/share/debconf",
    "usr/share/doc",
    "usr/share/doc-base",
    "usr/share/i18n",
    "usr/share/info",
    "usr/share/lintian",
    "usr/share/locale",
    "usr/share/man",
    "usr/share/perl5",
    "usr/share/zsh",
    "var/cache",
    "var/lib/apt",
    "var/lib/dpkg",
    "var/log",
];

/// Below `kernel/` of the modules: whole families that no supported board and no mailserver uses. A board brings back
/// what it needs with `image.modules`, and a module that a kept one depends on is always kept.
pub(crate) const MODULE_CUTS: &[&str] = &[
    "drivers/accel",
    "drivers/android",
    "drivers/ata",
    "drivers/atm",
    "drivers/block/drbd",
    "drivers/bluetooth",
    "drivers/bus/mhi",
    "drivers/crypto",
    "drivers/edac",
    "drivers/firewire",
    "drivers/fpga",
    "drivers/gpu",
    "drivers/hid",
    "drivers/hsi",
    "drivers/hwtracing",
    "drivers/iio",
    "drivers/infiniband",
    "drivers/input/joystick",
    "drivers/input/tablet",
    "drivers/input/touchscreen",
    "drivers/isdn",
    "drivers/md",
    "drivers/media",
    "drivers/message",
    "drivers/misc",
    "drivers/mtd",
    "drivers/mux",
    "drivers/net/can",
    "drivers/net/dsa",
    "drivers/net/ethernet",
    "drivers/net/fddi",
    "drivers/net/hyperv",
    "drivers/net/ieee802154",
    "drivers/net/ipvlan",
    "drivers/net/thunderbolt",
    // For cables between two computers. It is quicker than cdc_ether to take the second half of an adapter with a Linux
    // gadget's numbers (QEMU's is one), which has no network then.
    "drivers/net/usb/cdc_subset.ko.xz",
    "drivers/net/vmxnet3",
    "drivers/net/wan",
    "drivers/net/wireguard",
    "drivers/net/wireless",
    "drivers/net/wwan",
    "drivers/net/xen-netback",
    "drivers/net/virtio_net.ko.xz",
    "drivers/nfc",
    "drivers/nvme",
    "drivers/parport",
    "drivers/pcmcia",
    "drivers/platform",
    "drivers/scsi",
    "drivers/slimbus",
    "drivers/soundwire",
    "drivers/staging",
    "drivers/target",
    "drivers/thunderbolt",
    "drivers/ufs",
    "drivers/uio",
    "drivers/usb/atm",
    "drivers/usb/gadget",
    "drivers/usb/misc",
    "drivers/usb/serial",
    "drivers/vdpa",
    "drivers/vfio",
    "drivers/vhost",
    "drivers/video",
    "drivers/w1",
    "drivers/xen",
    "fs/9p",
    "fs/affs",
    "fs/afs",
    "fs/bcachefs",
    "fs/befs",
    "fs/bfs",
    "fs/btrfs",
    "fs/ceph",
    "fs/coda",
    "fs/cramfs",
    "fs/dlm",
    "fs/ecryptfs",
    "fs/efs",
    "fs/f2fs",
    "fs/freevxfs",
    "fs/gfs2",
    "fs/hfs",
    "fs/hfsplus",
    "fs/hpfs",
    "fs/isofs",
    "fs/jffs2",
    "fs/jfs",
    "fs/minix",
    "fs/netfs",
    "fs/nfs",
    "fs/nfs_common",
    "fs/nfsd",
    "fs/nilfs2",
    "fs/ntfs3",
    "fs/ocfs2",
    "fs/omfs",
    "fs/orangefs",
    "fs/qnx4",
    "fs/qnx6",
    "fs/reiserfs",
    "fs/smb",
    "fs/sysv",
    "fs/ubifs",
    "fs/udf",
    "fs/ufs",
    "fs/vboxsf",
    "fs/xfs",
    "fs/zonefs",
    "net/6lowpan",
    "net/802",
    "net/9p",
    "net/appletalk",
    "net/atm",
    "net/ax25",
    "net/batman-adv",
    "net/bluetooth",
    "net/bridge",
    "net/can",
    "net/ceph",
    "net/dccp",
    "net/dsa",
    "net/ieee802154",
    "net/l2tp",
    "net/lapb",
    "net/mac80211",
    "net/mac802154",
    "net/mpls",
    "net/mptcp",
    "net/netrom",
    "net/nfc",
    "net/openvswitch",
    "net/phonet",
    "net/rds",
    "net/rose",
    "net/rxrpc",
    "net/sched",
    "net/sctp",
    "net/smc",
    "net/sunrpc",
    "net/tipc",
    "net/vmw_vsock",
    "net/wireless",
    "net/x25",
    "net/xfrm",
    "sound",
];

/// What the initrd loads on every board before it can read a slot; a board adds its storage with `initrd_modules`.
pub(crate) const INITRD_MODULES: &[&str] = &["squashfs", "ext4"];

/// Loaded before them where the kernel has it: until Linux 6.14 ext4 asks for its checksum by the algorithm's name, which
/// `modules.dep` does not show; later ones have it in themselves.
pub(crate) const INITRD_MODULES_OF_SOME: &[&str] = &["crc32c_generic"];

/// Applets of busybox that the initrd's `/init` uses.
pub(crate) const INITRD_APPLETS: &[&str] = &[
    "cat",
    "chroot",
    "cut",
    "echo",
    "grep",
    "insmod",
    "mkdir",
    "mount",
    "mv",
    "readlink",
    "sh",
    "sleep",
    "switch_root",
    "sync",
    "tail",
    "tr",
    "umount",
];

/// The kernel's arguments, each with its reason. Consoles come from the board, slot and root from the boot script.
pub(crate) const KERNEL_ARGUMENTS: &[(&str, &str)] = &[
    ("quiet", "a serial console slows the boot; warnings still show"),
    ("panic=10", "a panicked kernel starts again by itself"),
    (
        "fsck.mode=skip",
        "the initrd has checked the data partition; the root is read-only",
    ),
    (
        "net.ifnames=0",
        "one name for the one network interface, and no wait for its renaming",
    ),
    ("systemd.gpt_auto=0", "nothing is mounted that the image does not name"),
    (
        "systemd.show_status=auto",
        "units are named on the console only when something is slow or fails",
    ),
    ("init_on_alloc=1", "no remains of freed memory reach a new owner"),
    (
        "slab_nomerge",
        "an overflow in one cache does not reach another's objects",
    ),
    ("page_alloc.shuffle=1", "the order of free pages is not guessable"),
    (
        "randomize_kstack_offset=on",
        "the kernel stack's place is not guessable",
    ),
];

pub(crate) fn kernel_arguments() -> Vec<&'static str> {
    KERNEL_ARGUMENTS.iter().map(|(argument, _)| *argument).collect()
}

/// Units that Debian starts and a box has no use for; each costs start-up time or memory.
pub(crate) const MASKED_UNITS: &[(&str, &str)] = &[
    ("getty@.service", "nobody can log in: there is no password"),
    ("serial-getty@.service", "as above"),
    ("systemd-logind.service", "as above, and the button is the daemon's"),
    ("systemd-user-sessions.service", "as above"),
    ("systemd-ask-password-console.path", "nothing asks for a password"),
    ("systemd-ask-password-wall.path", "as above"),
    ("dbus.service", "networkd and resolved work without it"),
    ("dbus.socket", "as above"),
    ("dev-hugepages.mount", "no program uses it"),
    ("dev-mqueue.mount", "as above"),
    ("proc-sys-fs-binfmt_misc.automount", "as above"),
    ("sys-fs-fuse-connections.mount", "as above"),
    ("sys-kernel-config.mount", "as above"),
    ("sys-kernel-debug.mount", "as above"),
    ("sys-kernel-tracing.mount", "as above"),
    ("modprobe@configfs.service", "only for what is masked here"),
    ("modprobe@dm_mod.service", "as above"),
    ("modprobe@drm.service", "as above"),
    ("modprobe@fuse.service", "as above"),
    ("modprobe@loop.service", "as above"),
    (
        "systemd-repart.service",
        "pillarbox-grow runs it later, when nobody waits for it",
    ),
    ("systemd-firstboot.service", "there is nobody to ask"),
    ("systemd-hwdb-update.service", "the root is read-only"),
    ("systemd-machine-id-commit.service", "the initrd does it"),
    ("systemd-update-done.service", "the root is read-only"),
    ("ldconfig.service", "as above"),
    (
        "systemd-journal-catalog-update.service",
        "the journal has no readers who want explanations",
    ),
    ("systemd-journal-flush.service", "the journal stays in memory"),
    (
        "systemd-random-seed.service",
        "it would write to memory; the kernel has the board's generator",
    ),
    (
        "systemd-network-generator.service",
        "the kernel's arguments name no network",
    ),
    ("systemd-pcrphase.service", "no board has a TPM"),
    ("systemd-tpm2-setup.service", "as above"),
    ("systemd-tpm2-setup-early.service", "as above"),
    ("systemd-creds.socket", "there are no credentials"),
    ("systemd-initctl.socket", "for programs of another init"),
    ("systemd-udev-load-credentials.service", "there are no credentials"),
];

/// What must be in the directory of compiled programs, and where it goes.
pub(crate) const PROGRAMS: &[(&str, &str)] = &[
    ("pillarboxd", "usr/bin/pillarboxd"),
    ("pillarbox", "usr/bin/pillarbox"),
    ("pillarbox-card", "usr/bin/pillarbox-card"),
    ("pillarbox-mailserver", "usr/bin/pillarbox-mailserver"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_relative_and_without_doubles() {
        for list in [ROOT_CUTS, MODULE_CUTS, PACKAGES, INITRD_APPLETS] {
            for (index, entry) in list.iter().enumerate() {
                assert!(!entry.starts_with('/') && !entry.contains(".."), "{entry}");
                assert!(!list[..index].contains(entry), "{entry} stands twice");
            }
        }
    }
}
