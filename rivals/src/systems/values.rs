//! Queues of one process that take values.
//!
//! Small messages are moved as values. Large ones would be copied in and out: instead, boxes of a
//! pool are filled, moved, read, and returned through a second queue of the same kind, as one would
//! do.

mod crossbeam;
mod flume;
mod kanal;
mod nexus;
mod rtrb;

use std::sync::Mutex;

use anyhow::{Context, Result};
use workload::{Message, fill, make};

pub(super) use self::crossbeam::{Array, Channel};
pub(super) use self::flume::Flume;
pub(super) use self::kanal::Kanal;
pub(super) use self::nexus::{Nexus, NexusPair};
pub(super) use self::rtrb::Rtrb;
use super::{Family, Receiver, Sender, Setup, System};
use crate::case::Shape;
use crate::check::Sink;
use crate::wait::{Waiter, Way, until};

/// Both sides of a queue, one handle for each worker.
type Sides<Q, T> = (Vec<<Q as Values>::Tx<T>>, Vec<<Q as Values>::Rx<T>>);

/// A kind of queue.
pub(super) trait Values: 'static {
    type Tx<T: Send + 'static>: Push<T> + Send;
    type Rx<T: Send + 'static>: Pop<T> + Send;

    fn make<T: Send + 'static>(capacity: usize, shape: Shape) -> Result<Sides<Self, T>>
    where
        Self: Sized;
}

pub(super) trait Push<T> {
    fn try_push(&mut self, value: T) -> Result<(), T>;

    /// As the queue itself waits.
    fn push(&mut self, value: T) {
        let mut value = value;
        let mut waiter = Waiter::new(Way::Spin);
        while let Err(back) = self.try_push(value) {
            value = back;
            waiter.wait();
        }
    }

    /// Pushes `count` values, one by one if it cannot do more. The first is number 0.
    #[inline(always)]
    fn push_many(&mut self, way: Way, count: usize, mut value: impl FnMut(usize) -> T) {
        for number in 0..count {
            push_one(self, way, value(number));
        }
    }
}

#[inline(always)]
fn push_one<T>(tx: &mut (impl Push<T> + ?Sized), way: Way, value: T) {
    if way == Way::Own {
        return tx.push(value);
    }
    let mut value = value;
    let mut waiter = Waiter::new(way);
    while let Err(back) = tx.try_push(value) {
        value = back;
        waiter.wait();
    }
}

pub(super) trait Pop<T> {
    fn try_pop(&mut self) -> Option<T>;

    /// As the queue itself waits.
    fn pop(&mut self) -> T {
        until(Way::Spin, || self.try_pop())
    }

    /// Waits for a value, and takes up to `max` that are there, one if it cannot do more.
    #[inline(always)]
    fn pop_many(&mut self, way: Way, max: usize, mut each: impl FnMut(T)) {
        let _ = max;
        each(pop_one(self, way));
    }
}

#[inline(always)]
fn pop_one<T>(rx: &mut (impl Pop<T> + ?Sized), way: Way) -> T {
    if way == Way::Own { rx.pop() } else { until(way, || rx.try_pop()) }
}

/// The handles of workers that have not taken them yet.
struct Handles<T>(Mutex<Vec<Option<T>>>);

impl<T> Handles<T> {
    fn new(handles: Vec<T>) -> Self {
        Self(Mutex::new(handles.into_iter().map(Some).collect()))
    }

    fn take(&self, index: usize) -> Result<T> {
        let mut handles = self.0.lock().expect("no worker panics while it takes its handle");
        handles.get_mut(index).and_then(Option::take).context("each worker has one handle")
    }
}

/// Values of `W` words.
pub(super) struct Small<Q: Values, const W: usize> {
    tx: Handles<Q::Tx<Message<W>>>,
    rx: Handles<Q::Rx<Message<W>>>,
    way: Way,
    batch: usize,
}

impl<Q: Values, const W: usize> System for Small<Q, W> {
    fn new(setup: &Setup) -> Result<Self> {
        let (tx, rx) = Q::make(setup.capacity, setup.shape)?;
        Ok(Self { tx: Handles::new(tx), rx: Handles::new(rx), way: setup.way, batch: setup.batch })
    }

    fn sender(&self, index: usize) -> Result<impl Sender> {
        Ok(SmallSide::<_, W> { handle: self.tx.take(index)?, way: self.way, batch: self.batch })
    }

