#!/usr/bin/env bash
# Weakens one ordering, or drops one rule, of the lane protocol, of that of links or of the doorbell at a time, in a copy of the sources,
# and runs the loom models of that part on it: every mistake must be caught. Takes an hour, most of it for links.
# Usage: scripts/weaken-orderings.sh [--check | NAME ...]; with --check it only looks whether the sources have what it would change.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
# No backtraces: loom's stacks are too small for them, and whoever overflows one there keeps the lock that the next one waits for.
export RUST_BACKTRACE=0
export RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$root/target}/loom"

# name | file | exact text, but for white space | replacement; \| stands for a | in the texts
mistakes=(
    'commit-relaxed|src/lane/variable.rs|.store(word, Ordering::Release);|.store(word, Ordering::Relaxed);'
    'poll-relaxed|src/sync.rs|    fence(Ordering::Acquire);|'
    'next-word-not-cleared|src/lane/variable.rs|        self.memory.clear_word(self.ring.offset(end));|'
    'no-room-for-next-word|src/lane/variable.rs|let end = start + size + self.ring.granule();|let end = start + size;'
    'batch-word-not-withheld|src/lane/variable.rs|if position == self.tail {|if position == self.tail { self.memory.word(self.ring.offset(position)).store(word, Ordering::Release);'
    'released-relaxed|src/lane/ledger.rs|self.cursors.consumer.released.store(released, Ordering::Release);|self.cursors.consumer.released.store(released, Ordering::Relaxed);'
    'released-quickly-relaxed|src/lane/ledger.rs|self.cursors.consumer.released.store(end, Ordering::Release);|self.cursors.consumer.released.store(end, Ordering::Relaxed);'
    'head-relaxed|src/lane/ledger.rs|self.cursors.head.store(released, Ordering::Release);|self.cursors.head.store(released, Ordering::Relaxed);'
    'writer-head-load-relaxed|src/lane/variable.rs|self.cursors.head.load(Ordering::Acquire)|self.cursors.head.load(Ordering::Relaxed)'
    'writer-released-load-relaxed|src/lane/variable.rs|self.cursors.consumer.released.load(Ordering::Acquire)|self.cursors.consumer.released.load(Ordering::Relaxed)'
    'fixed-head-load-relaxed|src/lane/fixed.rs|self.cursors.head.load(Ordering::Acquire)|self.cursors.head.load(Ordering::Relaxed)'
    'fixed-released-load-relaxed|src/lane/fixed.rs|self.cursors.consumer.released.load(Ordering::Acquire)|self.cursors.consumer.released.load(Ordering::Relaxed)'
    'fixed-commit-relaxed|src/lane/fixed.rs|self.cursors.tail.store(staged.end, Ordering::Release);|self.cursors.tail.store(staged.end, Ordering::Relaxed);'
    'fixed-poll-relaxed|src/lane/fixed.rs|let tail = cursors.tail.load(Ordering::Acquire);|let tail = cursors.tail.load(Ordering::Relaxed);'
    'released-before-older-frames|src/lane/ledger.rs|if start == self.next_release.get() {|if start >= self.next_release.get() {'

    # MPMC.
    'claim-does-not-release|src/links/claim.rs|compare_exchange(tail.0, claimed.0, Ordering::AcqRel,|compare_exchange(tail.0, claimed.0, Ordering::Acquire,'
    'mpmc-commit-relaxed|src/links/claim.rs|.store(LinkState::full(self.lap).0, Ordering::Release);|.store(LinkState::full(self.lap).0, Ordering::Relaxed);'
    'tail-load-relaxed|src/links/mod.rs|Tail(self.cursors.tail.load(Ordering::Acquire))|Tail(self.cursors.tail.load(Ordering::Relaxed))'
    'head-load-relaxed|src/links/mod.rs|Head(self.cursors.head.load(Ordering::Acquire))|Head(self.cursors.head.load(Ordering::Relaxed))'
    'state-load-relaxed|src/links/mod.rs|LinkState(self.links[slot].state.load(Ordering::Acquire))|LinkState(self.links[slot].state.load(Ordering::Relaxed))'
    'step-state-load-relaxed|src/links/walk.rs|LinkState(self.link.state.load(Ordering::Acquire))|LinkState(self.link.state.load(Ordering::Relaxed))'
    'take-does-not-release|src/links/take.rs|compare_exchange(head.0, taken.0, Ordering::AcqRel,|compare_exchange(head.0, taken.0, Ordering::Acquire,'
    'release-relaxed|src/links/take.rs|self.link(held.position).state.store(free.0, Ordering::Release);|self.link(held.position).state.store(free.0, Ordering::Relaxed);'
    'release-of-a-run-relaxed|src/links/take.rs|links[(position & mask) as usize].state.store(free.0, Ordering::Release);|links[(position & mask) as usize].state.store(free.0, Ordering::Relaxed);'
    'reject-relaxed|src/links/take.rs|self.link(held.position).state.store(redo.0, Ordering::Release);|self.link(held.position).state.store(redo.0, Ordering::Relaxed);'
    'redo-epoch-does-not-release|src/links/take.rs|self.rare.redo_epoch.fetch_add(1, Ordering::AcqRel);|self.rare.redo_epoch.fetch_add(1, Ordering::Acquire);'
    'redo-epoch-load-relaxed|src/links/redo.rs|self.rare.redo_epoch.load(Ordering::Acquire)|self.rare.redo_epoch.load(Ordering::Relaxed)'
    'recovery-does-not-release|src/links/recovery.rs|compare_exchange(state.0, next.0, Ordering::AcqRel, Ordering::Relaxed)|compare_exchange(state.0, next.0, Ordering::Acquire, Ordering::Relaxed)'
    'clean-does-not-release|src/links/recovery.rs|word.cleaned().0, Ordering::AcqRel,|word.cleaned().0, Ordering::Acquire,'
    'entry-word-load-relaxed|src/links/mod.rs|EntryWord(self.entries[index].word.load(Ordering::Acquire))|EntryWord(self.entries[index].word.load(Ordering::Relaxed))'
    'failed-claim-keeps-intent|src/links/claim.rs|Self::intend(&own.enq, Intent::NONE);|'
    'failed-take-keeps-intent|src/links/take.rs|Self::intend(&own.deq, Intent::NONE);|'
    'dead-word-not-read-again|src/links/recovery.rs|&& self.entry_word(*index) == *word|'
    'full-by-guess|src/links/claim.rs|let is_so = !guess.give_up() && self.tail() == tail;|let is_so = self.tail() == tail;'
    'empty-by-guess|src/links/take.rs|if guess.give_up() { continue; } match self.not_full(head, state, exact) {|match self.not_full(head, state, exact) {'
    'run-empty-by-guess|src/links/take.rs|if guess.give_up() { continue; } match self.not_full(head, self.state_at(first), exact) {|match self.not_full(head, self.state_at(first), exact) {'
    'lost-claim-keeps-guess|src/links/claim.rs|Self::intend(&own.enq, Intent::NONE); guess.give_up();|Self::intend(&own.enq, Intent::NONE);'
    'lost-take-keeps-guess|src/links/take.rs|Self::intend(&own.deq, Intent::NONE); guess.give_up();|Self::intend(&own.deq, Intent::NONE);'
    'intents-before-cursors|src/links/recovery.rs|if position < tail && !self.is_covered(position, leases, \|e\| &self.entries[e].own.enq)|if !self.is_covered(position, leases, \|e\| &self.entries[e].own.enq) && position < self.tail().position()'
    'takes-before-cursors|src/links/recovery.rs|if position < head && !self.is_covered(position, leases, \|e\| &self.entries[e].own.deq)|if !self.is_covered(position, leases, \|e\| &self.entries[e].own.deq) && position < self.head().position()'
    'evidence-ignored|src/links/recovery.rs|if is_left(&own.enq, LinkKind::Free, tail) \|\| is_left(&own.deq, LinkKind::Full, head) {|if false {'
    'clean-before-epoch|src/links/recovery.rs|// Always: the one before may have died between its REDO and this.|for (index, word) in dead.iter() { self.clean(*index, *word, tail, head); die_point(); }'
    'epoch-only-for-own-redo|src/links/recovery.rs|self.raise_redo_epoch();|if done.returned > 0 { self.raise_redo_epoch(); }'
    'epoch-before-redo|src/links/take.rs|self.link(held.position).state.store(redo.0, Ordering::Release); die_point(); self.raise_redo_epoch();|self.raise_redo_epoch(); die_point(); self.link(held.position).state.store(redo.0, Ordering::Release);'
    'epoch-read-after-scan|src/links/redo.rs|self.left.set(self.left.get() - 1);|self.left.set(self.left.get() - 1); self.epoch.set(links.redo_epoch());'
    'newcomer-does-not-look|src/links/redo.rs|scan.restart(links, links.redo_epoch());|scan.epoch.set(links.redo_epoch());'
    'attach-keeps-intents|src/links/entry.rs|entry.own.enq.store(Intent::NONE.0, Ordering::Release);|'
    'attach-keeps-takes|src/links/entry.rs|entry.own.deq.store(Intent::NONE.0, Ordering::Release);|'
    'leave-keeps-frames|src/links/entry.rs|if word.role() == EntryRole::Consumer {|if false {'
    'lane-given-back-out-of-order|src/links/mod.rs|count_while(self.run(first, most), \|step\| step.state().lap() > step.lap)|self.run(first, most).into_iter().flat_map(\|stretch\| stretch.steps()).filter(\|step\| step.state().lap() > step.lap).count() as u64'
    'outdated-too-early|src/lane/extents.rs|saturating_sub(self.slots.len() as u64);|saturating_sub(self.slots.len() as u64 - 1);'
    'adopted-lane-empty|src/lane/linked.rs|extents.push(frame.position, [(ring.size(frame.len), end)].into_iter());|'

    # The doorbell.
    'light-dropped|src/park/mod.rs|barrier::light(&self.words.waiting).load(|self.words.waiting.load('
    'heavy-dropped|src/park/mod.rs|} else if barrier::heavy() {|} else if true {'
    'need-fence-ignored|src/park/mod.rs|if seen & (ARMED \| NEED_FENCE \| FENCING) != 0 {|if seen & (ARMED \| FENCING) != 0 {'
    'fencing-ignored|src/park/mod.rs|if seen & (ARMED \| NEED_FENCE \| FENCING) != 0 {|if seen & (ARMED \| NEED_FENCE) != 0 {'
    'waker-fence-dropped|src/park/mod.rs|// SYNC fencing: between the change and the look at who sleeps. fence(Ordering::SeqCst);|'
    'sleeper-fence-dropped|src/park/mod.rs|bell.need_fence()); fence(Ordering::SeqCst);|bell.need_fence());'
    'sure-sleeper-fence-dropped|src/park/mod.rs|// SYNC fencing: between arming and the last look. fence(Ordering::SeqCst);|'
    'ring-does-not-release|src/park/mod.rs|self.words.bell.fetch_add(1, Ordering::AcqRel);|self.words.bell.fetch_add(1, Ordering::Acquire);'
    'close-does-not-release|src/park/mod.rs|self.words.waiting.fetch_or(CLOSED, Ordering::AcqRel);|self.words.waiting.fetch_or(CLOSED, Ordering::Acquire);'
    'bell-read-after-arm|src/park/mod.rs|ticket }|Ticket(self.words.bell.load(Ordering::Acquire)) }'
    'arrivals-not-counted|src/park/mod.rs|seen.wrapping_add(ARRIVAL) \| ARMED|seen \| ARMED'
    'cleared-whatever-it-is|src/park/mod.rs|self.words.waiting.compare_exchange(seen, seen & !ARMED, Ordering::AcqRel, Ordering::Relaxed);|self.words.waiting.fetch_and(!ARMED, Ordering::AcqRel);'
    'cleared-always|src/park/mod.rs|if count > 0 && self.ring(count) < count {|if count > 0 && self.ring(count) < u32::MAX {'
    'wake-before-ring|src/park/mod.rs|self.words.bell.fetch_add(1, Ordering::AcqRel); futex::wake(&self.words.bell, count)|let woken = futex::wake(&self.words.bell, count); self.words.bell.fetch_add(1, Ordering::AcqRel); woken'
    'nothing-passed-on|src/park/mod.rs|self.notify(1);|'
    'end-not-passed-on|src/park/mod.rs|if self.is_closed() { self.notify_all(); }|if self.is_closed() { }'
    'no-look-behind-the-arming|src/wait/mod.rs|let ticket = bell.arm(); if let Some(found) = look(before_sleep) {|let ticket = bell.arm(); let found: Option<R> = None; if let Some(found) = found {'
    'cancel-does-not-ring|src/park/cancel.rs|self.bell.ring_for_all();|'
)

