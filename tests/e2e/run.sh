#!/usr/bin/env bash
# Boots the image on emulated boards: tests/e2e/run.sh [options of `e2e test`]
# Builds the two images first; what is built of them is used again the next time. Compiled and compressed faster than
# what ships.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../.."
. scripts/install.sh

image_of() {
  local dir
  dir="$(PILLARBOX_PROFILE=quick scripts/build-image "$1" --fast --until disk)" || return 1
  echo "$dir/disk.img"
}

need_rust
need_node
need_emulator
npm ci --prefix tests/conformance --no-audit --no-fund --loglevel=error
image="$(image_of qemu-virt)"
pi_image="$(image_of qemu-raspi3b)"
say "the images took $SECONDS s"
cargo build --workspace --bin e2e --locked --quiet
as_root env PATH="$PATH" "${CARGO_TARGET_DIR:-target}/debug/e2e" test --image "$image" --pi-image "$pi_image" "$@"
