//! The consumer's side of a lane, for either framing.

use super::done::Done;
use super::release_tracker::ReleaseTracker;
use super::{Advance, Corruption, LaneMemory, Ref, fixed, variable};
use crate::layout::{Cursors, Framing, Geometry};
use crate::sync::Ordering;

/// A frame that was delivered: the range of positions that it accounts for, and where its payload lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpscFrame {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) offset: usize,
    pub(crate) len: usize,
}

/// Where a payload lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) offset: usize,
    pub(crate) len: usize,
}

/// The payloads of a run.
pub(crate) enum Payloads<'a> {
    Spans(std::slice::Iter<'a, Span>),
    Cells { scan: &'a fixed::FixedScan, offset: usize, left: usize },
}

impl Iterator for Payloads<'_> {
    type Item = Span;

    #[inline(always)]
    fn next(&mut self) -> Option<Span> {
        match self {
            Self::Spans(spans) => spans.next().copied(),
            Self::Cells { left: 0, .. } => None,
            Self::Cells { scan, offset, left } => {
                let (span, following) = scan.at(*offset);
                *offset = following;
                *left -= 1;
                Some(span)
            }
        }
    }
}

/// Consecutive frames that were delivered together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpscRun {
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// Fixed-size messages: ring offset of the first one.
    offset: usize,
    pub(crate) count: usize,
}

enum LaneScan {
    Variable(variable::VariableScan),
    Fixed(fixed::FixedScan),
}

/// Delivers committed frames in order; they may be released in any order.
pub(crate) struct LaneReader {
    memory: LaneMemory,
    cursors: Ref<Cursors>,
    tracker: ReleaseTracker,
    scan: LaneScan,
}

impl LaneReader {
    /// Takes over the lane at the oldest frame that was not released. The caller must hold the
    /// consumer's liveness lock.
    pub(crate) fn attach(
        memory: LaneMemory,
        cursors: Ref<Cursors>,
        done: Done,
        geometry: &Geometry,
    ) -> Result<Self, Corruption> {
        let tracker = ReleaseTracker::attach(cursors.clone(), done, geometry)?;
        let scan = match geometry.framing {
            Framing::Variable => LaneScan::Variable(variable::VariableScan::new(geometry)),
            Framing::Fixed { .. } => LaneScan::Fixed(fixed::FixedScan::new(geometry, tracker.taken())),
        };
        let reader = Self { memory, cursors, tracker, scan };
        reader.inherit(geometry);
        Ok(reader)
    }

    /// Walks over what earlier consumers had in flight, if they have noted that some of it is done
    /// with. If the walk does not reach the end of the notes, they are ignored: the word that ended
    /// it is met again, and reported, when the frame there is taken.
    fn inherit(&self, geometry: &Geometry) {
        let done = self.tracker.noted(geometry);
        let Some((_, &until)) = done.last_key_value() else { return };
        let released = self.tracker.taken();
        let mut frames = Vec::new();
        let mut start = released;
        while start < until {
            let Ok(Some(Advance { end, offset, len })) = self.poll(start) else { break };
            let is_done = done.range(..=start).next_back().is_some_and(|(_, done_until)| end <= *done_until);
            frames.push((SpscFrame { start, end, offset, len }, is_done));
            start = end;
        }
        let is_whole = start == until;
        if is_whole {
            self.tracker.inherit(frames.into_iter());
        }
        if let LaneScan::Fixed(scan) = &self.scan {
            // This also forgets what is known to be committed: what is redelivered comes first.
            scan.restart(if is_whole { until } else { released });
        }
    }

    /// The consumer detaches in order: the next one is not given released frames that are after a
    /// frame to be redelivered.
    pub(crate) fn detach(&self) {
        self.tracker.detach();
    }

    /// The next frame, if there is one. The caller may read its payload until it releases or rejects it.
    #[inline(always)]
    pub(crate) fn take(&self) -> Result<Option<SpscFrame>, Corruption> {
        let start = self.tracker.taken();
        if !self.is_committed_next(start)
            && self.tracker.has_rejected()
            && let Some(frame) = self.tracker.take_rejected()
        {
            return Ok(Some(frame));
        }
        let Some(step) = self.poll(start)? else {
            return Ok(None);
        };
        self.tracker.take(step.end);
        self.memory.note_read(step.offset, step.len);
        Ok(Some(SpscFrame { start, end: step.end, offset: step.offset, len: step.len }))
    }