# Not in the list, for no loom model can tell them from what they replace. loom runs each thread's stores in program order, and
# its read-modify-writes always see the newest value.
#
# - The intents to claim and to take stored Relaxed (claim.rs, take.rs), and those loaded so (recovery.rs, is_covered): the
#   stores would have to overtake the commit or mark before them. `model/`, `weak`, catches RelaxedEnq and RelaxedDeq. The load's
#   Acquire is the other half: without it, C++ lets the CAS on the link come before the commit that the intent has seen.
# - The intent cleared after a lost CAS, Relaxed: it protects nothing; if it is late, recovery is late.
# - The CAS on `tail` and on `head` without Acquire: `tail()` and `head()` have acquired the very value that it expects, or that is
#   a guess, which this participant has stored itself; and cursors never come back to a value.
# - `pass` Relaxed: it publishes nothing of its own, and as a read-modify-write goes on with the release of the CAS before it.
# - The mark (HELD) Relaxed: what must not be seen before it, a later intent, is stored with Release itself; who finds it under a
#   dead owner has acquired that owner's lease. It is Release so that the proof needs neither.
# - The CAS from REDO to HELD Relaxed: `state()` has acquired the value that it expects, and the HELD that it stores is looked at
#   as a mark is.
# - The lease probed before the intent (recovery.rs, is_covered): whoever has claimed or taken below the cursors, which were read
#   before, holds its lease until it has moved the position or is dead.
# - `redo_epoch` raised without Acquire: whoever raises it reads nothing because of it.
# - Recovery's CAS on a link, and that on an entry's word, without Acquire: `state()` and `entry_word()` have acquired the value
#   that they expect.
# - The intents that `clean` reads, Relaxed: their owner is dead, and its lease was acquired.
# - The words of `enter` and `leave` Relaxed: the lease, which is taken before the one and given back after the other, orders
#   them. The intents that `enter` clears: they are cleared under the lease, too; seen late they only delay a recovery.
# - The doorbell's read-modify-writes of `waiting` (arm, clear, NEED_FENCE) Relaxed: what a waker must see of an arming, or a
#   sleeper of a change, the fences order, or the heavy barrier for both sides (for the load before an arming see below); clearing orders nothing, for whoever finds ARMED
#   gone and a sleeper that does not find the bell rung meet at the kernel's lock on the futex. NEED_FENCE may be late by a slice.
# - The load of the bell before arming Relaxed: the barrier behind it, heavy or a fence, acquires what the ring released; and the
#   arming releases, so that it does not come before that load.
# - The ring without Acquire: whoever rings reads nothing because of it.
# - The ring without Release has a second half that loom cannot show: the load of `waiting` before it must not come after it, or
#   the clearing would count a sleeper that has read the new bell. loom runs each thread's accesses in program order.
# - The canceller's flag Relaxed: the ring releases it. It is no word of a queue, so loom does not see it.
# - SURE set by a CAS without Acquire or Release, or without a heavy barrier, or by whoever armed long ago; FENCING taken away and
#   SURE left: loom's light barrier is a fence, so that nothing depends on these. `model/`, `room`, catches SureTooEarly,
#   SureBlindly and UnfenceKeepsSure. FENCING taken away whatever `waiting` is by then: that only costs a membarrier.
# - That the light barrier is none for the processor: loom knows no asymmetric barriers. `model/`, `waiting` and `room`, has the
#   waker's store buffer, and catches NoMembarrier.

