# shellcheck shell=bash
# shellcheck disable=SC2034 # build-image and build-deb read what is set here
# Sourced by build-image and build-deb after install.sh: compiles the programs for arm64, by rustup's target where it is
# installed and by Debian's own Rust otherwise. Says what it installs.

target=aarch64-unknown-linux-gnu
programs=(-p pillarboxd -p pillarbox-mailserver -p card-settings)

# The commit's time is the newest time in what is built, so that the same commit gives the same result.
SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}"
export SOURCE_DATE_EPOCH
out="${CARGO_TARGET_DIR:-target}"
# PILLARBOX_PROFILE=quick saves the minutes of link-time optimisation where the result is only for a test.
profile="${PILLARBOX_PROFILE:-dist}"
# Apart from the host's own builds: another compiler's leavings in the same place would be thrown away each time.
cross="${PILLARBOX_CROSS_TARGET_DIR:-$out/cross}"

# Only the daemon keeps the time of the build: every C library would be compiled again for another SOURCE_DATE_EPOCH.
# shellcheck disable=SC2097,SC2098 # the first is set from what the second was before
built_for() { PILLARBOX_BUILT_SECS="$SOURCE_DATE_EPOCH" SOURCE_DATE_EPOCH=1 "$@"; }

# Where the sources lie is no part of a program.
sources_of() { echo "--remap-path-prefix=$PWD=/src --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"; }

# Programs of the other architecture run here by qemu's user emulation.
need_emulation() {
  [ -e /proc/sys/fs/binfmt_misc/status ] || as_root mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
  if [ ! -e /proc/sys/fs/binfmt_misc/qemu-aarch64 ] && ! arch-test arm64 >/dev/null 2>&1; then
    as_root update-binfmts --enable >&2
  fi
}

# A rustup with the target, or Debian's own compiler with its library for arm64.
cargo=(cargo)
need_rust_for_arm64() {
  if rustup target list --installed 2>/dev/null | grep -qx "$target"; then return 0; fi
  if [ ! -x /usr/bin/cargo ] || ! dpkg-query --show libstd-rust-web-dev:arm64 >/dev/null 2>&1; then
    say "Debian's Rust for arm64"
    as_root dpkg --add-architecture arm64
    apt_updated=''
    install_packages rustc-web cargo-web libstd-rust-web-dev:arm64
  fi
  # A rustup that comes first on the path would take over, and has no library for arm64.
  cargo=(env PATH=/usr/bin:/bin:/usr/sbin:/sbin /usr/bin/cargo)
}

# Leaves the programs in $cross/$target/$profile.
compile_for_arm64() {
  need_rust_for_arm64
  export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
  export CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc
  # Only what is published: a test that builds often must not do so from the start because it has moved.
  if [ "$profile" = dist ]; then
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS="$(sources_of)"
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS
  fi
  say "compiling for arm64"
  CARGO_TARGET_DIR="$cross" built_for "${cargo[@]}" build --locked --profile "$profile" --target "$target" "${programs[@]}"
}
