//! One open queue in this process: its handles, lent to one thread at a time, waits without the
//! GIL, and a new start in forked children.
//!
//! # Locks
//! `state` is locked only with the GIL held, for a few instructions, in which nothing is waited for
//! and no code of Python runs. So no thread ever waits for it, and no thread holds it while another
//! one forks (Python forks with the GIL held).

mod lend;
mod transfer;
mod wait;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use ringway::{OpenOptions, RecvError, TaskError, Uuid};

use lend::Polled;
pub(crate) use transfer::{Payload, Taken, received};
pub(crate) use wait::Wait;

use crate::engine::{Kind, PollSender, PollTaker, Queue, Receiver, Sender, Taker, Turn};
use crate::{errors, exit};

pub(crate) struct Link {
    kind: Kind,
    /// `None`: a memfd.
    path: Option<PathBuf>,
    uuid: Uuid,
    max_message: usize,
    state: Mutex<State>,
}

pub(crate) struct State {
    /// That of the process that made the handles.
    generation: u64,
    /// `None` once closed.
    pub(crate) queue: Option<Queue>,
    senders: Vec<Sender>,
    takers: Vec<Taker>,
    /// For frames: threads share it.
    receiver: Option<Receiver>,
    poll_taker: Polled<PollTaker>,
    poll_sender: Polled<PollSender>,
}

impl Link {
    pub(crate) fn new(queue: Queue, is_named: bool) -> Self {
        exit::watch_forks();
        Self {
            kind: queue.kind(),
            path: is_named.then(|| queue.path().to_path_buf()),
            uuid: queue.uuid(),
            max_message: queue.max_message(),
            state: Mutex::new(State {
                generation: exit::generation(),
                queue: Some(queue),
                senders: Vec::new(),
                takers: Vec::new(),
                receiver: None,
                poll_taker: Polled::default(),
                poll_sender: Polled::default(),
            }),
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    pub(crate) fn uuid(&self) -> Uuid {
        self.uuid
    }

    pub(crate) fn max_message(&self) -> usize {
        self.max_message
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state of this process. In a forked child, the parent's handles are given up first, and
    /// the queue is opened anew.
    pub(crate) fn state(&self, py: Python<'_>) -> PyResult<MutexGuard<'_, State>> {
        let mut state = self.lock();
        if state.generation != exit::generation() {
            state.reopen(self.path.as_deref(), self.uuid).map_err(|reason| reason.into_error(py))?;
        }
        Ok(state)
    }

    /// A handle of the queue.
    pub(crate) fn queue(&self, py: Python<'_>) -> PyResult<Queue> {
        self.state(py)?.queue.clone().ok_or_else(|| closed(self))
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().queue.is_none()
    }

    /// Whether an event loop has asked for messages.
    pub(crate) fn is_polled(&self) -> bool {
        !matches!(self.lock().poll_taker, Polled::Missing)
    }

    /// Gives all handles up that are not lent.
    pub(crate) fn close(&self, py: Python<'_>) {
        let handles = {
            let mut state = self.lock();
            let (senders, takers) = (std::mem::take(&mut state.senders), std::mem::take(&mut state.takers));
            let polled = (state.poll_taker.take(), state.poll_sender.take());
            (senders, takers, polled, state.receiver.take(), state.queue.take())
        };
        // Detaching takes locks of the kernel.
        exit::detached(py, move || drop(handles));
    }

    /// Declares one message done, as a consumer of this process: which one it is makes no difference, so
    /// one is attached only if there is none.
    pub(crate) fn task_done(&self, py: Python<'_>) -> PyResult<()> {
        let receiver = self.state(py)?.receiver.clone();
        let done = match receiver.and_then(|receiver| receiver.task_done()) {
            Some(done) => done,
            None if self.is_polled() => self.lend_single::<PollTaker>(py)?.item().get_ref().task_done(),
            None => self.taker(py)?.item().task_done(),
        };
        done.map_err(|error| errors::of_task(py, &error))
    }

    /// Drops the oldest message, which counts as done. False: there is none.
    pub(crate) fn drop_one(&self, py: Python<'_>) -> PyResult<bool> {
        let mut taker = self.taker(py)?;
        let turn = Turn::new(taker.item());
        let frame = match turn.try_recv() {
            Err(RecvError::Closed) => None,
            tried => received(py, tried)?,
        };
        let Some(frame) = frame else { return Ok(false) };
        match turn.task_done() {
            // All are counted if a process was killed between counting this one and releasing it.
            Ok(()) | Err(TaskError::TooMany { .. } | TaskError::NotCounted { .. }) => {}
            Err(error) => return Err(errors::of_task(py, &error)),
        }
        drop(frame);
        Ok(true)
    }

    /// Waits until all messages in the file are done. `Ok(false)`: the time is up.
    pub(crate) fn join(&self, py: Python<'_>, wait: Wait) -> PyResult<bool> {
        let queue = self.queue(py)?;
        let joined = wait.repeat(py, |slice| match exit::detached(py, || queue.join_timeout(slice)) {
            Some(Ok(())) => Ok(Some(())),
            Some(Err(TaskError::Timeout { .. })) => Ok(None),
            Some(Err(error)) => Err(errors::of_task(py, &error)),
            None => Err(PyRuntimeError::new_err("an SPSC queue does not count what is done")),
        })?;
        Ok(joined.is_some())
    }

    /// The consumer of frames, if there is one; and how many frames of it are held.
    pub(crate) fn held(&self) -> usize {
        let receiver = self.lock().receiver.clone();
        receiver.map_or(0, |receiver| receiver.held())
    }
}

pub(crate) fn closed(link: &Link) -> PyErr {
    let name = link.path().map_or_else(|| "the queue".into(), |path| path.display().to_string());
    pyo3::exceptions::PyValueError::new_err(format!("{name} is closed in this process; open it again"))
}

/// Why a forked child could not open the queue again.
enum NotReopened {
    Open(ringway::OpenError),
    Another(PathBuf),
}

impl NotReopened {
    fn into_error(self, py: Python<'_>) -> PyErr {
        match self {
            Self::Open(error) => errors::of_open(py, &error),
            Self::Another(path) => another_queue(py, &path),
        }
    }
}

/// The error of a name that leads to another queue than it did.
pub(crate) fn another_queue(py: Python<'_>, path: &Path) -> PyErr {
    errors::raise(
        py,
        "ringway._errors",
        "MismatchError",
        format!(
            "{}: this is another queue than the one that was passed here: that one was removed, and this one created \
             under the same name; pass the new one",
            path.display()
        ),
    )
}

impl State {
    fn reopen(&mut self, path: Option<&Path>, uuid: Uuid) -> Result<(), NotReopened> {
        // The handles of the parent do nothing here; what they keep open is closed.
        self.senders.clear();
        self.takers.clear();
        self.receiver = None;
        // The thread that watches for them is the parent's, and may have locked what they share.
        std::mem::forget((self.poll_taker.take(), self.poll_sender.take()));
        if let Some(old) = &self.queue {
            let options = open_options();
            let queue = match path {
                Some(path) => Queue::open(old.kind(), path, &options),
                None => Queue::open_fd(old.kind(), old.fd(), &options),
            };
            let queue = queue.map_err(NotReopened::Open)?;
            if queue.uuid() != uuid {
                return Err(NotReopened::Another(queue.path().to_path_buf()));
            }
            self.queue = Some(queue);
        }
        self.generation = exit::generation();
        Ok(())
    }
}

/// How this process treats a queue that it opens.
pub(crate) fn open_options() -> OpenOptions {
    OpenOptions::new().prefault(false)
}