    fn receiver(&self, index: usize) -> Result<impl Receiver> {
        Ok(SmallSide::<_, W> { handle: self.rx.take(index)?, way: self.way, batch: self.batch })
    }
}

struct SmallSide<H, const W: usize> {
    handle: H,
    way: Way,
    batch: usize,
}

impl<H: Push<Message<W>>, const W: usize> Sender for SmallSide<H, W> {
    fn send(&mut self, first: u64, count: u64) {
        if self.batch == 1 {
            for word in first..first + count {
                push_one(&mut self.handle, self.way, make(word));
            }
            return;
        }
        for start in (first..first + count).step_by(self.batch) {
            let rest = (first + count - start).min(self.batch as u64);
            self.handle.push_many(self.way, rest as usize, |number| make(start + number as u64));
        }
    }
}

impl<H: Pop<Message<W>>, const W: usize> Receiver for SmallSide<H, W> {
    #[inline(always)]
    fn receive(&mut self, sink: &mut impl Sink) {
        if self.batch == 1 {
            sink.words(pop_one(&mut self.handle, self.way).into_iter());
        } else {
            self.handle.pop_many(self.way, self.batch, |message| sink.words(message.into_iter()));
        }
    }
}

type Picture = Box<[u64]>;

/// Both ends of a queue of boxes.
type Ends<Q> = (Handles<<Q as Values>::Tx<Picture>>, Handles<<Q as Values>::Rx<Picture>>);

/// Boxes from a pool.
pub(super) struct Large<Q: Values> {
    full: Ends<Q>,
    empty: Ends<Q>,
    way: Way,
    batch: usize,
}

impl<Q: Values> System for Large<Q> {
    fn new(setup: &Setup) -> Result<Self> {
        let Shape { producers, consumers } = setup.shape;
        let (tx, rx) = Q::make(setup.capacity, setup.shape)?;
        // Every worker may hold a batch.
        let boxes = setup.capacity + setup.batch * (producers + consumers);
        let (mut back, again) = Q::make(boxes.next_power_of_two(), Shape::new(consumers, producers))?;
        for _ in 0..boxes {
            // Not zeros, so that the pages are there.
            back[0].push(vec![1; setup.bytes / 8].into_boxed_slice());
        }
        Ok(Self {
            full: (Handles::new(tx), Handles::new(rx)),
            empty: (Handles::new(back), Handles::new(again)),
            way: setup.way,
            batch: setup.batch,
        })
    }

    fn sender(&self, index: usize) -> Result<impl Sender> {
        Ok(Filler {
            full: self.full.0.take(index)?,
            empty: self.empty.1.take(index)?,
            way: self.way,
            batch: self.batch,
        })
    }

    fn receiver(&self, index: usize) -> Result<impl Receiver> {
        Ok(Reader {
            full: self.full.1.take(index)?,
            empty: self.empty.0.take(index)?,
            way: self.way,
            batch: self.batch,
        })
    }
}

struct Filler<F, E> {
    full: F,
    empty: E,
    way: Way,
    batch: usize,
}

impl<F: Push<Picture>, E: Pop<Picture>> Sender for Filler<F, E> {
    fn send(&mut self, first: u64, count: u64) {
        for start in (first..first + count).step_by(self.batch) {
            let rest = (first + count - start).min(self.batch as u64);
            let (empty, way) = (&mut self.empty, self.way);
            self.full.push_many(way, rest as usize, |number| {
                let mut picture = pop_one(empty, way);
                fill(start + number as u64, &mut picture);
                picture
            });
        }
    }
}

struct Reader<F, E> {
    full: F,
    empty: E,
    way: Way,
    batch: usize,
}

impl<F: Pop<Picture>, E: Push<Picture>> Receiver for Reader<F, E> {
    fn receive(&mut self, sink: &mut impl Sink) {
        let (empty, way) = (&mut self.empty, self.way);
        self.full.pop_many(way, self.batch, |picture| {
            sink.words(picture.iter().copied());
            push_one(empty, way, picture);
        });
    }
}

/// All sizes of one kind of queue.
pub(super) struct Of<Q>(Q);

impl<Q: Values> Family for Of<Q> {
    type Small<const W: usize> = Small<Q, W>;
    type Large<const W: usize> = Large<Q>;
}
