# shellcheck shell=bash
# Sourced by the scripts beside it: installs what is missing and says so. Nothing here is needed on the box itself.

tools="${CARGO_TARGET_DIR:-$PWD/target}/tools"

say() { printf '\n== %s\n' "$*" >&2; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# need COMMAND PACKAGE...: Debian packages, unless the command is there already.
need() {
  command -v "$1" >/dev/null 2>&1 || install_packages "${@:2}"
}

# need_file FILE PACKAGE...: the same for a file.
need_file() {
  [ -e "$1" ] || install_packages "${@:2}"
}

# need_packages PACKAGE...: those that are not installed, for what is more than a command.
need_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query --show --showformat='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"
}

install_packages() {
  say "installing $*"
  if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null 2>&1; then
    echo "become root or install sudo, then run this again; or: apt-get install $*" >&2
    exit 1
  fi
  if [ -z "${apt_updated:-}" ]; then
    as_root apt-get update -qq >&2
    apt_updated=1
  fi
  # What a script prints may be its result.
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
}

need_rust() {
  command -v cargo >/dev/null 2>&1 || {
    echo "cargo is missing: install Rust (the version is in Cargo.toml, rust-version) and run this again" >&2
    exit 1
  }
  need cc gcc libc6-dev
}

# Puts a Node.js of at least version 22 first on the path: js-waku and its libraries need it.
need_node() {
  need npm nodejs npm
  local major
  major="$(node --version | sed 's/^v\([0-9]*\).*/\1/')"
  [ "$major" -ge 22 ] && return 0
  local machine
  case "$(uname -m)" in
    x86_64) machine=x64 ;;
    aarch64) machine=arm64 ;;
    *) echo "node $major is too old (22 is needed) and npm has no build for $(uname -m): install a newer one" >&2; exit 1 ;;
  esac
  local package="node-linux-$machine"
  if [ ! -x "$tools/node_modules/$package/bin/node" ]; then
    say "installing Node.js 22 from npm into target/tools (the machine has $major)"
    mkdir -p "$tools"
    npm install --prefix "$tools" --no-save --no-audit --no-fund --loglevel=error "$package@22"
  fi
  PATH="$tools/node_modules/$package/bin:$PATH"
  export PATH
}

# What starts an image on an emulated board, on a network of its own.
need_emulator() {
  need qemu-system-aarch64 qemu-system-arm
  need_file /usr/lib/u-boot/qemu_arm64/u-boot.bin u-boot-qemu
  need_file /usr/lib/ipxe/qemu/pxe-virtio.rom ipxe-qemu
  need dnsmasq dnsmasq-base
  need ip iproute2
  need mcopy mtools
  need ssh openssh-client
}

# Puts cargo-fuzz on the path, in target/tools: it builds fuzz targets with coverage instrumentation.
need_cargo_fuzz() {
  PATH="$tools/bin:$PATH"
  export PATH
  command -v cargo-fuzz >/dev/null 2>&1 && return 0
  say "installing cargo-fuzz into target/tools (a minute or two)"
  cargo install cargo-fuzz --locked --quiet --root "$tools" --target-dir "$tools/build"
}
