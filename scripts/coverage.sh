#!/usr/bin/env bash
# Measures which lines of the library the tests run, and prints them file by file; with --missing,
# also the lines that none runs. Needs llvm-profdata and llvm-cov of the LLVM that rustc uses (rustc
# -vV says which): Debian's package llvm-N, or rustup's llvm-tools. Tests whose processes are killed
# all the time, and those that trace single instructions, are left out: a killed process writes no
# profile.
set -euo pipefail
cd "$(dirname "$0")/.."
major=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
tools=$(rustc --print sysroot)/lib/rustlib/x86_64-unknown-linux-gnu/bin
for place in "$tools" "/usr/lib/llvm-$major/bin"; do
    [ -x "$place/llvm-cov" ] && bin=$place && break
done
[ -n "${bin:-}" ] || { echo "no llvm-cov of LLVM $major here: apt-get install llvm-$major" >&2; exit 1; }
target=${CARGO_TARGET_DIR:-$PWD/target}/coverage
profiles=$target/profiles
rm -rf "$profiles"
mkdir -p "$profiles"
export CARGO_TARGET_DIR=$target RUSTFLAGS=-Cinstrument-coverage LLVM_PROFILE_FILE=$profiles/%p-%m.profraw
tests=(--lib --test basic --test typed --test lifecycle --test bad_input --test golden --test mpmc --test no_allocation
    --test untrusted --test every_header --test forwarding --test crash --test waiting --test wait_set --test asynchronous
    --test schema --test memfd --test named_files --test filesystems --test truncation --test inspect --test every_system_call)
options=(--package ringway --features async)
built=$(cargo test "${options[@]}" --no-run "${tests[@]}" 2>&1) || { echo "$built" >&2; exit 1; }
RINGWAY_KILLS=${RINGWAY_KILLS:-200} cargo test "${options[@]}" --no-fail-fast "${tests[@]}" >"$target/tests.log" 2>&1 ||
    { tail -40 "$target/tests.log" >&2; exit 1; }
"$bin/llvm-profdata" merge --sparse --failure-mode=all -o "$target/merged.profdata" "$profiles"/*.profraw 2>/dev/null
objects=()
for program in $(sed -n 's/^ *Executable .*(\(.*\))$/\1/p' <<<"$built"); do
    [[ $program = /* ]] || program=$PWD/$program
    objects+=(--object "$program")
done
# Most unit tests and models are in files of their own.
ignore='(/tests?/|/registry/|rustlib|loom_tests|exhaustive\.rs|derive/)'
"$bin/llvm-cov" report "${objects[@]}" --instr-profile="$target/merged.profdata" --ignore-filename-regex="$ignore" \
    --show-region-summary=false --show-branch-summary=false
if [ "${1:-}" = --missing ]; then
    "$bin/llvm-cov" export "${objects[@]}" --instr-profile="$target/merged.profdata" --format=lcov \
        --ignore-filename-regex="$ignore" |
        awk -F'[:,]' '/^SF:/ { file = $2 } /^DA:/ && $3 == 0 { print file ":" $2 }'
fi
