//! `unsafe_no_crash`: the library's MPMC ring without what makes it safe against crashes, to see what that costs.
//!
//! A private copy of the algorithm, for threads of one process. Without: intents, HELD marks, the look for frames to hand
//! out again, leases, recovery, fork detection. **Here a thread that dies between claim and commit stops the queue for
//! good.**
//!
//! Everything else is as in `src/links/`, `src/lane/linked.rs` and `src/queue/mpmc/`, and should follow them. One
//! by one, the library with its intents and marks taken out is as fast as this copy; in batches there is less in the way
//! here than guards and errors of a public API put there, so that ratio says more than what crash safety costs.
#![allow(unsafe_code, reason = "frames in shared memory")]

mod lane;
mod order;

use std::sync::atomic::{AtomicUsize, Ordering};

use memmap2::{MmapOptions, MmapRaw};

use self::lane::Writer;
use self::order::{Order, Place};
use super::check::Check;
use super::waiting::{Pause, Waiting};
use super::{BATCH, Receive, Send, System};
use crate::common::message::fill;

const GRANULE: usize = 64;

/// Links and lanes.
pub(super) struct NoCrash<const W: usize> {
    order: Order,
    lanes: MmapRaw,
    lane_len: usize,
    /// Lanes that have a producer.
    leased: AtomicUsize,
    batch: bool,
}

impl<const W: usize> NoCrash<W> {
    pub(super) fn new(links: usize, lane_len: usize, producers: usize, batch: bool) -> Self {
        let lane_len = lane_len.next_power_of_two();
        let lanes = mapped(producers * lane_len);
        Self { order: Order::new(links), lanes, lane_len, leased: AtomicUsize::new(0), batch }
    }

    /// The first byte of a frame in a lane.
    #[inline(always)]
    fn payload(&self, lane: usize, offset: usize) -> *mut u8 {
        debug_assert!((lane * self.lane_len + offset) < self.lanes.len());
        // SAFETY: callers give lanes that there are, and offsets inside them.
        unsafe { self.lanes.as_mut_ptr().add(lane * self.lane_len + offset) }
    }
}

impl<const W: usize> System for NoCrash<W> {
    fn sender(&self) -> impl Send {
        let lane = self.leased.fetch_add(1, Ordering::Relaxed);
        let writer = Writer::new(self.lane_len, self.order.links());
        Sender { ring: self, lane, writer, staged: Vec::new(), sent: 0 }
    }

    fn receiver(&self) -> impl Receive {
        Receiver { ring: self, received: 0, spans: Vec::new() }
    }
}

/// Memory of the kind that the library's queues are in: pages of a file, with holes filled.
fn mapped(len: usize) -> MmapRaw {
    let file = tempfile::tempfile_in("/dev/shm").unwrap();
    file.set_len(len as u64).unwrap();
    MmapOptions::new().len(len).populate().map_raw(&file).unwrap()
}

struct Sender<'r, const W: usize> {
    ring: &'r NoCrash<W>,
    lane: usize,
    writer: Writer,
    /// Where the frames begin that are written, but not linked yet, and their lengths.
    staged: Vec<(u64, usize)>,
    sent: u64,
}

impl<const W: usize> Sender<'_, W> {
    /// Writes `count` frames into the lane, then links them; all or nothing.
    #[inline(always)]
    fn try_send_run(&mut self, first: u64, count: usize) -> Option<()> {
        let ring = self.ring;
        self.staged.clear();
        let mut at = self.writer.tail();
        for seq in first..first + count as u64 {
            let start = self.writer.reserve(at, W * 8, |position| ring.order.is_over(position))?;
            let payload = ring.payload(self.lane, self.writer.offset(start));
            // SAFETY: the writer found this room inside the lane, which only this sender writes to; nobody reads it before it
            // is linked.
            fill::<W>(seq, unsafe { std::slice::from_raw_parts_mut(payload, W * 8) });
            at = start + self.writer.size(W * 8);
            self.staged.push((start, W * 8));
        }
        let claimed = ring.order.claim(count as u64)?;
        for (position, (start, len)) in (claimed..).zip(&self.staged) {
            let place = Place { lane: self.lane, offset: self.writer.offset(*start), len: *len };
            ring.order.commit(position, place);
            self.writer.linked(position, *start, *len);
        }
        self.sent += count as u64;
        Some(())
    }
}

impl<const W: usize> Send for Sender<'_, W> {
    #[inline(always)]
    fn send(&mut self, first: u64, count: u64) {
        let step = if self.ring.batch { BATCH } else { 1 };
        for start in (first..first + count).step_by(step) {
            Pause::until(|| self.try_send_run(start, step));
        }
    }

    fn try_send(&mut self, seq: u64) {
        let _ = self.try_send_run(seq, 1);
    }
}

struct Receiver<'r, const W: usize> {
    ring: &'r NoCrash<W>,
    received: u64,
    spans: Vec<Taken>,
}

/// A frame that is out.
struct Taken {
    position: u64,
    lane: usize,
    offset: usize,
    len: usize,
}

impl<const W: usize> Receiver<'_, W> {
    /// Where the frame is, checked as the library does.
    #[inline(always)]
    fn out(&self, position: u64) -> Taken {
        let Place { lane, offset, len } = self.ring.order.place(position);
        assert!(lane * self.ring.lane_len < self.ring.lanes.len() && offset <= self.ring.lane_len - len);
        Taken { position, lane, offset, len }
    }

    #[inline(always)]
    fn bytes(&self, taken: &Taken) -> &[u8] {
        let payload = self.ring.payload(taken.lane, taken.offset);
        // SAFETY: `out` has checked where it lies; this consumer took the frame, so that nobody writes there before it is
        // released.
        unsafe { std::slice::from_raw_parts(payload, taken.len) }
    }

    #[inline(always)]
    fn try_receive(&mut self, check: &mut Check) -> Option<()> {
        let position = self.ring.order.take()?;
        self.received += 1;
        check.bytes::<W>(self.bytes(&self.out(position)));
        self.ring.order.release(position);
        Some(())
    }

    #[inline(always)]
    fn try_receive_many(&mut self, check: &mut Check) -> Option<()> {
        let taken = self.ring.order.take_many(BATCH as u64)?;
        let mut spans = std::mem::take(&mut self.spans);
        spans.clear();
        spans.extend(taken.map(|position| self.out(position)));
        self.received += spans.len() as u64;
        spans.iter().for_each(|taken| check.bytes::<W>(self.bytes(taken)));
        spans.iter().for_each(|taken| self.ring.order.release(taken.position));
        self.spans = spans;
        Some(())
    }
}

impl<const W: usize> Receive for Receiver<'_, W> {
    #[inline(always)]
    fn receive(&mut self, check: &mut Check) {
        if self.ring.batch {
            Pause::until(|| self.try_receive_many(check));
        } else {
            Pause::until(|| self.try_receive(check));
        }
    }
}
