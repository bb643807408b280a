#!/usr/bin/env bash
# Installs the package into a Debian 13 made for it, as its user would, and takes it away again: `scripts/campaign deb`.
#   try.sh [PACKAGE]     builds one for this machine when none is given. Needs root and Debian's archive.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../.."
. scripts/install.sh

need mmdebstrap mmdebstrap
package=${1:-$(PILLARBOX_PROFILE=${PILLARBOX_PROFILE:-quick} scripts/build-deb "$(dpkg --print-architecture)")}
root=$(mktemp -d)
mounted=
trap '[ -z "$mounted" ] || umount "$root/proc"; rm -rf "$root"' EXIT
fail() { echo "deb: $*" >&2; exit 1; }
in_root() { chroot "$root" env LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"; }

say "a Debian 13 to install into"
mmdebstrap --quiet --variant=minbase --include=systemd,init-system-helpers,lintian,man-db trixie "$root" >&2
# systemd-tmpfiles wants it.
mount -t proc proc "$root/proc" && mounted=1
# No unit starts in a chroot.
printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
cp "$package" "$root/tmp/pillarbox.deb"

say "lintian"
in_root lintian --fail-on error --allow-root --suppress-tags \
    no-manual-page,initial-upload-closes-no-bugs,bogus-mail-host,bogus-mail-host-in-debian-changelog,embedded-library \
    /tmp/pillarbox.deb >&2 || fail "lintian found errors"

say "install"
in_root dpkg --install /tmp/pillarbox.deb >&2
[ "$(in_root dpkg-query --show --showformat='${db:Status-Status}' pillarbox)" = installed ] || fail "it is not installed"
in_root pillarboxd --config /etc/pillarbox/pillarboxd.toml --check >&2 || fail "its own settings are not good"
in_root id pillarbox-mailserver > /dev/null || fail "the mailserver's account is missing"
[ -d "$root/var/lib/pillarbox/archive" ] || fail "the archive's folder is missing"
in_root systemctl is-enabled --quiet pillarboxd.service || fail "the unit is not enabled"
in_root systemd-analyze verify /usr/lib/systemd/system/pillarboxd.service >&2 || fail "the unit is not good"
in_root man --where pillarboxd > /dev/null || fail "there is no manual page"

say "it runs, and shows its page"
# A network of its own, so that it meets nobody.
unshare --net -- chroot "$root" sh -c '
    ip link set lo up 2> /dev/null || true
    mkdir -p /run/pillarbox # RuntimeDirectory of the unit
    pillarboxd --config /etc/pillarbox/pillarboxd.toml > /tmp/log 2>&1 &
    daemon=$!
    for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
        sleep 1
        # Status 3 is an answer, too: this box has no network.
        pillarbox --json status > /tmp/status 2> /dev/null || [ "$?" -eq 3 ] || continue
        break
    done
    kill "$daemon"; wait "$daemon"
' || true
grep -q health "$root/tmp/status" || { tail -5 "$root/tmp/log" >&2; fail "the daemon gave no answer"; }

say "a changed setting survives an upgrade"
echo '# mine' >> "$root/etc/pillarbox/pillarboxd.toml"
in_root dpkg --install --force-confold /tmp/pillarbox.deb >&2
grep -qx '# mine' "$root/etc/pillarbox/pillarboxd.toml" || fail "the setting is gone"

say "purge"
in_root dpkg --purge pillarbox < /dev/null >&2
for left in /var/lib/pillarbox /etc/pillarbox /usr/bin/pillarboxd /usr/lib/systemd/system/pillarboxd.service; do
  [ ! -e "$root$left" ] || fail "$left is left"
done
for process in /proc/[0-9]*/root; do
  [ "$(readlink "$process" 2> /dev/null)" != "$root" ] || fail "the process ${process%/root} is left"
done
say "deb: $(basename "$package"), $(stat -c %s "$package") bytes: good"
