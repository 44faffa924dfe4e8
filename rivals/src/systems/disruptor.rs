//! disruptor: events filled in place, an event poller. One consumer gets all events, so there can
//! be only one here.

use std::sync::Mutex;

use anyhow::{Context, Result, ensure};
use disruptor::{
    BusySpin, EventPoller, MultiProducer, MultiProducerBarrier, Polling, Producer, SingleConsumerBarrier,
    SingleProducer, SingleProducerBarrier, build_multi_producer, build_single_producer,
};
use workload::{Message, fill};

use super::{Family, Receiver, Sender, Setup, System};
use crate::check::Sink;
use crate::wait::{Waiter, Way};

const MIN_OF_MANY: usize = 64;

/// An event that can be filled.
pub(super) trait Event: Send + Sync + 'static {
    fn new(bytes: usize) -> Self;
    fn fill(&mut self, first: u64);
    fn words(&self) -> impl ExactSizeIterator<Item = u64>;
}

impl<const W: usize> Event for Message<W> {
    fn new(_: usize) -> Self {
        [0; W]
    }

    #[inline(always)]
    fn fill(&mut self, first: u64) {
        fill(first, self);
    }

    #[inline(always)]
    fn words(&self) -> impl ExactSizeIterator<Item = u64> {
        self.iter().copied()
    }
}

/// Large ones, so that they need not be built on the stack.
impl Event for Box<[u64]> {
    fn new(bytes: usize) -> Self {
        vec![1; bytes / 8].into_boxed_slice()
    }

    fn fill(&mut self, first: u64) {
        fill(first, self);
    }

    fn words(&self) -> impl ExactSizeIterator<Item = u64> {
        self.iter().copied()
    }
}

enum Sides<E> {
    One(SingleProducer<E, SingleConsumerBarrier>, EventPoller<E, SingleProducerBarrier>),
    Many(MultiProducer<E, SingleConsumerBarrier>, EventPoller<E, MultiProducerBarrier>),
}

enum Tx<E> {
    One(SingleProducer<E, SingleConsumerBarrier>),
    Many(MultiProducer<E, SingleConsumerBarrier>),
}

enum Rx<E> {
    OfOne(EventPoller<E, SingleProducerBarrier>),
    OfMany(EventPoller<E, MultiProducerBarrier>),
}

pub(super) struct Disruptor<E> {
    tx: Mutex<Vec<Tx<E>>>,
    rx: Mutex<Option<Rx<E>>>,
    way: Way,
    batch: usize,
}

fn make<E: Event>(setup: &Setup) -> Sides<E> {
    // Several producers need this number.
    let least = if setup.is_pair() { 1 } else { MIN_OF_MANY };
    let slots = setup.capacity.max(least).next_power_of_two();
    let bytes = setup.bytes;
    let factory = move || E::new(bytes);
    if setup.is_pair() {
        let (poller, builder) = build_single_producer(slots, factory, BusySpin).new_event_poller();
        Sides::One(builder.build(), poller)
    } else {
        let (poller, builder) = build_multi_producer(slots, factory, BusySpin).new_event_poller();
        Sides::Many(builder.build(), poller)
    }
}

impl<E: Event> System for Disruptor<E> {
    fn new(setup: &Setup) -> Result<Self> {
        ensure!(setup.shape.consumers == 1, "every consumer gets every event");
        let (tx, rx) = match make(setup) {
            Sides::One(tx, rx) => (vec![Tx::One(tx)], Rx::OfOne(rx)),
            Sides::Many(tx, rx) => {
                // Cloned before anything is sent, so that none is dropped before the others are there.
                let more = (1..setup.shape.producers).map(|_| Tx::Many(tx.clone())).collect::<Vec<_>>();
                (more.into_iter().chain([Tx::Many(tx)]).collect(), Rx::OfMany(rx))
            }
        };
        Ok(Self { tx: Mutex::new(tx), rx: Mutex::new(Some(rx)), way: setup.way, batch: setup.batch })
    }

    fn sender(&self, _: usize) -> Result<impl Sender> {
        let tx = self.tx.lock().expect("no worker panics here").pop();
        Ok(Side(tx.context("each worker has one handle")?, self.way, self.batch))
    }

    fn receiver(&self, _: usize) -> Result<impl Receiver> {
        let rx = self.rx.lock().expect("no worker panics here").take();
        Ok(Side(rx.context("there is one consumer")?, self.way, self.batch))
    }
}

struct Side<H>(H, Way, usize);

fn publish<E: Event>(tx: &mut impl Producer<E>, first: u64, count: u64, batch: usize) {
    if batch == 1 {
        for word in first..first + count {
            tx.publish(|event| event.fill(word));
        }
        return;
    }
    for start in (first..first + count).step_by(batch) {
        let rest = (first + count - start).min(batch as u64);
        tx.batch_publish(rest as usize, |events| {
            for (event, word) in events.zip(start..) {
                event.fill(word);
            }
        });
    }
}

impl<E: Event> Sender for Side<Tx<E>> {
    fn send(&mut self, first: u64, count: u64) {
        match &mut self.0 {
            Tx::One(tx) => publish(tx, first, count, self.2),
            Tx::Many(tx) => publish(tx, first, count, self.2),
        }
    }
}

/// Takes all that is there, as an event poller is meant to.
macro_rules! poll {
    ($poller:expr, $way:expr, $sink:expr) => {{
        let mut waiter = Waiter::new($way);
        loop {
            match $poller.poll() {
                Ok(mut events) => {
                    for event in &mut events {
                        $sink.words(event.words());
                    }
                    return;
                }
                Err(Polling::NoEvents) => waiter.wait(),
                Err(Polling::Shutdown) => panic!("the producers are gone"),
            }
        }
    }};
}

impl<E: Event> Receiver for Side<Rx<E>> {
    #[inline(always)]
    fn receive(&mut self, sink: &mut impl Sink) {
        match &mut self.0 {
            Rx::OfOne(poller) => poll!(poller, self.1, sink),
            Rx::OfMany(poller) => poll!(poller, self.1, sink),
        }
    }
}

pub(super) struct Disruptors;

impl Family for Disruptors {
    type Small<const W: usize> = Disruptor<Message<W>>;
    type Large<const W: usize> = Disruptor<Box<[u64]>>;
}
