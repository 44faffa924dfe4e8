//! The messages that may be delivered next, when some producers of a queue were killed.

use std::collections::VecDeque;

use super::{Outcome, Shape};

/// The end of a producer that was killed: messages before `sent` were committed for certain, those
/// from `about` on were not; its successor went on with `resume`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Doubt {
    pub(crate) sent: u64,
    pub(crate) about: u64,
    pub(crate) resume: u64,
    /// Whether the messages in doubt were one commit: then all of them are delivered, or none.
    pub(crate) whole: bool,
}

impl Doubt {
    /// Whether the dead producer's messages may have ended before `seq`.
    fn may_end_at(&self, seq: u64) -> bool {
        seq == self.sent || seq == self.about || (!self.whole && self.sent < seq && seq < self.about)
    }
}

/// Checks that messages arrive in order, whole, without gap or repetition.
#[derive(Clone)]
pub(crate) struct Stream {
    shape: Shape,
    next: u64,
    /// The first message may be any from here to `next`: what a dead consumer may or may not have released.
    start: Option<u64>,
    doubts: VecDeque<Doubt>,
    /// Messages in doubt that were delivered, and doubts whose messages were not.
    pub(crate) came: u64,
    pub(crate) vanished: u64,
}

impl Stream {
    pub(crate) fn new(shape: Shape, next: u64) -> Self {
        Self { shape, next, start: None, doubts: VecDeque::new(), came: 0, vanished: 0 }
    }

    /// As `new`, but it may begin with any message of `start..=next`.
    pub(crate) fn starting_between(shape: Shape, start: u64, next: u64) -> Self {
        Self { start: Some(start), ..Self::new(shape, next) }
    }

    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    /// The message that is delivered next, unless a dead producer did not get that far.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// A producer was killed.
    pub(crate) fn doubt(&mut self, doubt: Doubt) -> Outcome {
        if self.next > doubt.about {
            return Err(format!("message {} came, but {doubt:?}", self.next - 1).into());
        }
        self.doubts.push_back(doubt);
        Ok(())
    }

    /// Takes the next message, and returns which it is.
    pub(crate) fn accept(&mut self, bytes: &[u8]) -> Outcome<u64> {
        if let (Some(start), Some(seq)) = (self.start.take(), Shape::number(bytes))
            && (start..self.next).contains(&seq)
        {
            self.next = seq;
            self.doubts.retain(|doubt| doubt.resume > seq);
        }
        let mut at = self.next;
        loop {
            let doubt = self.doubts.front().copied();
            if doubt.is_none_or(|doubt| at < doubt.about) && self.shape.is(at, bytes) {
                self.came += u64::from(doubt.is_some_and(|doubt| at >= doubt.sent));
                self.next = at + 1;
                return Ok(at);
            }
            match doubt {
                Some(doubt) if doubt.may_end_at(at) => at = self.pass(doubt),
                _ => return Err(self.unexpected(bytes)),
            }
        }
    }

    /// A dead producer's messages have ended.
    fn pass(&mut self, doubt: Doubt) -> u64 {
        self.vanished += u64::from(self.next < doubt.about);
        self.doubts.pop_front();
        self.next = doubt.resume;
        doubt.resume
    }

    /// The queue is empty, and all producers are dead: the message that would be next.
    pub(crate) fn settle(&mut self) -> Outcome<u64> {
        while let Some(doubt) = self.doubts.front().copied() {
            if !doubt.may_end_at(self.next) {
                return Err(format!("lost: message {} did not come, and {doubt:?}", self.next).into());
            }
            self.pass(doubt);
        }
        Ok(self.next)
    }

    fn unexpected(&self, bytes: &[u8]) -> Box<dyn std::error::Error> {
        let number = Shape::number(bytes);
        let whole = number.is_some_and(|seq| self.shape.is(seq, bytes));
        let what = if whole { "an intact message" } else { "a torn or foreign message" };
        let begin = &bytes[..bytes.len().min(16)];
        format!(
            "expected message {} ({} bytes), found {what} of {} bytes that says it is {number:?} and begins {begin:?}; \
             doubts: {:?}",
            self.next,
            self.shape.len(self.next),
            bytes.len(),
            self.doubts,
        )
        .into()
    }
}
