#!/usr/bin/env bash
# What the hot path pays for being able to wake sleepers while nobody sleeps: the benchmark between processes, with a build whose
# wakers never look whether somebody sleeps (`--cfg ringway_spinning`), in turn with the ordinary one. Prints, for each case, the
# median of the ratios of neighbouring runs, and least and most. Some minutes, half of them building.
# Usage: scripts/cost-of-waking.sh [ROUNDS]
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-25}
cargo build --release -p ringway-cli
RUSTFLAGS="--cfg ringway_spinning" CARGO_TARGET_DIR=target/spinning cargo build --release -p ringway-cli
python3 - "$rounds" <<'PY'
import json
import statistics
import subprocess
import sys

builds = {"ordinary": "target/release/ringway", "spinning": "target/spinning/release/ringway"}
# As many processes as cores: where there are more, they sleep.
cases = ["spsc/fixed/64", "spsc/variable/64", "mpmc/1p1c/64"]
options = ["--quick", "--runs", "1", "--recovery-trials", "0", "--json"]


def run(binary, case):
    out = subprocess.run([binary, "bench", *options, "--only", case], check=True, capture_output=True, text=True).stdout
    return {found["name"]: found["msgs_per_s"]["median"] for found in json.loads(out)["cases"]}


ratios = {}
for turn in range(int(sys.argv[1])):
    order = list(builds) if turn % 2 else list(reversed(builds))
    for case in cases:
        rates = {build: run(builds[build], case) for build in order}
        for name, rate in rates["ordinary"].items():
            ratios.setdefault(name, []).append(rate / rates["spinning"][name])
print(f"{'messages a second, ordinary to spinning':40} {'median':>7} {'least':>7} {'most':>7}")
for name, found in ratios.items():
    print(f"{name:40} {statistics.median(found):7.3f} {min(found):7.3f} {max(found):7.3f}")
PY