    /// Whether there is a frame to take.
    pub(crate) fn can_take(&self) -> Result<bool, Corruption> {
        let start = self.tracker.taken();
        Ok(self.tracker.has_rejected()
            || match &self.scan {
                LaneScan::Variable(scan) => scan.ring().poll(&self.memory, start)?.is_some(),
                LaneScan::Fixed(scan) => {
                    scan.is_known_committed(start) || scan.refresh(&self.cursors, start)?
                }
            })
    }

    /// Up to `max` frames in one run, if there are any. The caller may read their payloads until it
    /// releases or rejects the run. A frame that was rejected before is a run of its own.
    ///
    /// `spans` is cleared. For variable-size frames it is given the payload of each, so that the
    /// caller need not follow the chain of commit words again.
    #[inline(always)]
    pub(crate) fn take_many(&self, max: usize, spans: &mut Vec<Span>) -> Result<Option<SpscRun>, Corruption> {
        spans.clear();
        let start = self.tracker.taken();
        if max == 0 {
            return Ok(None);
        }
        if !self.is_committed_next(start)
            && self.tracker.has_rejected()
            && let Some(frame) = self.tracker.take_rejected()
        {
            spans.push(Span { offset: frame.offset, len: frame.len });
            return Ok(Some(SpscRun { start: frame.start, end: frame.end, offset: frame.offset, count: 1 }));
        }
        let run = match &self.scan {
            LaneScan::Variable(scan) => self.run_of_frames(scan, start, max, spans)?,
            LaneScan::Fixed(scan) => self.run_of_messages(scan, start, max)?,
        };
        if run.count == 0 {
            return Ok(None);
        }
        self.tracker.take(run.end);
        self.note_run(run);
        Ok(Some(run))
    }

    #[inline(always)]
    fn run_of_frames(
        &self,
        scan: &variable::VariableScan,
        start: u64,
        max: usize,
        spans: &mut Vec<Span>,
    ) -> Result<SpscRun, Corruption> {
        let mut run = SpscRun { start, end: start, offset: 0, count: 0 };
        while run.count < max {
            match scan.poll(&self.memory, run.end) {
                // More than one ring: the commit words form a cycle.
                Ok(Some(step)) if step.end - start > scan.ring().capacity() => {
                    return Err(Corruption { word: "commit word", position: run.end, found: step.end });
                }
                Ok(Some(step)) => {
                    run.end = step.end;
                    spans.push(Span { offset: step.offset, len: step.len });
                }
                Ok(None) => break,
                // What came before the corruption is delivered; the next call meets it again.
                Err(_) if run.count > 0 => break,
                Err(corruption) => return Err(corruption),
            }
            run.count += 1;
        }
        Ok(run)
    }

    #[inline(always)]
    fn run_of_messages(
        &self,
        scan: &fixed::FixedScan,
        start: u64,
        max: usize,
    ) -> Result<SpscRun, Corruption> {
        if !scan.are_known_committed(start, max) && !scan.refresh(&self.cursors, start)? {
            return Ok(SpscRun { start, end: start, offset: 0, count: 0 });
        }
        let (offset, count) = scan.advance_many(start, max);
        Ok(SpscRun { start, end: start + count as u64, offset, count })
    }

    /// Whether the next new frame is known to be committed, and no rejected frame comes before it.
    #[inline(always)]
    fn is_committed_next(&self, position: u64) -> bool {
        match &self.scan {
            LaneScan::Variable(_) => false,
            LaneScan::Fixed(scan) => scan.is_known_committed(position),
        }
    }

    /// The committed frame at the reader's `position`; steps over it.
    #[inline(always)]
    fn poll(&self, position: u64) -> Result<Option<Advance>, Corruption> {
        match &self.scan {
            LaneScan::Variable(scan) => scan.poll(&self.memory, position),
            LaneScan::Fixed(scan) => {
                if !scan.is_known_committed(position) && !scan.refresh(&self.cursors, position)? {
                    return Ok(None);
                }
                Ok(Some(scan.advance(position)))
            }
        }
    }

    /// The payloads of a run in flight, with the spans that `take_many` returned for it.
    #[inline(always)]
    pub(crate) fn payloads<'a>(&'a self, run: SpscRun, spans: &'a [Span]) -> Payloads<'a> {
        match &self.scan {
            LaneScan::Variable(_) => Payloads::Spans(spans.iter()),
            LaneScan::Fixed(scan) => Payloads::Cells { scan, offset: run.offset, left: run.count },
        }
    }

