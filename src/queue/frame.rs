//! Guards over received messages.
#![allow(unsafe_code, reason = "lends payload bytes that the lane protocol grants to this guard")]

use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::Deref;

use super::consumer::BytesConsumer;
use crate::lane::{Span, TakenFrame, TakenRun};

/// A received message, in the file. Dropping it gives its room back.
///
/// Dropped by a panic, the message comes again: panicking is no way to finish with it. A frame that is forgotten
/// (`mem::forget`) keeps its room, and that of everything behind it, until the consumer is gone.
pub struct BytesFrame<'c> {
    consumer: &'c BytesConsumer,
    taken: TakenFrame,
}

impl<'c> BytesFrame<'c> {
    #[inline(always)]
    pub(super) fn new(consumer: &'c BytesConsumer, taken: TakenFrame) -> Self {
        Self { consumer, taken }
    }

    /// How often the message was handed out before: 0 only if never. Counts the consumers that ended while they held
    /// it, and this consumer's rejections; after several of these it may differ by a few.
    pub fn redeliveries(&self) -> u64 {
        self.consumer.reader().redeliveries(&self.taken)
    }

    /// Puts the message back: it comes again, before any new one, with one redelivery more.
    pub fn reject(self) {
        let this = ManuallyDrop::new(self);
        put_back(this.consumer, this.taken);
    }

    pub(crate) fn consumer(&self) -> &'c BytesConsumer {
        self.consumer
    }
}

impl Deref for BytesFrame<'_> {
    type Target = [u8];

    #[inline(always)]
    fn deref(&self) -> &[u8] {
        let payload = self.consumer.reader().payload(self.taken.offset);
        // SAFETY: the reader took this committed frame and checked that its `len` bytes lie in the mapped ring; the
        // producer does not write there until the frame is released, which consumes the guard.
        unsafe { std::slice::from_raw_parts(payload, self.taken.len) }
    }
}

impl Drop for BytesFrame<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        if std::thread::panicking() {
            put_back(self.consumer, self.taken);
        } else if self.consumer.is_own_process() {
            self.consumer.reader().release(self.taken);
        }
    }
}

impl fmt::Debug for BytesFrame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BytesFrame").field("len", &self.len()).finish_non_exhaustive()
    }
}

// Free functions that take values, not methods that take the guard: a guard whose address is known nowhere can live
// in registers.

#[cold]
fn put_back(consumer: &BytesConsumer, taken: TakenFrame) {
    if consumer.is_own_process() {
        consumer.reader().reject(taken);
    }
}

#[cold]
fn put_run_back(consumer: &BytesConsumer, run: TakenRun) {
    if consumer.is_own_process() {
        consumer.reader().frames(run).for_each(|frame| consumer.reader().reject(frame));
    }
}

/// Messages received together, in the file. Dropping it gives the room of all of them back; dropped by a panic,
/// all of them come again.
pub struct BytesFrames<'c> {
    consumer: &'c BytesConsumer,
    run: TakenRun,
    /// Lent by the consumer, so that steady traffic allocates nothing.
    spans: Vec<Span>,
}

impl<'c> BytesFrames<'c> {
    #[inline(always)]
    pub(super) fn new(consumer: &'c BytesConsumer, run: TakenRun, spans: Vec<Span>) -> Self {
        Self { consumer, run, spans }
    }

    /// How many messages there are.
    pub fn len(&self) -> usize {
        self.run.count
    }

    /// Never true: a guard holds at least one message.
    pub fn is_empty(&self) -> bool {
        self.run.count == 0
    }

    /// The messages, in order.
    #[inline(always)]
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> + '_ {
        let reader = self.consumer.reader();
        reader.payloads(self.run, &self.spans).map(|span| {
            let payload = reader.payload(span.offset);
            // SAFETY: as in `BytesFrame::deref`; the run is released when `self` is dropped, which the borrow
            // outlives.
            unsafe { std::slice::from_raw_parts(payload, span.len) }
        })
    }

    /// Puts all the messages back: they come again, before any new one, with one redelivery more.
    pub fn reject(mut self) {
        put_run_back(self.consumer, self.run);
        self.consumer.return_spans(std::mem::take(&mut self.spans));
        std::mem::forget(self);
    }

    pub(crate) fn consumer(&self) -> &'c BytesConsumer {
        self.consumer
    }
}

impl Drop for BytesFrames<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        if std::thread::panicking() {
            put_run_back(self.consumer, self.run);
        } else if self.consumer.is_own_process() {
            self.consumer.reader().release_run(self.run);
        }
        self.consumer.return_spans(std::mem::take(&mut self.spans));
    }
}

impl fmt::Debug for BytesFrames<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BytesFrames").field("len", &self.len()).finish_non_exhaustive()
    }
}
