//! Large messages between one of each, in the arena.

use std::path::PathBuf;

use anyhow::Result;
use ringfire::{BlobConsumer, BlobProducer, BlobProducerBuilder, CleanupMode};
use workload::fill_bytes;

use super::{readable, when_made};
use crate::check::Sink;
use crate::systems::{Receiver, Sender, Setup, System};
use crate::wait::{Waiter, Way, until};

pub(in super::super) struct Blobs<const W: usize> {
    path: PathBuf,
    capacity: u64,
    way: Way,
}

impl<const W: usize> System for Blobs<W> {
    fn new(setup: &Setup) -> Result<Self> {
        let capacity = setup.capacity.next_power_of_two() as u64;
        Ok(Self { path: setup.path("ringfire"), capacity, way: setup.way })
    }

    fn sender(&self, _: usize) -> Result<impl Sender> {
        // Twice what the slots can refer to, so that nothing is overwritten while there is headroom.
        let arena = 2 * self.capacity as usize * W * 8;
        let ring = BlobProducerBuilder::new(self.capacity, arena).cleanup_mode(CleanupMode::Persistent);
        Ok(Tx::<W>(ring.build(&self.path).map_err(readable)?, self.way))
    }

    fn receiver(&self, _: usize) -> Result<impl Receiver> {
        let attach = || BlobConsumer::attach_with_name(&self.path, "consumer");
        Ok(Rx::<W>(when_made(&self.path, attach)?, self.way))
    }
}

struct Tx<const W: usize>(BlobProducer<()>, Way);

impl<const W: usize> Sender for Tx<W> {
    fn send(&mut self, first: u64, count: u64) {
        for word in first..first + count {
            let mut waiter = Waiter::new(self.1);
            // One that is being read counts as unread.
            while self.0.headroom() < 2 {
                waiter.wait();
            }
            let pushed = self.0.push_with(&(), W * 8, |payload| fill_bytes::<W>(word, payload));
            pushed.map_err(readable).expect("pushed");
        }
    }
}

struct Rx<const W: usize>(BlobConsumer<()>, Way);

impl<const W: usize> Receiver for Rx<W> {
    #[inline(always)]
    fn receive(&mut self, sink: &mut impl Sink) {
        let view = || self.0.view(|(), payload| sink.bytes::<W>(payload)).map_err(readable).expect("a look");
        until(self.1, view);
        assert_eq!(self.0.lapped_count(), 0, "messages were overwritten before they were read");
    }
}
