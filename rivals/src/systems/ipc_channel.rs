//! ipc-channel: its channel of bytes, which serialises nothing. Many producers, one consumer, no
//! batches, no choice of room.

use std::sync::Mutex;

use anyhow::{Context, Result, ensure};
use ipc_channel::TryRecvError;
use ipc_channel::ipc::{IpcBytesReceiver, IpcBytesSender, bytes_channel};
use workload::fill_bytes;

use super::{Family, Receiver, Sender, Setup, System};
use crate::check::Sink;
use crate::wait::{Way, until};

/// The workers are forked from the process that has both ends: each uses its copy of one.
pub(super) struct IpcChannel<const W: usize> {
    tx: Mutex<IpcBytesSender>,
    rx: Mutex<Option<IpcBytesReceiver>>,
    way: Way,
}

impl<const W: usize> System for IpcChannel<W> {
    fn new(setup: &Setup) -> Result<Self> {
        ensure!(setup.shape.consumers == 1, "a channel has one receiver");
        let (tx, rx) = bytes_channel()?;
        Ok(Self { tx: Mutex::new(tx), rx: Mutex::new(Some(rx)), way: setup.way })
    }

    fn sender(&self, _: usize) -> Result<impl Sender> {
        let tx = self.tx.lock().expect("no worker panics here").clone();
        Ok(Tx::<W> { tx, buffer: vec![0; W * 8] })
    }

    fn receiver(&self, _: usize) -> Result<impl Receiver> {
        let rx = self.rx.lock().expect("no worker panics here").take();
        Ok(Rx::<W>(rx.context("there is one receiver")?, self.way))
    }
}

struct Tx<const W: usize> {
    tx: IpcBytesSender,
    buffer: Vec<u8>,
}

impl<const W: usize> Sender for Tx<W> {
    fn send(&mut self, first: u64, count: u64) {
        for word in first..first + count {
            fill_bytes::<W>(word, &mut self.buffer);
            self.tx.send(&self.buffer).expect("the receiver is there");
        }
    }
}

struct Rx<const W: usize>(IpcBytesReceiver, Way);

impl<const W: usize> Receiver for Rx<W> {
    fn receive(&mut self, sink: &mut impl Sink) {
        let message = if self.1 == Way::Own {
            self.0.recv().expect("a sender is there")
        } else {
            until(self.1, || match self.0.try_recv() {
                Ok(message) => Some(message),
                Err(TryRecvError::Empty) => None,
                Err(error) => panic!("{error}"),
            })
        };
        sink.bytes::<W>(&message);
    }
}

pub(super) struct IpcChannels;

impl Family for IpcChannels {
    type Small<const W: usize> = IpcChannel<W>;
    type Large<const W: usize> = IpcChannel<W>;
}
