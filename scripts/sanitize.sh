#!/usr/bin/env bash
# Runs the unit tests and the tests that need one process under AddressSanitizer with leak
# detection, short runs of those with several processes too, and then the unit tests and some others
# under valgrind. Takes a few minutes, most of them building; no test may take longer than ten.
# Needs a nightly toolchain for the first part and valgrind for the second; a part whose tool is
# missing is skipped with a message.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
limit=600

if [ "$(uname -sm)" = "Linux x86_64" ] && cargo +nightly --version >/dev/null 2>&1; then
    # With --target, build scripts and macros are built without the sanitizer.
    RUSTFLAGS="-Zsanitizer=address" CARGO_TARGET_DIR="$target/asan" \
        RINGWAY_KILLS=1000 RINGWAY_STRESS_MESSAGES=300000 \
        timeout "$limit" cargo +nightly test --package ringway --target x86_64-unknown-linux-gnu --lib \
        --test basic --test typed --test lifecycle --test bad_input --test golden --test no_allocation \
        --test crash --test stress --test untrusted
else
    echo "no nightly toolchain for Linux on x86_64 here: AddressSanitizer is skipped" >&2
fi

if command -v valgrind >/dev/null; then
    # Optimised: valgrind is slow enough.
    built=$(cargo test --package ringway --release --no-run --lib --test basic --test typed 2>&1) ||
        { echo "$built" >&2 && exit 1; }
    for program in $(sed -n 's/^ *Executable .*(\(.*\))$/\1/p' <<<"$built"); do
        echo "valgrind: $program"
        timeout "$limit" valgrind --quiet --error-exitcode=1 --leak-check=full \
            --show-leak-kinds=definite,indirect --errors-for-leak-kinds=definite,indirect \
            --child-silent-after-fork=yes "$program" --test-threads=1
    done
else
    echo "no valgrind here: skipped" >&2
fi
