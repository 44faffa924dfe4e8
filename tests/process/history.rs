//! What dead consumers have noted: which messages were delivered, and which were released.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::atomic::Ordering;

use super::{DeliveryObserver, Outcome, Shape, Stream, TestConsumer, Words, ensure};

/// More than the messages that any ring here holds.
const WINDOW: u64 = 1 << 14;

const READY: usize = 0;
const MAY_TAKE: usize = 1;
const BEGIN: usize = 2;
const SEEN: usize = 3;
const HEADER: usize = 4;

/// The last thing that a consumer noted about a message, in the two lowest bits; its number in the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    None = 0,
    Taken = 1,
    Releasing = 2,
    Released = 3,
}

/// Words that outlive the consumer that wrote them.
struct ConsumerNotes(Words);

impl ConsumerNotes {
    fn new() -> Self {
        Self(Words::new(HEADER + WINDOW as usize))
    }

    fn get_word(&self, index: usize) -> u64 {
        self.0[index].load(Ordering::SeqCst)
    }

    fn raise(&self, index: usize, to: u64) {
        self.0[index].store(to.max(self.get_word(index)), Ordering::SeqCst);
    }

    /// For a new consumer, when `from..to` may have been noted.
    fn reset(&self, from: u64, to: u64) {
        for word in &self.0[..HEADER] {
            word.store(0, Ordering::SeqCst);
        }
        let from = from.max(to.saturating_sub(WINDOW));
        (from..to).for_each(|seq| self.0[Self::index(seq)].store(0, Ordering::Relaxed));
    }

    /// The messages that a consumer saw for certain: from the first to after the last.
    fn seen(&self) -> Option<(u64, u64)> {
        let (begin, end) = (self.get_word(BEGIN), self.get_word(SEEN));
        (begin != 0 && end != 0).then(|| (begin - 1, end))
    }

    fn index(seq: u64) -> usize {
        HEADER + (seq % WINDOW) as usize
    }

    fn set(&self, seq: u64, mark: Mark) {
        self.0[Self::index(seq)].store(seq << 2 | mark as u64, Ordering::SeqCst);
    }

    fn get(&self, seq: u64) -> Mark {
        let word = self.0[Self::index(seq)].load(Ordering::SeqCst);
        match (word >> 2 == seq, word & 3) {
            (true, 1) => Mark::Taken,
            (true, 2) => Mark::Releasing,
            (true, 3) => Mark::Released,
            _ => Mark::None,
        }
    }
}

/// All that is known about the consumers that died since every message had been released for certain.
pub(crate) struct History {
    notes: ConsumerNotes,
    /// The next consumer begins with a message of `start..=next`.
    start: u64,
    next: u64,
    deaths: u64,
    /// How many times messages were delivered for certain to consumers that died holding them.
    certain: HashMap<u64, u64>,
    /// Messages from here on were never delivered.
    untouched: u64,
}

impl History {
    pub(crate) fn new() -> Self {
        let notes = ConsumerNotes::new();
        Self { notes, start: 0, next: 0, deaths: 0, certain: HashMap::new(), untouched: 0 }
    }

    pub(crate) fn set_ready(&self) {
        self.notes.0[READY].store(1, Ordering::SeqCst);
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.notes.get_word(READY) != 0
    }

    /// Where the next consumer begins.
    pub(crate) fn stream(&self, shape: Shape) -> Stream {
        Stream::starting_between(shape, self.start, self.next)
    }

    /// Takes and releases everything that is left up to `end`.
    pub(crate) fn take_all(test_consumer: &mut TestConsumer<'_, Self>, end: u64) -> Outcome {
        test_consumer.drain()?;
        let next = test_consumer.stream.settle()?;
        ensure!(next == end, "the consumer got up to message {next}, but {end} were sent");
        Ok(())
    }

    /// Everything before `next` is released, by a consumer that is alive or detached.
    pub(crate) fn clear(&mut self, next: u64) {
        self.notes.reset(self.start, self.untouched.max(next));
        (self.start, self.next, self.untouched, self.deaths) = (next, next, next, 0);
        self.certain.clear();
    }

    /// A consumer was killed. Numbers in `0..end` exist; returns how many messages must be
    /// redelivered.
    pub(crate) fn death(&mut self, end: u64) -> Outcome<u64> {
        self.deaths += 1;
        let may_take = self.notes.get_word(MAY_TAKE).min(end);
        let reset_from = self.start;
        self.untouched = self.untouched.max(may_take);
        if let Some((begin, seen_end)) = self.notes.seen() {
            ensure!(
                (self.start..=self.next).contains(&begin),
                "it began with {begin}, but {}..={} were to come first",
                self.start,
                self.next
            );
            // A message that has left the window is released: no ring holds that many. The message
            // at `seen_end` may have been noted already: the consumer died before it could note
            // that it saw it.
            let begin = begin.max((seen_end + 1).saturating_sub(WINDOW));
            let first_before = |mark| (begin..seen_end).find(|seq| self.notes.get(*seq) < mark);
            // Room is released in order: what comes after a message that is held is redelivered.
            self.start = first_before(Mark::Released).unwrap_or(seen_end);
            self.next = first_before(Mark::Releasing).unwrap_or(seen_end);
            for seq in self.start..seen_end {
                *self.certain.entry(seq).or_default() += 1;
            }
        }
        self.notes.reset(reset_from, self.untouched);
        Ok(self.untouched - self.start)
    }
}

impl DeliveryObserver for History {
    fn may_take(&self, end: u64) {
        self.notes.raise(MAY_TAKE, end);
    }

    fn took(&self, seq: u64) {
        self.notes.set(seq, Mark::Taken);
        if self.notes.get_word(BEGIN) == 0 {
            self.notes.raise(BEGIN, seq + 1);
        }
        self.notes.raise(SEEN, seq + 1);
    }

    fn releasing(&self, seq: u64) {
        self.notes.set(seq, Mark::Releasing);
    }

    fn released(&self, seq: u64) {
        self.notes.set(seq, Mark::Released);
    }

    fn redeliveries(&self, seq: u64) -> RangeInclusive<u64> {
        if seq >= self.untouched {
            return 0..=0;
        }
        let least = self.certain.get(&seq).copied().unwrap_or(0);
        least..=self.deaths
    }
}
