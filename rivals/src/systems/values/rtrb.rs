//! rtrb: `push` and `pop`; batches are chunks, filled and read in place.

use anyhow::Result;

use super::{Pop, Push, Sides, Values};
use crate::case::Shape;
use crate::wait::{Waiter, Way, until};

pub(in super::super) struct Rtrb;

impl Values for Rtrb {
    type Tx<T: Send + 'static> = rtrb::Producer<T>;
    type Rx<T: Send + 'static> = rtrb::Consumer<T>;

    fn make<T: Send + 'static>(capacity: usize, _: Shape) -> Result<Sides<Self, T>> {
        let (tx, rx) = rtrb::RingBuffer::new(capacity);
        Ok((vec![tx], vec![rx]))
    }
}

impl<T> Push<T> for rtrb::Producer<T> {
    #[inline(always)]
    fn try_push(&mut self, value: T) -> Result<(), T> {
        rtrb::Producer::push(self, value).map_err(|rtrb::PushError::Full(back)| back)
    }

    #[inline(always)]
    fn push_many(&mut self, way: Way, count: usize, value: impl FnMut(usize) -> T) {
        let mut waiter = Waiter::new(way);
        loop {
            if let Ok(chunk) = self.write_chunk_uninit(count) {
                chunk.fill_from_iter((0..count).map(value));
                return;
            }
            waiter.wait();
        }
    }
}

impl<T> Pop<T> for rtrb::Consumer<T> {
    #[inline(always)]
    fn try_pop(&mut self) -> Option<T> {
        rtrb::Consumer::pop(self).ok()
    }

    #[inline(always)]
    fn pop_many(&mut self, way: Way, max: usize, each: impl FnMut(T)) {
        let there = until(way, || Some(self.slots()).filter(|slots| *slots > 0));
        let chunk = self.read_chunk(there.min(max)).expect("they are there, nobody else takes them");
        chunk.into_iter().for_each(each);
    }
}