    /// The frames of a run in flight, found again by their commit words.
    #[inline]
    pub(crate) fn frames(&self, run: SpscRun) -> impl Iterator<Item = SpscFrame> + '_ {
        let mut start = run.start;
        let mut offset = run.offset;
        std::iter::from_fn(move || {
            if start == run.end {
                return None;
            }
            let (end, span) = match &self.scan {
                // Committed words of frames in flight do not change; if something wrote there all
                // the same, the run ends here.
                LaneScan::Variable(scan) => {
                    let step = scan
                        .ring()
                        .poll(&self.memory, start)
                        .ok()
                        .flatten()
                        .filter(|step| step.end <= run.end)?;
                    (step.end, Span { offset: step.offset, len: step.len })
                }
                LaneScan::Fixed(scan) => {
                    let (span, following) = scan.at(offset);
                    offset = following;
                    (start + 1, span)
                }
            };
            let frame = SpscFrame { start, end, offset: span.offset, len: span.len };
            start = end;
            Some(frame)
        })
    }

    /// To be called when there was nothing to take: makes all released room visible to the
    /// producer. True if some of it was not visible before.
    #[inline(always)]
    pub(crate) fn flush_released(&self) -> bool {
        self.tracker.flush_released()
    }

    /// Releases the room of a whole run; the result is that of [`release`](Self::release).
    pub(crate) fn release_run(&self, run: SpscRun) -> bool {
        self.note_run(run);
        self.tracker.release(run.start, run.end)
    }

    /// Tells a model that the payloads of the run are read now.
    #[inline(always)]
    fn note_run(&self, run: SpscRun) {
        if cfg!(loom) {
            self.frames(run).for_each(|frame| self.memory.note_read(frame.offset, frame.len));
        }
    }

    /// The fast path of [`release`](Self::release). False if it does not apply: then nothing is
    /// done.
    #[inline(always)]
    pub(crate) fn release_in_order(&self, frame: SpscFrame) -> bool {
        self.memory.note_read(frame.offset, frame.len);
        self.tracker.release_in_order(frame.start, frame.end)
    }

    /// Releases the room of a frame. True if that is worth waking the producer: a sixteenth of the
    /// ring has been released together, and while the rest is still to be read less is not urgent.
    pub(crate) fn release(&self, frame: SpscFrame) -> bool {
        !self.release_in_order(frame) && self.tracker.release(frame.start, frame.end)
    }

    /// Rejects a frame: it is redelivered, and the redelivery is counted.
    pub(crate) fn reject(&self, frame: SpscFrame) {
        self.put_back_counted(frame, 1);
    }

    /// Returns a frame that was not read to the queue, without counting a redelivery.
    pub(crate) fn put_back(&self, frame: SpscFrame) {
        self.put_back_counted(frame, 0);
    }

    fn put_back_counted(&self, frame: SpscFrame, redeliveries: u64) {
        self.tracker.put_back(frame, redeliveries);
        if let LaneScan::Fixed(scan) = &self.scan {
            // Otherwise the rejected frame would come after all messages that are known to be
            // committed.
            scan.invalidate(self.tracker.taken());
        }
    }

    /// How many times the frame was delivered before.
    pub(crate) fn redeliveries(&self, frame: &SpscFrame) -> u64 {
        self.tracker.redeliveries(frame.start)
    }

    /// The first byte of the payload at a ring offset.
    #[inline(always)]
    pub(crate) fn payload(&self, offset: usize) -> *const u8 {
        self.memory.payload(offset)
    }

    /// The number of positions that are committed and not delivered, or were returned to the queue,
    /// a moment ago.
    pub(crate) fn waiting(&self) -> u64 {
        let tail = self.cursors.tail.load(Ordering::Relaxed);
        tail.saturating_sub(self.tracker.taken()).saturating_add(self.tracker.put_back_size())
    }

    /// The position from which on no earlier consumer has taken a frame. Nothing was taken yet.
    pub(crate) fn first_undelivered(&self) -> u64 {
        self.tracker.first_undelivered()
    }

    /// The reader's position: the end of the newest frame that was delivered.
    pub(crate) fn position(&self) -> u64 {
        self.tracker.taken()
    }
}
