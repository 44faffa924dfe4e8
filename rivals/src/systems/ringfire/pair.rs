//! Values, through the ring of one producer.

use std::path::PathBuf;

use anyhow::Result;
use ringfire::{CleanupMode, FlowControl, FutexWait, RingConsumer, RingProducer, RingProducerBuilder};
use workload::{Message, make};

use super::{readable, when_made};
use crate::check::Sink;
use crate::systems::{Receiver, Sender, Setup, System};
use crate::wait::{Waiter, Way, until};

pub(in super::super) struct Pair<const W: usize> {
    path: PathBuf,
    capacity: u64,
    way: Way,
    batch: usize,
}

impl<const W: usize> System for Pair<W> {
    fn new(setup: &Setup) -> Result<Self> {
        let capacity = setup.capacity.next_power_of_two() as u64;
        Ok(Self { path: setup.path("ringfire"), capacity, way: setup.way, batch: setup.batch })
    }

    fn sender(&self, _: usize) -> Result<impl Sender> {
        let ring = RingProducerBuilder::new(self.capacity).flow_control(FlowControl::LosslessBackpressure);
        let tx = ring.cleanup_mode(CleanupMode::Persistent).build(&self.path).map_err(readable)?;
        Ok(Tx::<W> { tx, way: self.way, batch: Vec::with_capacity(self.batch), most: self.batch })
    }

    fn receiver(&self, _: usize) -> Result<impl Receiver> {
        let rx = when_made(&self.path, || RingConsumer::attach(&self.path))?;
        Ok(Rx::<W> { rx, way: self.way, batch: vec![[0; W]; self.batch] })
    }
}

struct Tx<const W: usize> {
    tx: RingProducer<Message<W>>,
    way: Way,
    batch: Vec<Message<W>>,
    most: usize,
}

impl<const W: usize> Sender for Tx<W> {
    fn send(&mut self, first: u64, count: u64) {
        if self.most > 1 {
            for start in (first..first + count).step_by(self.most) {
                self.batch.clear();
                self.batch.extend((start..(first + count).min(start + self.most as u64)).map(make));
                self.tx.push_batch(&self.batch);
            }
        } else if self.way == Way::Own {
            (first..first + count).for_each(|word| self.tx.push(&make(word)));
        } else {
            for word in first..first + count {
                let message = make(word);
                let mut waiter = Waiter::new(self.way);
                while self.tx.try_push(&message).is_err() {
                    waiter.wait();
                }
            }
        }
    }
}

struct Rx<const W: usize> {
    rx: RingConsumer<Message<W>>,
    way: Way,
    batch: Vec<Message<W>>,
}

impl<const W: usize> Receiver for Rx<W> {
    #[inline(always)]
    fn receive(&mut self, sink: &mut impl Sink) {
        let Self { rx, way, batch } = self;
        if *way == Way::Own {
            sink.words(rx.recv_blocking(&mut FutexWait::default()).into_iter());
        } else if batch.len() == 1 {
            sink.words(until(*way, || rx.try_recv()).into_iter());
        } else {
            let count = until(*way, || Some(rx.recv_batch(batch)).filter(|count| *count > 0));
            batch[..count].iter().for_each(|message| sink.words(message.iter().copied()));
        }
    }
}
