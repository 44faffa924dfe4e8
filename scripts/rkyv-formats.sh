#!/usr/bin/env bash
# Builds one program with each of rkyv's format features, and lets every one open what all others have written.
# They must refuse it, and say which settings are whose. Takes about two minutes, most of it building.
set -euo pipefail
cd "$(dirname "$0")/.."
export RINGWAY_FORMATS
RINGWAY_FORMATS=$(mktemp -d /dev/shm/ringway-formats-XXXXXX)
trap 'rm -rf "$RINGWAY_FORMATS"' EXIT

settings=(
    ""
    "rkyv/unaligned"
    "rkyv/big_endian"
    "rkyv/big_endian,rkyv/unaligned"
    "rkyv/pointer_width_16"
    "rkyv/pointer_width_64"
)
others=$((2 * (${#settings[@]} - 1)))
# In the second round each finds the files of all.
for round in 1 2; do
    for features in "${settings[@]}"; do
        said=$(cargo test --quiet --test rkyv_formats --features "$features" -- --nocapture | grep 'accepted')
        echo "$said"
        if [ "$round" = 2 ] && [[ "$said" != *"2 accepted, $others refused" ]]; then
            echo "not every format was tried" >&2
            exit 1
        fi
    done
done
