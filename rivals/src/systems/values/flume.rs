//! flume bounded. A batch's receiver takes all that is there in one go (`drain`).

use anyhow::Result;

use super::{Pop, Push, Sides, Values, pop_one};
use crate::case::Shape;
use crate::wait::Way;

pub(in super::super) struct Flume;

impl Values for Flume {
    type Tx<T: Send + 'static> = flume::Sender<T>;
    type Rx<T: Send + 'static> = flume::Receiver<T>;

    fn make<T: Send + 'static>(capacity: usize, shape: Shape) -> Result<Sides<Self, T>> {
        let (tx, rx) = flume::bounded(capacity);
        Ok((vec![tx; shape.producers], vec![rx; shape.consumers]))
    }
}

impl<T> Push<T> for flume::Sender<T> {
    #[inline(always)]
    fn try_push(&mut self, value: T) -> Result<(), T> {
        self.try_send(value).map_err(flume::TrySendError::into_inner)
    }

    #[inline(always)]
    fn push(&mut self, value: T) {
        assert!(self.send(value).is_ok(), "the receivers are gone");
    }
}

impl<T> Pop<T> for flume::Receiver<T> {
    #[inline(always)]
    fn try_pop(&mut self) -> Option<T> {
        self.try_recv().ok()
    }

    #[inline(always)]
    fn pop(&mut self) -> T {
        self.recv().expect("a sender is there")
    }

    #[inline(always)]
    fn pop_many(&mut self, way: Way, _max: usize, mut each: impl FnMut(T)) {
        each(pop_one(self, way));
        self.drain().for_each(each);
    }
}
