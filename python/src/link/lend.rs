//! Lending handles to one thread at a time.
//!
//! A handle is taken out of the state, used, and given back: to a pool of equal ones, or to the one
//! place that there is for it. One that comes back after the queue was closed, or in a forked child,
//! ends instead.

use std::time::Duration;

use pyo3::exceptions::{PyOSError, PyRuntimeError};
use pyo3::prelude::*;
use ringway::AttachError;

use super::{Link, State, closed};
use crate::engine::{PollError, PollSender, PollTaker, Queue, Receiver, Sender, Taker};
use crate::{errors, exit};

/// A handle that is lent.
pub(crate) trait Lendable: Send + Sized {
    /// Takes the handle back; `None`: it ends.
    fn give_back(state: &mut State, handle: Option<Self>);
}

/// One of which there may be several: another one is attached while all are lent.
pub(crate) trait Pooled: Lendable {
    fn pool(state: &mut State) -> &mut Vec<Self>;

    /// `None`: the kind of queue has one only.
    fn attach(queue: &Queue) -> Option<Result<Self, AttachError>>;
}

/// One of which there is one in a process: it is waited for while it is lent.
pub(crate) trait Single: Lendable {
    fn place(state: &mut State) -> &mut Polled<Self>;

    /// `None`: the kind of queue has none.
    fn make(queue: &Queue) -> Option<Result<Self, PollError>>;
}

impl Lendable for Sender {
    #[inline]
    fn give_back(state: &mut State, handle: Option<Self>) {
        state.senders.extend(handle);
    }
}

impl Pooled for Sender {
    #[inline]
    fn pool(state: &mut State) -> &mut Vec<Self> {
        &mut state.senders
    }

    fn attach(queue: &Queue) -> Option<Result<Self, AttachError>> {
        Some(queue.sender())
    }
}

impl Lendable for Taker {
    #[inline]
    fn give_back(state: &mut State, handle: Option<Self>) {
        state.takers.extend(handle);
    }
}

impl Pooled for Taker {
    #[inline]
    fn pool(state: &mut State) -> &mut Vec<Self> {
        &mut state.takers
    }

    fn attach(queue: &Queue) -> Option<Result<Self, AttachError>> {
        queue.taker()
    }
}

impl Lendable for PollTaker {
    fn give_back(state: &mut State, handle: Option<Self>) {
        state.poll_taker = Polled::of(handle);
    }
}

impl Single for PollTaker {
    fn place(state: &mut State) -> &mut Polled<Self> {
        &mut state.poll_taker
    }

    fn make(queue: &Queue) -> Option<Result<Self, PollError>> {
        queue.poll_taker()
    }
}

impl Lendable for PollSender {
    fn give_back(state: &mut State, handle: Option<Self>) {
        state.poll_sender = Polled::of(handle);
    }
}

impl Single for PollSender {
    fn place(state: &mut State) -> &mut Polled<Self> {
        &mut state.poll_sender
    }

    fn make(queue: &Queue) -> Option<Result<Self, PollError>> {
        queue.poll_sender()
    }
}

/// The place of a handle of which there is one.
#[derive(Default)]
pub(crate) enum Polled<T> {
    #[default]
    Missing,
    There(T),
    Lent,
}

impl<T> Polled<T> {
    fn of(handle: Option<T>) -> Self {
        handle.map_or(Self::Missing, Self::There)
    }

    pub(crate) fn take(&mut self) -> Option<T> {
        match std::mem::take(self) {
            Self::There(handle) => Some(handle),
            Self::Missing | Self::Lent => None,
        }
    }
}

/// How long a thread waits for another one to have made its attempt.
const TURN: Duration = Duration::from_micros(50);

/// A handle that is lent to this thread, until it is dropped (with the GIL held).
pub(crate) struct Lease<'l, T: Lendable> {
    link: &'l Link,
    handle: Option<T>,
    generation: u64,
}

impl<T: Lendable> Lease<'_, T> {
    #[inline]
    pub(crate) fn item(&mut self) -> &mut T {
        self.handle.as_mut().expect("lent until dropped")
    }

    /// Takes the handle away; `Link::return_sender` brings it back.
    pub(crate) fn keep(mut self) -> T {
        self.handle.take().expect("lent until dropped")
    }
}

