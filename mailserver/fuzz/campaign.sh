#!/usr/bin/env bash
# Runs fuzz targets under libFuzzer, a few at once, and prints what each did. `scripts/campaign fuzz` calls it.
#   campaign.sh [--of FOLDER] [--minutes N | --seconds N] [--jobs N] [TARGET...]     10 minutes each, 2 at once, all targets
# FOLDER: mailserver unless said otherwise, archive, daemon, card-settings or board-configs.
# What was learnt is kept in target/fuzz/corpus, so the next campaign goes on from there. Ends with 1 when an input was
# found that panics, hangs or takes too much memory, and names its file: add it to the seeds (tests/fuzzed/seeds.rs of
# the mailserver, fuzz/seeds of the others) with the mend.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../.."
. scripts/install.sh

# An input that takes this long hangs; generous, because campaigns run at idle priority on busy machines.
hang_secs=120
# Nothing that a peer can send in one message may cost as much.
memory_mib=1024
# The longest input, unless a seed is longer. What these parsers refuse for length alone is covered by tests.
input_bytes=4096

of=mailserver
seconds=600
jobs=2
targets=()
while [ $# -gt 0 ]; do
  case "$1" in
    --of) of="$2"; shift 2 ;;
    --minutes) seconds=$(($2 * 60)); shift 2 ;;
    --seconds) seconds="$2"; shift 2 ;;
    --jobs) jobs="$2"; shift 2 ;;
    -*) echo "$1 is not known: $0 [--of FOLDER] [--minutes N | --seconds N] [--jobs N] [TARGET...]" >&2; exit 2 ;;
    *) targets+=("$1"); shift ;;
  esac
done
mapfile -t known < <(sed -n '/^\[\[bin\]\]/{n;s/^name = "\(.*\)"/\1/p}' "$of/fuzz/Cargo.toml")
[ ${#targets[@]} -gt 0 ] || targets=("${known[@]}")
for target in "${targets[@]}"; do
  [[ " ${known[*]} " == *" $target "* ]] || { echo "$target is not a target: ${known[*]}" >&2; exit 2; }
done

need_rust
need c++ g++
need_cargo_fuzz
folder="$(realpath -m "${CARGO_TARGET_DIR:-target}")/fuzz"
[ "$of" = mailserver ] || folder="$folder/$of"
host="$(rustc -vV | sed -n 's/^host: //p')"
# Without a sanitizer stable Rust will do; overflow and debug assertions are checked all the same.
(cd "$of" && cargo fuzz build -s none --target-dir "$folder")

run() {
  local target="$1" corpus="$folder/corpus/$1" artifacts="$folder/artifacts/$1"
  mkdir -p "$corpus" "$artifacts"
  local longest
  longest="$(find "$of/fuzz/seeds/$target" -type f -printf '%s\n' | sort -n | tail -1)"
  [ "$longest" -gt "$input_bytes" ] || longest="$input_bytes"
  "$folder/$host/release/$target" "$corpus" "$of/fuzz/seeds/$target" \
    -artifact_prefix="$artifacts/" -max_total_time="$seconds" -max_len="$longest" -timeout="$hang_secs" \
    -rss_limit_mb="$memory_mib" -print_final_stats=1 >"$folder/$target.log" 2>&1
  echo $? >"$folder/$target.status"
}

for target in "${targets[@]}"; do
  while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n || true; done
  say "$target, $seconds s"
  rm -f "$folder/$target.status"
  set +e
  run "$target" &
  set -e
done
wait

# The last of libFuzzer's progress lines that says how far NAME has come.
progress() { grep -o " $2: [0-9]*" "$folder/$1.log" | tail -1 | tr -dc 0-9; }
statistic() { sed -n "s/^stat::$2: *//p" "$folder/$1.log"; }
found=0
row='%-12s %14s %10s %8s %9s %8s %9s  %s\n'
# shellcheck disable=SC2059 # the format is ours
printf "$row" target executions a-second edges features inputs peak-MiB result
for target in "${targets[@]}"; do
  if [ "$(cat "$folder/$target.status" 2>/dev/null)" = 0 ]; then
    result="nothing found"
  else
    found=1
    input="$(sed -n 's/^.*Test unit written to //p' "$folder/$target.log" | tail -1)"
    result="FOUND: ${input:-see $folder/$target.log}"
  fi
  # shellcheck disable=SC2059
  printf "$row" "$target" "$(statistic "$target" number_of_executed_units)" \
    "$(statistic "$target" average_exec_per_sec)" "$(progress "$target" cov)" "$(progress "$target" ft)" \
    "$(find "$folder/corpus/$target" -type f | wc -l)" "$(statistic "$target" peak_rss_mb)" "$result"
done
[ "$found" = 0 ] || echo "run an input again: $folder/$host/release/TARGET FILE" >&2
exit "$found"
