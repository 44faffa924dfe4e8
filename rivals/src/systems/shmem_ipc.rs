//! shmem-ipc: one of each, slots of one message, filled and read in place. Signals (eventfds) only
//! where receivers sleep: otherwise the ring below them is used directly.
#![allow(unsafe_code, reason = "messages in shared memory")]

use std::fs::File;

use anyhow::{Context, Result, ensure};
use shmem_ipc::sharedring;
use workload::{Message, fill};

use super::{Family, Receiver, Sender, Setup, System};
use crate::check::Sink;
use crate::wait::{Waiter, Way};

pub(super) struct ShmemIpc<const W: usize> {
    /// Keeps the memory and the signals, of which the workers, forked from here, open copies.
    origin: sharedring::Sender<Message<W>>,
    capacity: usize,
    way: Way,
    batch: usize,
}

impl<const W: usize> ShmemIpc<W> {
    /// Memory, and the signals for "not empty" and "not full".
    fn files(&self) -> Result<(File, File, File)> {
        let copy = |file: &File| file.try_clone().context("copying a descriptor");
        let origin = &self.origin;
        Ok((copy(origin.memfd().as_file())?, copy(origin.empty_signal())?, copy(origin.full_signal())?))
    }
}

impl<const W: usize> System for ShmemIpc<W> {
    fn new(setup: &Setup) -> Result<Self> {
        ensure!(setup.is_pair(), "there is one sender and one receiver");
        let origin = sharedring::Sender::new(setup.capacity)?;
        Ok(Self { origin, capacity: setup.capacity, way: setup.way, batch: setup.batch })
    }

    fn sender(&self, _: usize) -> Result<impl Sender> {
        let (memory, empty, full) = self.files()?;
        let tx = sharedring::Sender::<Message<W>>::open(self.capacity, memory, empty, full)?;
        Ok(Side(tx, self.way, self.batch))
    }

    fn receiver(&self, _: usize) -> Result<impl Receiver> {
        let (memory, empty, full) = self.files()?;
        let rx = sharedring::Receiver::<Message<W>>::open(self.capacity, memory, empty, full)?;
        Ok(Side(rx, self.way, self.batch))
    }
}

struct Side<H>(H, Way, usize);

/// Fills `count` messages in place.
///
/// # Safety
/// There is room for `count` messages at `slots`, which only this process touches.
#[inline(always)]
unsafe fn fill_all<const W: usize>(slots: *mut Message<W>, count: usize, first: u64) {
    for number in 0..count {
        // SAFETY: inside of the room that the caller guarantees.
        let slot = unsafe { slots.add(number) };
        // SAFETY: as above; the bytes of a mapping have some value from the start, and any is a u64.
        fill(first + number as u64, unsafe { &mut *slot });
    }
}

impl<const W: usize> Sender for Side<sharedring::Sender<Message<W>>> {
    fn send(&mut self, first: u64, count: u64) {
        let (mut next, end) = (first, first + count);
        let mut waiter = Waiter::new(self.1);
        while next < end {
            let most = ((end - next) as usize).min(self.2);
            let mut sent = 0;
            let write = |slots: *mut Message<W>, room: usize| {
                sent = most.min(room);
                // SAFETY: the sender lends `room` slots until this returns.
                unsafe { fill_all(slots, sent, next) };
                sent
            };
            if self.1 == Way::Own {
                self.0.block_until_writable().expect("room");
                self.0.send_raw(write).expect("sent");
            } else {
                self.0.sender_mut().send(write).expect("sent");
            }
            if sent == 0 {
                waiter.wait();
            }
            next += sent as u64;
        }
    }
}

impl<const W: usize> Receiver for Side<sharedring::Receiver<Message<W>>> {
    #[inline(always)]
    fn receive(&mut self, sink: &mut impl Sink) {
        let mut waiter = Waiter::new(self.1);
        loop {
            let mut taken = 0;
            let read = |slots: *const Message<W>, there: usize| {
                taken = there.min(self.2);
                for number in 0..taken {
                    // SAFETY: the receiver lends `there` slots until this returns.
                    let slot = unsafe { slots.add(number) };
                    // SAFETY: as above; the sender, which is of this program, leaves them alone
                    // until they are released.
                    sink.words(unsafe { &*slot }.iter().copied());
                }
                taken
            };
            if self.1 == Way::Own {
                self.0.block_until_readable().expect("a message");
                self.0.receive_raw(read).expect("received");
            } else {
                self.0.receiver_mut().recv(read).expect("received");
            }
            if taken > 0 {
                return;
            }
            waiter.wait();
        }
    }
}

pub(super) struct ShmemIpcs;

impl Family for ShmemIpcs {
    type Small<const W: usize> = ShmemIpc<W>;
    type Large<const W: usize> = ShmemIpc<W>;
}
