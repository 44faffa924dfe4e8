//! The kinds of queues with which every test is run.

use ringway::spsc::BytesQueue;
use ringway::{CreateOptions, Framing};

use super::{Outcome, Shape, TestDir, ensure};

#[derive(Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    capacity: usize,
    align: Option<usize>,
    start: u64,
}

impl Kind {
    pub(crate) const fn new(name: &'static str, capacity: usize, shape: Shape) -> Self {
        Self { name, shape, capacity, align: None, start: 0 }
    }

    pub(crate) const fn align(self, align: usize) -> Self {
        Self { align: Some(align), ..self }
    }

    /// Cursors begin here.
    pub(crate) const fn start(self, start: u64) -> Self {
        Self { start, ..self }
    }

    /// With messages that contain their number.
    pub(crate) fn telling(self) -> Self {
        let shape = match self.shape {
            Shape::Mixed { max, .. } => Shape::Mixed { min: 8, max },
            same => same,
        };
        Self { shape, ..self }
    }

    pub(crate) fn create(&self, place: &TestDir) -> Outcome<BytesQueue> {
        let mut options = CreateOptions::new().ring_bytes(self.capacity).start_position(self.start);
        if let Some(align) = self.align {
            options = options.align(align);
        }
        if let Shape::Fixed(len) = self.shape {
            options = options.framing(Framing::Fixed(len));
        }
        place.create(&options)
    }

    /// Every byte of the ring can still be used: it takes as many messages as that of a new queue
    /// would, lap after lap.
    pub(crate) fn is_whole(&self, queue: &BytesQueue) -> Outcome {
        let mut producer = queue.producer()?;
        let consumer = queue.consumer()?;
        let (len, expected) = match self.shape {
            Shape::Fixed(len) => {
                let natural = 1 << len.trailing_zeros().min(3);
                (len, self.capacity / len.next_multiple_of(self.align.unwrap_or(natural)))
            }
            // One granule stays free for the next commit word.
            _ => {
                let granule = self.align.unwrap_or(8);
                (granule - 8, queue.ring_bytes() / granule - 1)
            }
        };
        let message = vec![0x77; len];
        for _ in 0..3 {
            let mut count = 0;
            while producer.try_send(&message).is_ok() {
                count += 1;
            }
            ensure!(count == expected, "the ring takes {count} messages, not {expected}");
            for _ in 0..count {
                ensure!(*consumer.try_recv()? == message[..], "a message was changed");
            }
        }
        ensure!(consumer.try_recv().is_err(), "a message came that nobody sent");
        Ok(())
    }
}
