//! What is known about every message, in memory that outlives the processes that know it.

use std::sync::atomic::Ordering;

use super::{Outcome, Words, ensure};

const BEGUN: u64 = 1;
const SENT: u64 = 2;
const DELIVERY: u64 = 1 << 16;
const REJECT: u64 = 1 << 32;
const DEATH: u64 = 1 << 48;

/// One word per message. A message's number is its sender's generation times [`MessageLog::RANGE`],
/// plus its own.
pub(crate) struct MessageLog {
    words: Words,
    first: u64,
}

/// What is known about one message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    /// It is, or was, about to be sent.
    pub(crate) is_begun: bool,
    /// It was committed for certain.
    pub(crate) is_sent: bool,
    /// How many times consumers have noted that they got it.
    pub(crate) deliveries: u64,
    /// How many times consumers were about to reject it.
    pub(crate) rejects: u64,
    /// How many consumers died when they held it, or may have.
    pub(crate) deaths: u64,
}

impl MessageLog {
    /// The maximum number of messages that one sender sends.
    pub(crate) const RANGE: u64 = 4096;

    /// For `generations` generations of senders, from `first` on.
    pub(crate) fn new(first: u64, generations: u64) -> Self {
        Self { words: Words::new((generations * Self::RANGE) as usize), first: first * Self::RANGE }
    }

    fn index(&self, number: u64) -> Option<usize> {
        let index = number.checked_sub(self.first)? as usize;
        (index < self.words.len()).then_some(index)
    }

    pub(crate) fn record(&self, number: u64) -> Record {
        let word = self.index(number).map_or(0, |index| self.words[index].load(Ordering::SeqCst));
        let count = |unit: u64| (word / unit) & 0xffff;
        Record {
            is_begun: word & BEGUN != 0,
            is_sent: word & SENT != 0,
            deliveries: count(DELIVERY),
            rejects: count(REJECT),
            deaths: count(DEATH),
        }
    }

    fn set(&self, number: u64, bit: u64) {
        let index = self.index(number).expect("a number of this message_log");
        self.words[index].fetch_or(bit, Ordering::SeqCst);
    }

    /// These messages may exist from now on.
    pub(crate) fn begin(&self, numbers: std::ops::Range<u64>) {
        numbers.for_each(|number| self.set(number, BEGUN));
    }

    /// Of these messages, those before `end` exist and the others don't.
    pub(crate) fn settle(&self, numbers: std::ops::Range<u64>, end: u64) {
        for number in numbers {
            if number < end {
                self.set(number, SENT);
            } else {
                let index = self.index(number).expect("a number of this message_log");
                self.words[index].fetch_and(!BEGUN, Ordering::SeqCst);
            }
        }
    }

    /// A consumer got it; `redeliveries` is the value that it read, if it read one.
    pub(crate) fn deliver(&self, number: u64, redeliveries: Option<u64>) -> Outcome {
        let before = self.record(number);
        ensure!(before.is_begun, "message {number:#x} came, and was never sent: {before:?}");
        self.words[self.index(number).expect("it was begun")].fetch_add(DELIVERY, Ordering::SeqCst);
        // A consumer that had noted it and did not release it has raised the count by one.
        let is_told = redeliveries.is_none_or(|count| count >= before.deliveries.min(15));
        ensure!(is_told, "message {number:#x} came for the {redeliveries:?}th time again: {before:?}");
        Ok(())
    }

    /// A consumer is about to reject it.
    pub(crate) fn reject(&self, number: u64) {
        self.words[self.index(number).expect("it was begun")].fetch_add(REJECT, Ordering::SeqCst);
    }

    /// A consumer died that held it, or may have held it.
    pub(crate) fn death(&self, number: u64) {
        self.words[self.index(number).expect("it was begun")].fetch_add(DEATH, Ordering::SeqCst);
    }
}