impl<T: Lendable> Drop for Lease<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            self.link.take_back(handle, self.generation);
        }
    }
}

impl Link {
    #[inline]
    fn take_back<T: Lendable>(&self, handle: T, generation: u64) {
        // Declared after `handle`: one that ends does so without this lock.
        let mut state = self.lock();
        if state.generation != generation {
            return;
        }
        if state.queue.is_some() {
            return T::give_back(&mut state, Some(handle));
        }
        T::give_back(&mut state, None);
    }

    /// Returns a producer that was kept.
    pub(crate) fn return_sender(&self, sender: Sender, generation: u64) {
        self.take_back(sender, generation);
    }

    /// Lends a handle of the pool; attaches one if all are lent.
    #[inline]
    fn lend<T: Pooled>(&self, py: Python<'_>) -> PyResult<Lease<'_, T>> {
        let (queue, generation) = {
            let mut state = self.state(py)?;
            let generation = state.generation;
            if let Some(handle) = T::pool(&mut state).pop() {
                return Ok(Lease { link: self, handle: Some(handle), generation });
            }
            (state.queue.clone().ok_or_else(|| closed(self))?, generation)
        };
        let handle = exit::detached(py, move || T::attach(&queue));
        let handle = handle.ok_or_else(|| PyRuntimeError::new_err("an SPSC queue has one consumer"))?;
        let handle = handle.map_err(|error| errors::of_attach(py, &error))?;
        Ok(Lease { link: self, handle: Some(handle), generation })
    }

    /// Lends the one handle; makes it if there is none.
    pub(crate) fn lend_single<T: Single>(&self, py: Python<'_>) -> PyResult<Lease<'_, T>> {
        loop {
            let mut state = self.state(py)?;
            let (queue, generation) = (state.queue.clone().ok_or_else(|| closed(self))?, state.generation);
            let handle = match std::mem::replace(T::place(&mut state), Polled::Lent) {
                Polled::There(handle) => handle,
                Polled::Missing => {
                    drop(state);
                    let made = exit::detached(py, move || T::make(&queue));
                    let unsupported = || Err(PollError::System(std::io::ErrorKind::Unsupported.into()));
                    match made.unwrap_or_else(unsupported) {
                        Ok(handle) => handle,
                        Err(error) => {
                            T::give_back(&mut self.lock(), None);
                            return Err(not_made(py, &error));
                        }
                    }
                }
                Polled::Lent => {
                    drop(state);
                    exit::detached(py, || std::thread::sleep(TURN));
                    py.check_signals()?;
                    continue;
                }
            };
            return Ok(Lease { link: self, handle: Some(handle), generation });
        }
    }

    /// Lends the producer to this thread; attaches one if there is none.
    #[inline]
    pub(crate) fn sender(&self, py: Python<'_>) -> PyResult<Lease<'_, Sender>> {
        self.lend(py)
    }

    /// Lends a consumer to this thread; attaches one if there is none.
    #[inline]
    pub(super) fn taker(&self, py: Python<'_>) -> PyResult<Lease<'_, Taker>> {
        self.lend(py)
    }

    /// The consumer of frames; attaches it if there is none.
    pub(super) fn receiver(&self, py: Python<'_>) -> PyResult<Receiver> {
        let (queue, generation) = {
            let state = self.state(py)?;
            if let Some(receiver) = &state.receiver {
                return Ok(receiver.clone());
            }
            (state.queue.clone().ok_or_else(|| closed(self))?, state.generation)
        };
        let receiver = exit::detached(py, move || queue.receiver());
        let receiver = receiver.map_err(|error| errors::of_attach(py, &error))?;
        let mut state = self.state(py)?;
        match &state.receiver {
            // Another thread has attached one meanwhile.
            Some(first) => return Ok(first.clone()),
            None if state.queue.is_some() && state.generation == generation => {
                state.receiver = Some(receiver.clone());
            }
            None => {}
        }
        Ok(receiver)
    }
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
