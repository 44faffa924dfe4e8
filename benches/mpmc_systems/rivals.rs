//! In-process queues between threads, by value.

use std::marker::PhantomData;

use crossbeam_queue::ArrayQueue;

use super::check::Check;
use super::waiting::{SpinThenYield, Waiting};
use super::{Receive, Send, System};
use crate::common::message::{Message, make};

/// ArrayQueue, waiting as `P` does.
pub(super) struct Array<const W: usize, P>(ArrayQueue<Message<W>>, PhantomData<P>);

impl<const W: usize, P> Array<W, P> {
    pub(super) fn new(capacity: usize) -> Self {
        Self(ArrayQueue::new(capacity), PhantomData)
    }
}

impl<const W: usize, P: Waiting> System for Array<W, P> {
    fn sender(&self) -> impl Send {
        self
    }

    fn receiver(&self) -> impl Receive {
        self
    }
}

impl<const W: usize, P: Waiting> Send for &Array<W, P> {
    #[inline(always)]
    fn send(&mut self, first: u64, count: u64) {
        for seq in first..first + count {
            let mut message = Some(make(seq));
            P::until(|| match self.0.push(message.take()?) {
                Ok(()) => Some(()),
                Err(back) => {
                    message = Some(back);
                    None
                }
            });
        }
    }

    fn try_send(&mut self, seq: u64) {
        let _ = self.0.push(make(seq));
    }
}

impl<const W: usize, P: Waiting> Receive for &Array<W, P> {
    #[inline(always)]
    fn receive(&mut self, check: &mut Check) {
        check.words(P::until(|| self.0.pop()).into_iter());
    }
}

/// kanal, waiting as it does by itself ...
pub(super) struct Kanal<const W: usize>(kanal::Sender<Message<W>>, kanal::Receiver<Message<W>>);

/// ... or by spinning.
pub(super) struct SpinningKanal<const W: usize>(pub(super) Kanal<W>);

impl<const W: usize> Kanal<W> {
    pub(super) fn new(capacity: usize) -> Self {
        let (sender, receiver) = kanal::bounded(capacity);
        Self(sender, receiver)
    }
}

impl<const W: usize> System for Kanal<W> {
    fn sender(&self) -> impl Send {
        self.0.clone()
    }

    fn receiver(&self) -> impl Receive {
        self.1.clone()
    }
}

impl<const W: usize> Send for kanal::Sender<Message<W>> {
    #[inline(always)]
    fn send(&mut self, first: u64, count: u64) {
        for seq in first..first + count {
            kanal::Sender::send(self, make(seq)).unwrap();
        }
    }

    fn try_send(&mut self, seq: u64) {
        let _ = kanal::Sender::try_send(self, make(seq));
    }
}

impl<const W: usize> Receive for kanal::Receiver<Message<W>> {
    #[inline(always)]
    fn receive(&mut self, check: &mut Check) {
        check.words(self.recv().unwrap().into_iter());
    }
}

struct Spinning<T>(T);

impl<const W: usize> System for SpinningKanal<W> {
    fn sender(&self) -> impl Send {
        Spinning(self.0.0.clone())
    }

    fn receiver(&self) -> impl Receive {
        Spinning(self.0.1.clone())
    }
}

impl<const W: usize> Send for Spinning<kanal::Sender<Message<W>>> {
    #[inline(always)]
    fn send(&mut self, first: u64, count: u64) {
        for seq in first..first + count {
            let mut message = Some(make(seq));
            SpinThenYield::until(|| self.0.try_send_option(&mut message).unwrap().then_some(()));
        }
    }

    fn try_send(&mut self, seq: u64) {
        let _ = self.0.try_send(make(seq));
    }
}

impl<const W: usize> Receive for Spinning<kanal::Receiver<Message<W>>> {
    #[inline(always)]
    fn receive(&mut self, check: &mut Check) {
        check.words(SpinThenYield::until(|| self.0.try_recv().unwrap()).into_iter());
    }
}
