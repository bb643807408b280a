#!/usr/bin/env bash
# Builds a board's image twice from one commit and one set of packages, and compares all that would be published:
# `scripts/campaign reproducible`. The second build has another directory, time zone, language, umask, host name and
# time of day.
#   reproducible.sh [BOARD]          without programs of its own: PILLARBOX_PROGRAMS=twice compiles them twice, too
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."
. scripts/install.sh

board=${1:-rpi-4}
# One commit, whatever is committed while this runs.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
need faketime faketime
first=$(scripts/build-image "$board" --published-at https://example.org/pillarbox | tail -1)
say "the first build is $first"
other=$(mktemp -d)
trap 'rm -rf "$other"' EXIT
# The snapshot: packages as they were unpacked and installed, which the second build finds by their keys.
mkdir -p "$other/image/$board"
for stage in "$first"/../packages-* "$first"/../boot-packages-*; do cp -a "$stage" "$other/image/$board/"; done

cross=target/cross
if [ "${PILLARBOX_PROGRAMS:-}" = twice ]; then cross="$other/cross"; fi
# Without NO_FAKE_STAT, faketime would move the times of files as well, which are no clock.
TZ=Pacific/Kiritimati NO_FAKE_STAT=1 LANG=de_AT.UTF-8 LC_ALL=C.UTF-8 PILLARBOX_CROSS_TARGET_DIR="$cross" \
  unshare --uts -- sh -c 'hostname elsewhere; umask 077; exec faketime -f "+400d" "$@"' sh \
  scripts/build-image "$board" --out "$other/image" --published-at https://example.org/pillarbox > "$other/second"
second=$(tail -1 "$other/second")
say "the second build is $second"

same=0
for file in "$first"/*; do
  name=$(basename "$file")
  if cmp --quiet "$file" "$second/$name"; then
    same=$((same + 1))
  else
    echo "reproducible: $name differs" >&2
    differs=1
  fi
done
[ -z "${differs:-}" ] || { trap - EXIT; echo "the builds are kept: $first and $second" >&2; exit 1; }
say "reproducible: all $same files of $board are the same: $(cut -c 1-16 < "$first/SHA256SUMS" | head -1)…"
