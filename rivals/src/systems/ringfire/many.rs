//! Values, through the ring of many producers. It has no batches, and drops messages for which
//! consumers are too slow.

use std::path::PathBuf;

use anyhow::{Context, Result};
use ringfire::{MpmcProducer, MpmcQueueConsumer};
use workload::{Message, fill};

use super::readable;
use crate::check::Sink;
use crate::systems::{Receiver, Sender, Setup, System};
use crate::wait::{Way, until};

pub(in super::super) struct Many<const W: usize> {
    path: PathBuf,
    way: Way,
    /// The ring lives as long as the worker that created it.
    _made: MpmcProducer<Message<W>>,
}

impl<const W: usize> System for Many<W> {
    fn new(setup: &Setup) -> Result<Self> {
        let path = setup.path("ringfire");
        let made =
            MpmcProducer::create(&path, setup.capacity.next_power_of_two() as u64).map_err(readable)?;
        Ok(Self { path, way: setup.way, _made: made })
    }

    fn sender(&self, _: usize) -> Result<impl Sender> {
        let message = vec![0; W].into_boxed_slice().try_into().ok().context("that many words")?;
        Ok(Tx::<W>(MpmcProducer::attach(&self.path).map_err(readable)?, message))
    }

    fn receiver(&self, _: usize) -> Result<impl Receiver> {
        Ok(Rx::<W>(MpmcQueueConsumer::attach(&self.path).map_err(readable)?, self.way))
    }
}

/// With a message to fill, which may be a large one.
struct Tx<const W: usize>(MpmcProducer<Message<W>>, Box<Message<W>>);

impl<const W: usize> Sender for Tx<W> {
    fn send(&mut self, first: u64, count: u64) {
        for word in first..first + count {
            fill(word, &mut self.1[..]);
            self.0.push(&self.1);
        }
    }
}

struct Rx<const W: usize>(MpmcQueueConsumer<Message<W>>, Way);

impl<const W: usize> Receiver for Rx<W> {
    #[inline(always)]
    fn receive(&mut self, sink: &mut impl Sink) {
        let message = until(self.1, || self.0.try_recv());
        sink.words(message.iter().copied());
    }
}
