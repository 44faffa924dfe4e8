//! Handles with a descriptor for event loops: one of each role in a process, made when an event loop
//! first asks for it.
//!
//! The descriptor of messages stays readable until an attempt *of that handle* finds nothing. So
//! once it exists, `take_polled` is the way to take messages, and `settle` has it attempt.

use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use pyo3::exceptions::{PyOSError, PyRuntimeError};
use pyo3::prelude::*;
use ringway::SendError;

use crate::engine::{Fate, PollError, PollSender, PollTaker, Queue};
use crate::link::{Link, State, closed, received};
use crate::{errors, exit};

/// A handle that one thread at a time uses.
#[derive(Default)]
pub(crate) enum Polled<T> {
    #[default]
    Missing,
    There(T),
    Lent,
}

impl<T> Polled<T> {
    pub(crate) fn take(&mut self) -> Option<T> {
        match std::mem::take(self) {
            Self::There(handle) => Some(handle),
            Self::Missing | Self::Lent => None,
        }
    }
}

/// How long a thread waits for another one to have made its attempt.
const TURN: Duration = Duration::from_micros(50);

impl Link {
    /// Lends the handle to `act`; makes it if there is none.
    fn with_polled<T: AsRawFd + Send, R>(
        &self,
        py: Python<'_>,
        place: fn(&mut State) -> &mut Polled<T>,
        make: fn(&Queue) -> Option<Result<T, PollError>>,
        act: impl FnOnce(&mut T) -> R,
    ) -> PyResult<R> {
        let (mut handle, generation) = loop {
            let mut state = self.state(py)?;
            let queue = state.queue.clone().ok_or_else(|| closed(self))?;
            match std::mem::replace(place(&mut state), Polled::Lent) {
                Polled::There(handle) => break (handle, exit::generation()),
                Polled::Missing => {
                    drop(state);
                    let made = exit::detached(py, move || make(&queue));
                    match made
                        .unwrap_or_else(|| Err(PollError::System(std::io::ErrorKind::Unsupported.into())))
                    {
                        Ok(handle) => break (handle, exit::generation()),
                        Err(error) => {
                            *place(&mut self.lock()) = Polled::Missing;
                            return Err(not_made(py, &error));
                        }
                    }
                }
                Polled::Lent => {
                    drop(state);
                    exit::detached(py, || std::thread::sleep(TURN));
                    py.check_signals()?;
                }
            }
        };
        let result = act(&mut handle);
        let mut state = self.lock();
        if exit::generation() == generation && state.queue.is_some() {
            *place(&mut state) = Polled::There(handle);
        } else {
            *place(&mut state) = Polled::Missing;
        }
        Ok(result)
    }

    /// The descriptor that is readable while a message may be there.
    pub(crate) fn messages_fd(&self, py: Python<'_>) -> PyResult<RawFd> {
        self.with_polled(py, taker, Queue::poll_taker, |handle| handle.as_raw_fd())
    }

    /// The descriptor that is readable while there may be room.
    pub(crate) fn room_fd(&self, py: Python<'_>) -> PyResult<RawFd> {
        self.with_polled(py, sender, Queue::poll_sender, |handle| handle.as_raw_fd())
    }

    /// Like `take`, without waiting; if there is nothing, the descriptor is not readable until
    /// there may be something.
    pub(crate) fn take_polled<R>(
        &self,
        py: Python<'_>,
        read: impl FnOnce(&[u8]) -> (R, Fate),
    ) -> PyResult<Option<R>> {
        self.with_polled(py, taker, Queue::poll_taker, |handle| {
            let Some(frame) = received(py, handle.try_recv())? else { return Ok(None) };
            let (result, fate) = read(&frame);
            match fate {
                Fate::Release => drop(frame),
                Fate::Reject => frame.reject(),
                Fate::PutBack => frame.put_back(),
            }
            Ok(Some(result))
        })?
    }

    /// Like `send`, without waiting; if there is no room, the descriptor is not readable until there
    /// may be some.
    pub(crate) fn send_polled(&self, py: Python<'_>, message: &[u8]) -> PyResult<bool> {
        self.with_polled(py, sender, Queue::poll_sender, |handle| match handle.try_send(message) {
            Ok(()) => Ok(true),
            Err(SendError::Full) => Ok(false),
            Err(error) => Err(errors::of_send(py, &error)),
        })?
    }

    /// Whether an event loop has asked for messages.
    pub(crate) fn is_polled(&self) -> bool {
        !matches!(self.lock().poll_taker, Polled::Missing)
    }

    /// Has the descriptor tell what is true after messages were taken in other ways.
    pub(crate) fn settle(&self, py: Python<'_>) -> PyResult<()> {
        self.take_polled(py, |_| ((), Fate::PutBack)).map(drop)
    }
}

fn taker(state: &mut State) -> &mut Polled<PollTaker> {
    &mut state.poll_taker
}

fn sender(state: &mut State) -> &mut Polled<PollSender> {
    &mut state.poll_sender
}

fn not_made(py: Python<'_>, error: &PollError) -> PyErr {
    match error {
        PollError::Attach(error) => errors::of_attach(py, error),
        PollError::System(error) if error.kind() == std::io::ErrorKind::Unsupported => {
            PyRuntimeError::new_err(
                "an SPSC queue has one producer and one consumer, and none for event loops",
            )
        }
        PollError::System(error) => PyOSError::new_err((
            error.raw_os_error(),
            format!("making a descriptor for event loops: {error}"),
        )),
    }
}
