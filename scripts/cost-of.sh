#!/usr/bin/env bash
# What a promise costs on the hot path: 64 bytes between two processes, by the ordinary build and
# one without it, in turn.
#   waking    no participant sleeps, and none checks whether another does (`--cfg ringway_spinning`)
#   recovery  MPMC: no intents and no marks, which recovery needs (`--cfg ringway_no_recovery`)
# Prints, for each way to send and receive, the median of the ratios of neighbouring runs, and minimum and
# maximum. Five minutes, most of it building.
# Usage: scripts/cost-of.sh waking|recovery [ROUNDS]
set -euo pipefail
cd "$(dirname "$0")/.."
case "${1:-}" in
    waking) without=spinning ;;
    recovery) without=no_recovery ;;
    *) echo "usage: scripts/cost-of.sh waking|recovery [ROUNDS]" >&2 && exit 2 ;;
esac

# Builds a benchmark with the flags that are set; prints where it is.
build() {
    cargo bench --bench "$1" --no-run --message-format=json |
        python3 -c 'import json, sys; print([found for line in sys.stdin if (found := json.loads(line).get("executable"))][-1])'
}

ordinary=("$(build yardstick)" "$(build mpmc_yardstick)")
export RUSTFLAGS="--cfg ringway_$without" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/without"
reduced=("$(build yardstick)" "$(build mpmc_yardstick)")
python3 - "$1" "${2:-25}" "${ordinary[@]}" "${reduced[@]}" <<'PY'
import json
import re
import statistics
import subprocess
import sys

promise, rounds = sys.argv[1], int(sys.argv[2])
builds = {"ordinary": sys.argv[3:5], "reduced": sys.argv[5:7]}
# Where there are more workers than processors they sleep, and what cannot be woken waits for ever.
shapes = ["1p1c/apart"] if promise == "waking" else ["1p1c/apart", "2p2c/apart", "2p2c/crossed"]


def said(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def rates(spsc, mpmc):
    """Messages a second, by name, of one run each."""
    found = {}
    if promise == "waking":
        table = said(spsc, "--runs", "1", "--millis", "100", "--sizes", "64", "--only", "ringway")
        lines = re.findall(r"^(ringway .*?) {2,}([0-9.]+)", table, re.MULTILINE)
        found.update((name.replace("ringway", "SPSC"), float(rate)) for name, rate in lines)
    for shape in shapes:
        cases = said(mpmc, "--runs", "1", "--millis", "100", "--case", f"{shape}/64", "--only", "ringway/processes", "--json")
        for case in json.loads(cases)["cases"]:
            for system in case["systems"]:
                name = system["name"].replace("ringway/processes", f"MPMC {shape}")
                found[name] = system["msgs_per_s"]["median"]
    return found


ratios = {}
for turn in range(rounds):
    order = sorted(builds, reverse=turn % 2 == 1)
    found = {build: rates(*builds[build]) for build in order}
    for name, rate in found["ordinary"].items():
        ratios.setdefault(name, []).append(rate / found["reduced"][name])
print(f"{'messages a second, with ' + promise + ' to without':45} {'median':>7} {'least':>7} {'most':>7}")
for name, found in ratios.items():
    print(f"{name:45} {statistics.median(found):7.3f} {min(found):7.3f} {max(found):7.3f}")
PY
