//! shaq: its queue for one of each, or for many of both; slots filled and read in place.
#![allow(unsafe_code, reason = "messages in shared memory")]

use std::fs::{File, OpenOptions};
use std::num::NonZeroUsize;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use shaq::{mpmc, spsc};
use workload::{Message, fill};

use super::{Family, Receiver, Sender, Setup, System};
use crate::check::Sink;
use crate::wait::{Waiter, Way, until};

/// One wait in the kernel.
const SLICE: Duration = Duration::from_secs(1);

/// A file in memory.
fn file(setup: &Setup) -> Result<File> {
    let mut options = OpenOptions::new();
    let path = setup.path("shaq");
    options.read(true).write(true).create_new(true).open(&path).with_context(|| path.display().to_string())
}

pub(super) struct Pair<const W: usize> {
    file: File,
    way: Way,
    batch: usize,
}

impl<const W: usize> System for Pair<W> {
    fn new(setup: &Setup) -> Result<Self> {
        let file = file(setup)?;
        let bytes = spsc::minimum_file_size::<Message<W>>(setup.capacity);
        // SAFETY: the one initialisation; this producer is gone before another one joins. Words
        // mean the same everywhere.
        drop(unsafe { spsc::Producer::<Message<W>>::create(&file, bytes) }.map_err(readable)?);
        Ok(Self { file, way: setup.way, batch: setup.batch })
    }

    fn sender(&self, _: usize) -> Result<impl Sender> {
        // SAFETY: the only producer now, of the type that the file was made for.
        let tx = unsafe { spsc::Producer::<Message<W>>::join(&self.file) }.map_err(readable)?;
        Ok(Side(tx, self.way, self.batch))
    }

    fn receiver(&self, _: usize) -> Result<impl Receiver> {
        // SAFETY: the only consumer now, of the type that the file was made for.
        let rx = unsafe { spsc::Consumer::<Message<W>>::join(&self.file) }.map_err(readable)?;
        Ok(Side(rx, self.way, self.batch))
    }
}

pub(super) struct Many<const W: usize> {
    file: File,
    way: Way,
    batch: usize,
}

impl<const W: usize> System for Many<W> {
    fn new(setup: &Setup) -> Result<Self> {
        let file = file(setup)?;
        let bytes = mpmc::minimum_file_size::<Message<W>>(setup.capacity);
        // SAFETY: the one initialisation. Words mean the same everywhere.
        drop(unsafe { mpmc::Producer::<Message<W>>::create(&file, bytes) }.map_err(readable)?);
        Ok(Self { file, way: setup.way, batch: setup.batch })
    }

    fn sender(&self, _: usize) -> Result<impl Sender> {
        // SAFETY: of the type that the file was made for.
        let tx = unsafe { mpmc::Producer::<Message<W>>::join(&self.file) }.map_err(readable)?;
        Ok(Side(tx, self.way, self.batch))
    }

    fn receiver(&self, _: usize) -> Result<impl Receiver> {
        // SAFETY: of the type that the file was made for.
        let rx = unsafe { mpmc::Consumer::<Message<W>>::join(&self.file) }.map_err(readable)?;
        Ok(Side(rx, self.way, self.batch))
    }
}

fn readable(error: shaq::error::Error) -> anyhow::Error {
    anyhow!("{error:?}")
}

struct Side<H>(H, Way, usize);

/// Fills a message in place.
#[inline(always)]
fn write<const W: usize>(slot: &mut std::mem::MaybeUninit<Message<W>>, first: u64) {
    // SAFETY: slots lie in a shared mapping, where every byte has some value from the start, and
    // any value is a u64; the borrow of `slot` is exclusive.
    fill(first, unsafe { &mut *slot.as_mut_ptr() });
}

impl<const W: usize> Sender for Side<spsc::Producer<Message<W>>> {
    fn send(&mut self, first: u64, count: u64) {
        let (mut next, end) = (first, first + count);
        let mut waiter = Waiter::new(self.1);
        while next < end {
            let stop = end.min(next + self.2 as u64);
            let start = next;
            // What is written is published when the batch is dropped.
            let mut batch = self.0.write_batch();
            while next < stop {
                // SAFETY: the slot is filled immediately.
                match unsafe { batch.try_as_mut() } {
                    Some(slot) => write(slot, next),
                    None => break,
                }
                next += 1;
            }
            drop(batch);
            if next == start {
                waiter.wait();
            }
        }
    }
}

impl<const W: usize> Sender for Side<mpmc::Producer<Message<W>>> {
    fn send(&mut self, first: u64, count: u64) {
        if self.2 == 1 {
            for word in first..first + count {
                // SAFETY: the slot is filled immediately.
                let mut guard = until(self.1, || unsafe { self.0.try_reserve_write() });
                write(guard.as_mut(), word);
            }
            return;
        }
        for start in (first..first + count).step_by(self.2) {
            let rest = (first + count - start).min(self.2 as u64) as usize;
            let rest = NonZeroUsize::new(rest).expect("not an empty batch");
            // SAFETY: all slots are filled immediately.
            let mut batch = until(self.1, || unsafe { self.0.try_reserve_write_batch(rest) });
            for number in 0..rest.get() {
                // SAFETY: one of the batch's.
                write(unsafe { batch.as_mut(number) }, start + number as u64);
            }
        }
    }
}

impl<const W: usize> Receiver for Side<spsc::Consumer<Message<W>>> {
    #[inline(always)]
    fn receive(&mut self, sink: &mut impl Sink) {
        let Self(rx, way, most) = self;
        let most = NonZeroUsize::new(*most).expect("a batch has room");
        // What it waited for is reserved below.
        while *way == Way::Own && rx.wait_readable_timeout(SLICE).is_err() {}
        until(*way, || {
            let batch = rx.try_reserve_read_batch(most)?;
            (0..batch.len()).for_each(|number| sink.words(batch[number].iter().copied()));
            Some(())
        });
    }
}

impl<const W: usize> Receiver for Side<mpmc::Consumer<Message<W>>> {
    #[inline(always)]
    fn receive(&mut self, sink: &mut impl Sink) {
        let Self(rx, way, most) = self;
        let most = NonZeroUsize::new(*most).expect("a batch has room");
        until(*way, || {
            let batch = if *way == Way::Own {
                rx.reserve_read_batch_timeout(most, SLICE).ok()?
            } else {
                rx.try_reserve_read_batch(most)?
            };
            (0..batch.len()).for_each(|number| sink.words(batch[number].iter().copied()));
            Some(())
        });
    }
}

pub(super) struct Pairs;
pub(super) struct Manys;

impl Family for Pairs {
    type Small<const W: usize> = Pair<W>;
    type Large<const W: usize> = Pair<W>;
}

impl Family for Manys {
    type Small<const W: usize> = Many<W>;
    type Large<const W: usize> = Many<W>;
}
