#!/usr/bin/env bash
# Weakens one ordering, or drops one rule, of the lane protocol at a time, in a copy of the sources, and runs the loom
# models on it: every mistake must be caught. Takes a few minutes. Usage: scripts/weaken-orderings.sh [NAME ...]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
export RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$root/target}/loom"

# name | file | exact text | replacement
mistakes=(
    'commit-relaxed|src/lane/variable.rs|.store(word, Ordering::Release);|.store(word, Ordering::Relaxed);'
    'poll-relaxed|src/sync.rs|    fence(Ordering::Acquire);|'
    'next-word-not-cleared|src/lane/variable.rs|        self.memory.clear_word(self.ring.offset(end));|'
    'no-room-for-next-word|src/lane/variable.rs|let end = start + size + self.ring.granule;|let end = start + size;'
    'batch-word-not-withheld|src/lane/variable.rs|if position == self.tail {|if position == self.tail { self.memory.word(self.ring.offset(position)).store(word, Ordering::Release);'
    'released-relaxed|src/lane/ledger.rs|self.cursors.consumer.released.store(released, Ordering::Release);|self.cursors.consumer.released.store(released, Ordering::Relaxed);'
    'head-relaxed|src/lane/ledger.rs|self.cursors.head.store(released, Ordering::Release);|self.cursors.head.store(released, Ordering::Relaxed);'
    'writer-head-load-relaxed|src/lane/variable.rs|self.cursors.head.load(Ordering::Acquire)|self.cursors.head.load(Ordering::Relaxed)'
    'writer-released-load-relaxed|src/lane/variable.rs|self.cursors.consumer.released.load(Ordering::Acquire)|self.cursors.consumer.released.load(Ordering::Relaxed)'
    'fixed-head-load-relaxed|src/lane/fixed.rs|self.cursors.head.load(Ordering::Acquire)|self.cursors.head.load(Ordering::Relaxed)'
    'fixed-released-load-relaxed|src/lane/fixed.rs|self.cursors.consumer.released.load(Ordering::Acquire)|self.cursors.consumer.released.load(Ordering::Relaxed)'
    'fixed-commit-relaxed|src/lane/fixed.rs|self.cursors.tail.store(staged.end, Ordering::Release);|self.cursors.tail.store(staged.end, Ordering::Relaxed);'
    'fixed-poll-relaxed|src/lane/fixed.rs|let tail = cursors.tail.load(Ordering::Acquire);|let tail = cursors.tail.load(Ordering::Relaxed);'
    'released-before-older-frames|src/lane/ledger.rs|if start == self.next_release.get() {|if start >= self.next_release.get() {'
)

missed=0
for mistake in "${mistakes[@]}"; do
    IFS='|' read -r name file text replacement <<<"$mistake"
    if [ $# -gt 0 ] && [[ " $* " != *" $name "* ]]; then continue; fi
    rm -rf "$copy/repo" && mkdir "$copy/repo"
    (cd "$root" && git ls-files -z --cached --others --exclude-standard | tar cf - --null -T - | tar xf - -C "$copy/repo")
    cd "$copy/repo"
    FILE="$file" TEXT="$text" REPLACEMENT="$replacement" python3 - <<'PY'
import os
path, text, replacement = os.environ["FILE"], os.environ["TEXT"], os.environ["REPLACEMENT"]
source = open(path).read()
assert text in source, f"{path} does not contain: {text}"
open(path, "w").write(source.replace(text, replacement))
PY
    status=0
    timeout 600 cargo test --quiet --release --lib loom_tests >"$copy/log" 2>&1 || status=$?
    if [ "$status" -eq 0 ]; then
        echo "MISSED $name"
        missed=$((missed + 1))
    elif [ "$status" -eq 124 ]; then
        echo "UNDECIDED $name (took too long)"
        missed=$((missed + 1))
    elif grep -q "^error" "$copy/log" && ! grep -q "test result: FAILED" "$copy/log"; then
        echo "BROKEN $name (does not compile)"
        missed=$((missed + 1))
    else
        echo "caught $name: $(grep -oE '^test lane::loom_tests::[a-z_]+ \.\.\. FAILED|^    lane::loom_tests::[a-z_]+' "$copy/log" | head -n 1 | sed 's/^ *//; s/lane::loom_tests:://')"
    fi
done
exit "$((missed > 0))"
