//! The guards of the messages in flight.

use std::collections::VecDeque;

use ringway::kind::{BytesFrame, BytesFrames, Kind};

/// Messages that are released together.
pub(crate) enum Guard<'c, K: Kind> {
    One(BytesFrame<'c, K>),
    Many(BytesFrames<'c, K>),
}

impl<K: Kind> Guard<'_, K> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Many(frames) => frames.len(),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::One(frame) => frame.len(),
            Self::Many(frames) => frames.iter().map(<[u8]>::len).sum(),
        }
    }

    /// Calls the function with each message's position and bytes, in order.
    pub(crate) fn for_each(&self, mut each: impl FnMut(u64, &[u8])) {
        match self {
            Self::One(frame) => each(frame.position(), frame),
            Self::Many(frames) => {
                frames.positions().zip(frames.iter()).for_each(|(position, payload)| each(position, payload));
            }
        }
    }

    fn give_back(self) {
        match self {
            Self::One(frame) => frame.put_back(),
            Self::Many(frames) => frames.reject_seen(0),
        }
    }
}

struct Run<'c, K: Kind> {
    guard: Guard<'c, K>,
    messages: usize,
    bytes: usize,
    /// How many messages had been taken with this run, since the beginning.
    end: u64,
}

/// Guards in the order in which they were taken. Dropping it gives back what is left, never releases it.
pub(crate) struct Held<'c, K: Kind> {
    runs: VecDeque<Run<'c, K>>,
    messages: usize,
    bytes: usize,
    taken: u64,
}

impl<K: Kind> Default for Held<'_, K> {
    fn default() -> Self {
        Self { runs: VecDeque::new(), messages: 0, bytes: 0, taken: 0 }
    }
}

impl<'c, K: Kind> Held<'c, K> {
    pub(crate) fn push(&mut self, guard: Guard<'c, K>, bytes: usize) {
        let messages = guard.len();
        self.messages += messages;
        self.bytes += bytes;
        self.taken += messages as u64;
        self.runs.push_back(Run { guard, messages, bytes, end: self.taken });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    pub(crate) fn messages(&self) -> usize {
        self.messages
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether all messages of the oldest run are among the first `acked` ones.
    pub(crate) fn ends_by(&self, acked: u64) -> bool {
        self.runs.front().is_some_and(|run| run.end <= acked)
    }

    pub(crate) fn release_oldest(&mut self) {
        if let Some(run) = self.runs.pop_front() {
            self.messages -= run.messages;
            self.bytes -= run.bytes;
            drop(run.guard);
        }
    }

    /// Gives back everything, newest first, so that an SPSC queue's order needs no mending.
    pub(crate) fn give_back(&mut self) {
        while let Some(run) = self.runs.pop_back() {
            run.guard.give_back();
        }
        (self.messages, self.bytes) = (0, 0);
    }
}

impl<K: Kind> Drop for Held<'_, K> {
    fn drop(&mut self) {
        self.give_back();
    }
}
