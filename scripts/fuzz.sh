#!/usr/bin/env bash
# Fuzzes every target for some seconds (default 60), in a copy of the seeds. For a long run: scripts/fuzz.sh 3600
# Needs a nightly toolchain; installs cargo-fuzz if it is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
if ! cargo +nightly --version >/dev/null 2>&1; then
    echo "no nightly toolchain here, and libFuzzer needs one: fuzzing is skipped" >&2
    exit 0
fi
command -v cargo-fuzz >/dev/null || cargo install --quiet --locked cargo-fuzz
for target in open header damaged walk hostile operations crashes inspect; do
    mkdir -p "fuzz/corpus/$target" "fuzz/seeds/$target"
    cargo +nightly fuzz run "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
        -max_total_time="$seconds" -max_len=16384 -print_final_stats=1 2>&1 | grep -E "^(Done|stat::number|SUMMARY|==)|ERROR|panicked" ||
        exit 1
    [ "${PIPESTATUS[0]}" -eq 0 ]
done
