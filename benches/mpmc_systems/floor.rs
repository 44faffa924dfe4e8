//! No queue: one thread writes messages into a ring and another one reads them in place, with a
//! word each that holds how far they are. The additional time of a queue to move the same bytes
//! from core to core is about its cost.
#![allow(unsafe_code, reason = "the ring's messages, which the two words divide between two threads")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbeam_utils::CachePadded;
use memmap2::{MmapOptions, MmapRaw};

use super::check::Check;
use super::{Receive, Send, System};
use crate::common::message::{Message, fill, words_of};

/// The maximum progress of the reader before it releases room.
const PIECES: u64 = 16;
/// Messages that are published together.
const TOGETHER: u64 = 8;
/// Spin hints after nothing was found, so that the reader does not take the writer's lines away one
/// by one.
const PAUSE: u32 = 160;

/// Room for messages of `W` words, from the beginning of a page on.
pub(super) struct Floor<const W: usize> {
    ring: MmapRaw,
    capacity: u64,
    written: CachePadded<AtomicU64>,
    read: CachePadded<AtomicU64>,
    has_writer: AtomicBool,
    has_reader: AtomicBool,
}

impl<const W: usize> Floor<W> {
    pub(super) fn new(capacity: usize) -> Self {
        let ring = MmapOptions::new().len(capacity * size_of::<Message<W>>()).map_anon().unwrap();
        let (written, read, has_writer, has_reader) = Default::default();
        Self { ring: ring.into(), capacity: capacity as u64, written, read, has_writer, has_reader }
    }

    #[inline(always)]
    fn place(&self, position: u64) -> *mut u8 {
        let index = (position % self.capacity) as usize;
        self.ring.as_mut_ptr().wrapping_add(index * size_of::<Message<W>>())
    }
}

/// The only writer.
struct Writer<'a, const W: usize> {
    floor: &'a Floor<W>,
    next: u64,
    /// From this position on there are messages that may not have been read.
    limit: u64,
}

/// The only reader.
struct Reader<'a, const W: usize> {
    floor: &'a Floor<W>,
    next: u64,
    given_back: u64,
}

impl<const W: usize> System for Floor<W> {
    fn sender(&self) -> impl Send {
        assert!(!self.has_writer.swap(true, Ordering::Relaxed), "one writer");
        Writer { floor: self, next: 0, limit: self.capacity }
    }

    fn receiver(&self) -> impl Receive {
        assert!(!self.has_reader.swap(true, Ordering::Relaxed), "one reader");
        Reader { floor: self, next: 0, given_back: 0 }
    }
}

impl<const W: usize> Writer<'_, W> {
    #[inline(always)]
    fn has_room(&mut self) -> bool {
        if self.next == self.limit {
            self.limit = self.floor.read.load(Ordering::Acquire) + self.floor.capacity;
        }
        self.next < self.limit
    }

    #[inline(always)]
    fn write(&mut self, seq: u64) {
        let place = self.floor.place(self.next);
        // SAFETY: `size_of::<Message<W>>()` bytes inside the ring that the reader leaves alone: it
        // has read what was there (`limit`, Acquire), and reads what is written when that is
        // published (Release). There is one writer.
        let payload = unsafe { std::slice::from_raw_parts_mut(place, size_of::<Message<W>>()) };
        fill::<W>(seq, payload);
        self.next += 1;
    }

    #[inline(always)]
    fn publish(&self) {
        self.floor.written.store(self.next, Ordering::Release);
    }
}

impl<const W: usize> Send for Writer<'_, W> {
    #[inline(always)]
    fn send(&mut self, first: u64, count: u64) {
        for seq in first..first + count {
            if !self.has_room() {
                self.publish();
                while !self.has_room() {
                    std::hint::spin_loop();
                }
            }
            self.write(seq);
            if self.next.is_multiple_of(TOGETHER) {
                self.publish();
            }
        }
        self.publish();
    }

    fn try_send(&mut self, seq: u64) {
        if self.has_room() {
            self.write(seq);
            self.publish();
        }
    }
}

impl<const W: usize> Receive for Reader<'_, W> {
    #[inline(always)]
    fn receive(&mut self, check: &mut Check) {
        let Floor { written, read, capacity, .. } = self.floor;
        let end = written.load(Ordering::Acquire);
        if self.next == end {
            (0..PAUSE).for_each(|_| std::hint::spin_loop());
        }
        while self.next < end {
            // SAFETY: `size_of::<Message<W>>()` bytes inside the ring that the writer has published
            // (Acquire) and leaves alone until `read` has passed them (Release).
            let payload =
                unsafe { std::slice::from_raw_parts(self.floor.place(self.next), size_of::<Message<W>>()) };
            check.words(words_of::<W>(payload));
            self.next += 1;
            if self.next == end || self.next - self.given_back >= capacity / PIECES {
                read.store(self.next, Ordering::Release);
                self.given_back = self.next;
            }
        }
    }
}
