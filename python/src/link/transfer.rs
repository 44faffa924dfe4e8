//! Messages through the handles of one queue.

use pyo3::prelude::*;
use ringway::{RecvError, SendError};

use super::{Link, Wait};
use crate::engine::{Fate, OwnedFrame, Queue, Receiver, Reserved, Turn};
use crate::{errors, exit};

/// What is copied without the GIL: a copy that takes longer than giving the GIL back.
const DETACHED_COPY: usize = 1 << 18;

/// What is to be sent.
pub(crate) trait Payload: Sync {
    fn len(&self) -> usize;

    /// Fills a frame of `len` bytes.
    fn write(&self, frame: &mut [u8]);
}

impl Payload for [u8] {
    #[inline]
    fn len(&self) -> usize {
        self.len()
    }

    #[inline]
    fn write(&self, frame: &mut [u8]) {
        frame.copy_from_slice(self);
    }
}

impl Link {
    /// Sends one message. False if there was no room in time.
    #[inline]
    pub(crate) fn send(
        &self,
        py: Python<'_>,
        payload: &(impl Payload + ?Sized),
        wait: Wait,
    ) -> PyResult<bool> {
        let mut sender = self.sender(py)?;
        let sender = sender.item();
        match attempt(py, payload, sender.try_reserve(payload.len()), Reserved::commit) {
            Ok(()) => return Ok(true),
            Err(SendError::Full) => {}
            Err(error) => return Err(errors::of_send(py, &error)),
        }
        let sent = wait.complete(py, |deadline| {
            let reserved = exit::detached(py, || sender.reserve_until(payload.len(), deadline));
            // A commit may wait, too, for positions in the order.
            match attempt(py, payload, reserved, |reserved| exit::detached(py, || reserved.commit())) {
                Ok(()) => Ok(Some(())),
                Err(SendError::Full | SendError::Timeout { .. } | SendError::Interrupted) => Ok(None),
                Err(error) => Err(errors::of_send(py, &error)),
            }
        })?;
        Ok(sent.is_some())
    }

    /// Sends messages in order, with as few commits as the room allows. Returns how many: fewer
    /// than there are only if there was no room in time.
    pub(crate) fn send_many(&self, py: Python<'_>, payloads: &[impl Payload], wait: Wait) -> PyResult<usize> {
        let mut sent = 0;
        while sent < payloads.len() {
            let rest = &payloads[sent..];
            let batched = {
                let mut sender = self.sender(py)?;
                // A batch for which there are too few places in the order is written in vain.
                let room = self.lock().queue.as_ref().map_or(0, Queue::room);
                let most = usize::try_from(room).unwrap_or(usize::MAX).clamp(1, rest.len());
                let messages = rest[..most].iter();
                let messages = messages.map(|one| (one.len(), |frame: &mut [u8]| one.write(frame)));
                sender.item().try_send_many(messages)
            };
            match batched {
                Ok(count) => sent += count,
                Err(SendError::Full) if self.send(py, &rest[0], wait)? => sent += 1,
                Err(SendError::Full) => break,
                Err(error) => return Err(errors::of_send(py, &error)),
            }
        }
        Ok(sent)
    }

    /// Receives one message. `None` if none came in time.
    #[inline]
    pub(crate) fn recv(&self, py: Python<'_>, wait: Wait) -> PyResult<Option<(OwnedFrame, Receiver)>> {
        let receiver = self.receiver(py)?;
        let frame = match received(py, receiver.try_recv())? {
            Some(frame) => Some(frame),
            None => wait.complete(py, |deadline| {
                received(py, exit::detached(py, || receiver.recv_until(deadline)))
            })?,
        };
        Ok(frame.map(|frame| (frame, receiver)))
    }

    /// Takes one message, and what `read` makes of it; then its room is given back, or not, as
    /// `read` says. `None` if none came in time.
    #[inline]
    pub(crate) fn take<R>(
        &self,
        py: Python<'_>,
        wait: Wait,
        read: impl FnOnce(&[u8]) -> (R, Fate),
    ) -> PyResult<Option<R>> {
        let mut taker = self.taker(py)?;
        let turn = Turn::new(taker.item());
        let frame = match received(py, turn.try_recv())? {
            Some(frame) => Some(frame),
            None => {
                wait.complete(py, |deadline| received(py, exit::detached(py, || turn.recv_until(deadline))))?
            }
        };
        let Some(frame) = frame else { return Ok(None) };
        let (result, fate) = read(&frame);
        match fate {
            Fate::Release => drop(frame),
            Fate::Reject => frame.reject(),
            Fate::PutBack => frame.put_back(),
        }
        Ok(Some(result))
    }

    /// Takes up to `max` messages together, waiting for the first. `read` is given each; if it
    /// returns false, all of them are put back, and the result is `Taken::Back`.
    pub(crate) fn take_many(
        &self,
        py: Python<'_>,
        wait: Wait,
        max: usize,
        read: impl FnMut(&[u8]) -> bool,
    ) -> PyResult<Taken> {
        let mut taker = self.taker(py)?;
        let turn = Turn::new(taker.item());
        let frames = match received(py, turn.try_recv_many(max))? {
            Some(frames) => Some(frames),
            None => wait.complete(py, |deadline| {
                received(py, exit::detached(py, || turn.recv_many_until(max, deadline)))
            })?,
        };
        let Some(frames) = frames else { return Ok(Taken::Nothing) };
        if frames.iter().all(read) {
            drop(frames);
            return Ok(Taken::All);
        }
        // None of them counts as delivered.
        frames.reject_seen(0);
        Ok(Taken::Back)
    }
}

/// What became of messages that were taken together.
pub(crate) enum Taken {
    Nothing,
    All,
    Back,
}

#[inline]
pub(crate) fn received<F>(py: Python<'_>, result: Result<F, RecvError>) -> PyResult<Option<F>> {
    match result {
        Ok(frame) => Ok(Some(frame)),
        Err(RecvError::Empty | RecvError::Timeout | RecvError::Interrupted) => Ok(None),
        Err(error) => Err(errors::of_recv(py, &error)),
    }
}

#[inline]
fn attempt<'s>(
    py: Python<'_>,
    payload: &(impl Payload + ?Sized),
    reserved: Result<Reserved<'s>, SendError>,
    commit: impl FnOnce(Reserved<'s>) -> Result<(), SendError>,
) -> Result<(), SendError> {
    let mut reserved = reserved?;
    if payload.len() >= DETACHED_COPY {
        let frame = reserved.bytes();
        exit::detached(py, move || payload.write(frame));
    } else {
        payload.write(reserved.bytes());
    }
    commit(reserved)
}
