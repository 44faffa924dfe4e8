//! crossbeam-queue's `ArrayQueue`, and crossbeam-channel bounded. Neither has batches; a receiver
//! of the channel takes what is there in one go (`try_iter`).

use std::sync::Arc;

use anyhow::Result;
use crossbeam_channel as channel;
use crossbeam_queue::ArrayQueue;

use super::{Pop, Push, Sides, Values, pop_one};
use crate::case::Shape;
use crate::wait::Way;

pub(in super::super) struct Array;

impl Values for Array {
    type Tx<T: Send + 'static> = Arc<ArrayQueue<T>>;
    type Rx<T: Send + 'static> = Arc<ArrayQueue<T>>;

    fn make<T: Send + 'static>(capacity: usize, shape: Shape) -> Result<Sides<Self, T>> {
        let queue = Arc::new(ArrayQueue::new(capacity));
        let handles = |count| (0..count).map(|_| Arc::clone(&queue)).collect();
        Ok((handles(shape.producers), handles(shape.consumers)))
    }
}

impl<T> Push<T> for Arc<ArrayQueue<T>> {
    #[inline(always)]
    fn try_push(&mut self, value: T) -> Result<(), T> {
        ArrayQueue::push(self, value)
    }
}

impl<T> Pop<T> for Arc<ArrayQueue<T>> {
    #[inline(always)]
    fn try_pop(&mut self) -> Option<T> {
        ArrayQueue::pop(self)
    }
}

pub(in super::super) struct Channel;

impl Values for Channel {
    type Tx<T: Send + 'static> = channel::Sender<T>;
    type Rx<T: Send + 'static> = channel::Receiver<T>;

    fn make<T: Send + 'static>(capacity: usize, shape: Shape) -> Result<Sides<Self, T>> {
        let (tx, rx) = channel::bounded(capacity);
        Ok((vec![tx; shape.producers], vec![rx; shape.consumers]))
    }
}

impl<T> Push<T> for channel::Sender<T> {
    #[inline(always)]
    fn try_push(&mut self, value: T) -> Result<(), T> {
        self.try_send(value).map_err(channel::TrySendError::into_inner)
    }

    #[inline(always)]
    fn push(&mut self, value: T) {
        assert!(self.send(value).is_ok(), "the receivers are gone");
    }
}

impl<T> Pop<T> for channel::Receiver<T> {
    #[inline(always)]
    fn try_pop(&mut self) -> Option<T> {
        self.try_recv().ok()
    }

    #[inline(always)]
    fn pop(&mut self) -> T {
        self.recv().expect("a sender is there")
    }

    #[inline(always)]
    fn pop_many(&mut self, way: Way, max: usize, mut each: impl FnMut(T)) {
        each(pop_one(self, way));
        self.try_iter().take(max - 1).for_each(each);
    }
}
