#!/usr/bin/env bash
# What the hot path pays for being able to wake sleepers while nobody sleeps: 64 bytes between two processes, a build where
# nobody sleeps, and nobody looks whether somebody does (`--cfg ringway_spinning`) in turn with the ordinary one. Prints, for each way to
# send and receive, the median of the ratios of neighbouring runs, and least and most. Five minutes, most of it building.
# Usage: scripts/cost-of-waking.sh [ROUNDS]
set -euo pipefail
cd "$(dirname "$0")/.."

# Builds a benchmark with the flags that are set; prints where it is.
build() {
    cargo bench --bench "$1" --no-run --message-format=json |
        python3 -c 'import json, sys; print([found for line in sys.stdin if (found := json.loads(line).get("executable"))][-1])'
}

ordinary=("$(build yardstick)" "$(build mpmc_yardstick)")
export RUSTFLAGS="--cfg ringway_spinning" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/spinning"
spinning=("$(build yardstick)" "$(build mpmc_yardstick)")
python3 - "${1:-25}" "${ordinary[@]}" "${spinning[@]}" <<'PY'
import json
import re
import statistics
import subprocess
import sys

rounds, builds = int(sys.argv[1]), {"ordinary": sys.argv[2:4], "spinning": sys.argv[4:6]}


def said(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def rates(spsc, mpmc):
    """Messages a second, by name, of one run each."""
    table = said(spsc, "--runs", "1", "--millis", "100", "--sizes", "64", "--only", "ringway")
    found = {name: float(rate) for name, rate in re.findall(r"^(ringway .*?) {2,}([0-9.]+)", table, re.MULTILINE)}
    cases = said(mpmc, "--runs", "1", "--millis", "100", "--case", "1p1c/apart/64", "--only", "ringway/processes", "--json")
    for system in json.loads(cases)["cases"][0]["systems"]:
        found["MPMC " + system["name"]] = system["msgs_per_s"]["median"]
    return found


ratios = {}
for turn in range(rounds):
    order = sorted(builds, reverse=turn % 2 == 1)
    found = {build: rates(*builds[build]) for build in order}
    for name, rate in found["ordinary"].items():
        ratios.setdefault(name, []).append(rate / found["spinning"][name])
print(f"{'messages a second, ordinary to spinning':45} {'median':>7} {'least':>7} {'most':>7}")
for name, found in ratios.items():
    print(f"{name:45} {statistics.median(found):7.3f} {min(found):7.3f} {max(found):7.3f}")
PY
