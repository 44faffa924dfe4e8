//! Handles with a descriptor for event loops: one of each role in a process, made when an event loop
//! first asks for it.
//!
//! The descriptor of messages stays readable until an attempt *of that handle* finds nothing. So
//! once it exists, `take_polled` is the way to take messages, and `settle` has it attempt.

use std::os::fd::{AsRawFd, RawFd};

use pyo3::prelude::*;
use ringway::SendError;

use crate::engine::{Fate, PollSender, PollTaker};
use crate::errors;
use crate::link::{Link, received};

impl Link {
    /// The descriptor that is readable while a message may be there.
    pub(crate) fn messages_fd(&self, py: Python<'_>) -> PyResult<RawFd> {
        Ok(self.lend_single::<PollTaker>(py)?.item().as_raw_fd())
    }

    /// The descriptor that is readable while there may be room.
    pub(crate) fn room_fd(&self, py: Python<'_>) -> PyResult<RawFd> {
        Ok(self.lend_single::<PollSender>(py)?.item().as_raw_fd())
    }

    /// Like `take`, without waiting; if there is nothing, the descriptor is not readable until
    /// there may be something.
    pub(crate) fn take_polled<R>(
        &self,
        py: Python<'_>,
        read: impl FnOnce(&[u8]) -> (R, Fate),
    ) -> PyResult<Option<R>> {
        let mut taker = self.lend_single::<PollTaker>(py)?;
        let Some(frame) = received(py, taker.item().try_recv())? else { return Ok(None) };
        let (result, fate) = read(&frame);
        match fate {
            Fate::Release => drop(frame),
            Fate::Reject => frame.reject(),
            Fate::PutBack => frame.put_back(),
        }
        Ok(Some(result))
    }

    /// Like `send`, without waiting; if there is no room, the descriptor is not readable until there
    /// may be some.
    pub(crate) fn send_polled(&self, py: Python<'_>, message: &[u8]) -> PyResult<bool> {
        match self.lend_single::<PollSender>(py)?.item().try_send(message) {
            Ok(()) => Ok(true),
            Err(SendError::Full) => Ok(false),
            Err(error) => Err(errors::of_send(py, &error)),
        }
    }

    /// Has the descriptor tell what is true after messages were taken in other ways.
    pub(crate) fn settle(&self, py: Python<'_>) -> PyResult<()> {
        self.take_polled(py, |_| ((), Fate::PutBack)).map(drop)
    }
}
