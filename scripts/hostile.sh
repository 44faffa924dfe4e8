#!/usr/bin/env bash
# A hostile process rewrites every shared byte at random, for a number of seconds per kind of queue
# (default 60), while a process that trusts no peer receives and sends, with AddressSanitizer. Needs
# a nightly toolchain; without one it runs unchecked.
# For a long run: scripts/hostile.sh 600
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
target=${CARGO_TARGET_DIR:-$PWD/target}
limit=$((4 * seconds + 900))
if [ "$(uname -sm)" = "Linux x86_64" ] && cargo +nightly --version >/dev/null 2>&1; then
    # Leaks are the subject of scripts/sanitize.sh; the attacker is killed in any case.
    ASAN_OPTIONS=detect_leaks=0 RUSTFLAGS="-Zsanitizer=address" CARGO_TARGET_DIR="$target/asan" \
        RINGWAY_HOSTILE_SECONDS="$seconds" timeout "$limit" \
        cargo +nightly test --package ringway --target x86_64-unknown-linux-gnu --profile optimized \
        --test untrusted -- --nocapture --test-threads=1
else
    echo "no nightly toolchain for Linux on x86_64 here: without AddressSanitizer" >&2
    RINGWAY_HOSTILE_SECONDS="$seconds" timeout "$limit" \
        cargo test --package ringway --profile optimized --test untrusted -- --nocapture --test-threads=1
fi
