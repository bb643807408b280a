#!/usr/bin/env bash
# Looks at what a build publishes as who downloads it would: `scripts/campaign release`. Checksums, the compressed image,
# the block map by writing a card with it, the list of components by the SPDX project's own validator, and the manifest
# of Raspberry Pi Imager against the files that it names.
#   release.sh [BOARD | FOLDER]          builds the board (rpi-4) first, or takes the folder of a build
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."
. scripts/install.sh

folder=${1:-rpi-4}
[ -d "$folder" ] || folder=$(scripts/build-image "$folder" --published-at https://example.org/pillarbox | tail -1)
need bmaptool bmap-tools
need python3 python3
need_file /usr/share/doc/python3-venv python3-venv
validator="$tools/spdx"
if [ ! -x "$validator/bin/pyspdxtools" ]; then
  say "installing spdx-tools from PyPI into target/tools"
  mkdir -p "$tools"
  python3 -m venv "$validator"
  "$validator/bin/pip" install --quiet 'spdx-tools>=0.8.5,<0.9'
fi
card=$(mktemp -d "$folder/../card.XXXXXX")
trap 'rm -rf "$card"' EXIT
base=$(basename "$folder"/*.img.xz .img.xz)

say "checksums"
(cd "$folder" && sha256sum --check --strict SHA256SUMS)
say "the compressed image"
xz --test "$folder/$base.img.xz"
ls -l "$folder"
say "a card, by the block map"
bmaptool copy --bmap "$folder/$base.img.bmap" "$folder/$base.img.xz" "$card/card.img"
# What the map leaves out is whatever a card had before: here zeros, as in the image.
truncate --size="$(stat --format=%s "$folder/$base.img")" "$card/card.img"
cmp "$folder/$base.img" "$card/card.img"
say "the list of components"
"$validator/bin/pyspdxtools" --infile "$folder/$base.spdx.json" --version SPDX-2.3
python3 - "$folder" "$base" <<'PYTHON'
import hashlib, json, pathlib, re, sys

folder, base = pathlib.Path(sys.argv[1]), sys.argv[2]

def digest(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

image, download = folder / f"{base}.img", folder / f"{base}.img.xz"
bill = json.loads((folder / f"{base}.spdx.json").read_text())
assert bill["packages"][0]["checksums"][0]["checksumValue"] == digest(image), "the list is of another image"
packages = [package for package in bill["packages"][1:]]
licences = (folder / f"{base}.licences.txt").read_text()
missing = [p["name"] for p in packages if f"{p['name']} {p['versionInfo']}" not in licences]
assert not missing, f"without a licence: {missing}"
without = re.findall(r"^(\S+) \S+\n\nno copyright file", licences, re.MULTILINE)
undeclared = [p["name"] for p in packages if "cargo" in p["externalRefs"][0]["referenceLocator"] and p["licenseDeclared"] == "NOASSERTION"]
print(f"{len(packages)} components; crates that declare no licence: {undeclared or 'none'}; "
      f"packages without a copyright file: {without or 'none'}")
manifest = folder / f"{base}.rpi-imager-manifest"
if manifest.exists():
    listed = json.loads(manifest.read_text())
    entry, = listed["os_list"]
    assert entry["extract_size"] == image.stat().st_size and entry["extract_sha256"] == digest(image)
    assert entry["image_download_size"] == download.stat().st_size and entry["image_download_sha256"] == digest(download)
    for url in entry["url"], entry["icon"]:
        assert (folder / url.rsplit("/", 1)[1]).is_file(), f"{url} is not among the files"
    assert set(entry["devices"]) & set(listed["imager"]["devices"][0]["tags"]), "no board would find it"
    print("the manifest is of these files")
PYTHON
say "the release of $base is whole: $(stat --format=%s "$folder/$base.img.xz") bytes to download"
