//! ipmpsc: bytes as serde's bytes, which are copied as a whole, and read in place
//! (`zero_copy_context`). Many producers, one consumer, no batches.

use anyhow::{Context, Result, ensure};
use ipmpsc::SharedRingBuffer;
use serde_bytes::Bytes;
use workload::fill_bytes;

use super::{Family, Receiver, Sender, Setup, System};
use crate::check::Sink;
use crate::wait::{Way, until};

/// What it puts before each message and at the end of the ring, and the queue's header.
const OVERHEAD: usize = 64;

pub(super) struct Ipmpsc<const W: usize> {
    path: String,
    way: Way,
}

impl<const W: usize> System for Ipmpsc<W> {
    fn new(setup: &Setup) -> Result<Self> {
        ensure!(setup.shape.consumers == 1, "there is one receiver");
        let path = setup.path("ipmpsc").to_string_lossy().into_owned();
        let bytes = (setup.capacity * (setup.bytes + 16)).next_multiple_of(4096) + OVERHEAD;
        SharedRingBuffer::create(&path, bytes as u32).context("creating the ring")?;
        Ok(Self { path, way: setup.way })
    }

    fn sender(&self, _: usize) -> Result<impl Sender> {
        let tx = ipmpsc::Sender::new(SharedRingBuffer::open(&self.path)?);
        Ok(Tx::<W> { tx, buffer: vec![0; W * 8] })
    }

    fn receiver(&self, _: usize) -> Result<impl Receiver> {
        Ok(Rx::<W>(ipmpsc::Receiver::new(SharedRingBuffer::open(&self.path)?), self.way))
    }
}

struct Tx<const W: usize> {
    tx: ipmpsc::Sender,
    buffer: Vec<u8>,
}

impl<const W: usize> Sender for Tx<W> {
    fn send(&mut self, first: u64, count: u64) {
        for word in first..first + count {
            fill_bytes::<W>(word, &mut self.buffer);
            self.tx.send(&Bytes::new(&self.buffer)).expect("room");
        }
    }
}

struct Rx<const W: usize>(ipmpsc::Receiver, Way);

impl<const W: usize> Receiver for Rx<W> {
    fn receive(&mut self, sink: &mut impl Sink) {
        if self.1 == Way::Own {
            let mut context = self.0.zero_copy_context();
            let message: &Bytes = context.recv().expect("a message");
            sink.bytes::<W>(message);
            return;
        }
        until(self.1, || {
            let mut context = self.0.zero_copy_context();
            let message: &Bytes = context.try_recv().expect("a look into the ring")?;
            sink.bytes::<W>(message);
            Some(())
        });
    }
}

pub(super) struct Ipmpscs;

impl Family for Ipmpscs {
    type Small<const W: usize> = Ipmpsc<W>;
    type Large<const W: usize> = Ipmpsc<W>;
}
