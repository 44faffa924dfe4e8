//! kanal bounded. A batch's receiver takes all that is there in one go (`drain_into`).

use anyhow::Result;

use super::{Pop, Push, Sides, Values, pop_one};
use crate::case::Shape;
use crate::wait::Way;

pub(in super::super) struct Kanal;

pub(in super::super) struct Rx<T> {
    rx: kanal::Receiver<T>,
    drained: Vec<T>,
}

impl Values for Kanal {
    type Tx<T: Send + 'static> = kanal::Sender<T>;
    type Rx<T: Send + 'static> = Rx<T>;

    fn make<T: Send + 'static>(capacity: usize, shape: Shape) -> Result<Sides<Self, T>> {
        let (tx, rx) = kanal::bounded(capacity);
        let receiver = |_| Rx { rx: rx.clone(), drained: Vec::with_capacity(capacity) };
        Ok((vec![tx; shape.producers], (0..shape.consumers).map(receiver).collect()))
    }
}

impl<T> Push<T> for kanal::Sender<T> {
    #[inline(always)]
    fn try_push(&mut self, value: T) -> Result<(), T> {
        let mut value = Some(value);
        let _ = self.try_send_option(&mut value).expect("the receivers are there");
        value.map_or(Ok(()), Err)
    }

    #[inline(always)]
    fn push(&mut self, value: T) {
        self.send(value).expect("the receivers are there");
    }
}

impl<T> Pop<T> for Rx<T> {
    #[inline(always)]
    fn try_pop(&mut self) -> Option<T> {
        self.rx.try_recv().expect("a sender is there")
    }

    #[inline(always)]
    fn pop(&mut self) -> T {
        self.rx.recv().expect("a sender is there")
    }

    #[inline(always)]
    fn pop_many(&mut self, way: Way, _max: usize, mut each: impl FnMut(T)) {
        each(pop_one(self, way));
        self.rx.drain_into(&mut self.drained).expect("a sender is there");
        self.drained.drain(..).for_each(each);
    }
}
