//! nexus-queue: its queue for each shape. It has none for several of both, and no batches.

use anyhow::{Result, bail};
use nexus_queue::{mpsc, spmc, spsc};

use super::{Pop, Push, Sides, Values};
use crate::case::Shape;

/// For any shape that there is a queue for.
pub(in super::super) struct Nexus;

/// For one of each, where even the check which queue it is would have a cost.
pub(in super::super) struct NexusPair;

impl Values for NexusPair {
    type Tx<T: Send + 'static> = spsc::Producer<T>;
    type Rx<T: Send + 'static> = spsc::Consumer<T>;

    fn make<T: Send + 'static>(capacity: usize, _: Shape) -> Result<Sides<Self, T>> {
        let (tx, rx) = spsc::ring_buffer(capacity);
        Ok((vec![tx], vec![rx]))
    }
}

impl<T: Send> Push<T> for spsc::Producer<T> {
    #[inline(always)]
    fn try_push(&mut self, value: T) -> Result<(), T> {
        spsc::Producer::push(self, value).map_err(nexus_queue::Full::into_inner)
    }
}

impl<T: Send> Pop<T> for spsc::Consumer<T> {
    #[inline(always)]
    fn try_pop(&mut self) -> Option<T> {
        spsc::Consumer::pop(self)
    }
}

pub(in super::super) enum Tx<T> {
    One(spsc::Producer<T>),
    Many(mpsc::Producer<T>),
    ToMany(spmc::Producer<T>),
}

pub(in super::super) enum Rx<T> {
    One(spsc::Consumer<T>),
    FromMany(mpsc::Consumer<T>),
    Many(spmc::Consumer<T>),
}

impl Values for Nexus {
    type Tx<T: Send + 'static> = Tx<T>;
    type Rx<T: Send + 'static> = Rx<T>;

    fn make<T: Send + 'static>(capacity: usize, shape: Shape) -> Result<Sides<Self, T>> {
        Ok(match shape {
            Shape { producers: 1, consumers: 1 } => {
                let (tx, rx) = spsc::ring_buffer(capacity);
                (vec![Tx::One(tx)], vec![Rx::One(rx)])
            }
            Shape { producers, consumers: 1 } => {
                let (tx, rx) = mpsc::ring_buffer(capacity);
                ((0..producers).map(|_| Tx::Many(tx.clone())).collect(), vec![Rx::FromMany(rx)])
            }
            Shape { producers: 1, consumers } => {
                let (tx, rx) = spmc::ring_buffer(capacity);
                (vec![Tx::ToMany(tx)], (0..consumers).map(|_| Rx::Many(rx.clone())).collect())
            }
            _ => bail!("has no queue for several producers and several consumers"),
        })
    }
}

impl<T: Send> Push<T> for Tx<T> {
    #[inline(always)]
    fn try_push(&mut self, value: T) -> Result<(), T> {
        let result = match self {
            Self::One(tx) => spsc::Producer::push(tx, value),
            Self::Many(tx) => tx.push(value),
            Self::ToMany(tx) => tx.push(value),
        };
        result.map_err(nexus_queue::Full::into_inner)
    }
}

impl<T: Send> Pop<T> for Rx<T> {
    #[inline(always)]
    fn try_pop(&mut self) -> Option<T> {
        match self {
            Self::One(rx) => spsc::Consumer::pop(rx),
            Self::FromMany(rx) => rx.pop(),
            Self::Many(rx) => rx.pop(),
        }
    }
}