# Makes the mistakes of standard input (file, text, replacement, a NUL behind each) in the sources below this folder, one on top of
# the other; says what cannot be made.
change() {
    python3 -c '
import re, sys
words = sys.stdin.read().split("\0")[:-1]
missing = 0
for path, text, replacement in zip(words[::3], words[1::3], words[2::3]):
    source = open(path).read()
    pattern = r"\s+".join(re.escape(word).replace(r"\(", r"\(\s*") for word in text.split())
    changed, count = re.subn(pattern, lambda _: replacement, source)
    if not count:
        missing += 1
        print(f"{path} does not contain: {text}", file=sys.stderr)
    open(path, "w").write(changed)
sys.exit(missing > 0)'
}

# A fresh copy of the sources.
copy_sources() {
    rm -rf "$copy/repo" && mkdir "$copy/repo"
    (cd "$root" && git ls-files -z --cached --others --exclude-standard | tar cf - --null -T - | tar xf - -C "$copy/repo")
}

checks=false
if [ "${1:-}" = --check ]; then checks=true; shift; fi
missed=0
for mistake in "${mistakes[@]}"; do
    mistake=${mistake//\\|/$'\x1f'}
    IFS='|' read -r name file text replacement <<<"$mistake"
    text=${text//$'\x1f'/|} replacement=${replacement//$'\x1f'/|}
    if [ $# -gt 0 ] && [[ " $* " != *" $name "* ]]; then continue; fi
    if $checks; then
        # Nothing is changed: each is looked for in the sources as they are.
        printf '%s\0' "$file" "$text" "$text" >>"$copy/all"
        continue
    fi
    copy_sources
    cd "$copy/repo"
    printf '%s\0' "$file" "$text" "$replacement" | change
    case "$file" in
        src/links/* | src/lane/linked.rs | src/lane/extents.rs) models=links::loom_tests ;;
        src/park/* | src/wait/*) models=park::loom_tests ;;
        *) models=loom_tests ;;
    esac
    # The first model that fails is enough.
    status=0
    timeout 1200 cargo test --profile optimized --lib "$models" 2>&1 | tee "$copy/log" \
        | grep -m 1 -E '^test .* FAILED' >"$copy/caught" || status=${PIPESTATUS[0]}
    if [ -s "$copy/caught" ]; then
        echo "caught $name: $(sed -E 's/^test (lane|links|park)::loom_tests::([a-z_:]+) .*/\2/' "$copy/caught")"
        continue
    fi
    missed=$((missed + 1))
    if [ "$status" -eq 0 ]; then
        echo "MISSED $name"
    elif [ "$status" -eq 124 ]; then
        echo "UNDECIDED $name (took too long)"
    else
        echo "BROKEN $name (does not compile, or the models do not end)"
    fi
done
if $checks; then
    copy_sources
    cd "$copy/repo"
    change <"$copy/all" || missed=1
fi
exit "$((missed > 0))"
