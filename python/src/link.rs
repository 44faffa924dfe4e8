//! One open queue in this process: its handles, lent to one thread at a time, waits without the
//! GIL, and a new start in forked children.
//!
//! # Locks
//! `state` is locked only with the GIL held, for a few instructions, in which nothing is waited for
//! and no code of Python runs. So no thread ever waits for it, and no thread holds it while another
//! one forks (Python forks with the GIL held).

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use ringway::{OpenOptions, RecvError, SendError, TaskError, Uuid};

use crate::engine::{
    Fate, Kind, OwnedFrame, PollSender, PollTaker, Queue, Receiver, Reserved, Sender, Taker, Turn,
};
use crate::polled::Polled;
use crate::{errors, exit, signals};

/// The longest slice of a wait that is not the library's: a signal that arrives just before the
/// thread falls asleep is noticed this late.
const SLICE: Duration = Duration::from_millis(40);

/// The same of a thread that handles no signals: Python handles them in its main thread only.
const SLICE_ELSEWHERE: Duration = Duration::from_secs(2);

/// What is copied without the GIL: a copy that takes longer than giving the GIL back.
const DETACHED_COPY: usize = 1 << 18;

/// How long a call waits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wait {
    No,
    /// `None`: for ever.
    Until(Option<Instant>),
}

impl Wait {
    /// As `block` and `timeout` (in seconds) of the standard library's queues say.
    pub(crate) fn new(block: bool, timeout: Option<f64>) -> PyResult<Self> {
        match (block, timeout) {
            (false, _) => Ok(Self::No),
            (true, None) => Ok(Self::Until(None)),
            (true, Some(seconds)) if seconds.is_nan() => {
                Err(pyo3::exceptions::PyValueError::new_err("`timeout` must be a number of seconds, not nan"))
            }
            (true, Some(seconds)) if seconds <= 0.0 => Ok(Self::No),
            (true, Some(seconds)) => {
                let timeout = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
                // A deadline that cannot be represented never comes.
                Ok(Self::Until(Instant::now().checked_add(timeout)))
            }
        }
    }

    /// The next slice; `None` if the time is up.
    fn slice(self) -> Option<Duration> {
        match self {
            Self::No => None,
            Self::Until(None) => Some(longest()),
            Self::Until(Some(deadline)) => {
                let left = deadline.checked_duration_since(Instant::now())?;
                (!left.is_zero()).then_some(left.min(longest()))
            }
        }
    }

    /// Repeats `attempt`, which waits in the library until the given deadline, until it finds
    /// something or the time is up; at least once. A handler of a signal that raises ends it: `attempt` finds
    /// nothing then.
    pub(crate) fn complete<R>(
        self,
        py: Python<'_>,
        mut attempt: impl FnMut(Option<Instant>) -> PyResult<Option<R>>,
    ) -> PyResult<Option<R>> {
        let Self::Until(deadline) = self else { return Ok(None) };
        loop {
            if let Some(found) = attempt(deadline)? {
                return Ok(Some(found));
            }
            signals::raise(py)?;
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Ok(None);
            }
        }
    }

    /// Repeats `attempt`, which waits for at most a slice, until it finds something or the time is
    /// up; runs handlers of signals in between.
    pub(crate) fn repeat<R>(
        self,
        py: Python<'_>,
        mut attempt: impl FnMut(Duration) -> PyResult<Option<R>>,
    ) -> PyResult<Option<R>> {
        while let Some(slice) = self.slice() {
            if let Some(found) = attempt(slice)? {
                return Ok(Some(found));
            }
            py.check_signals()?;
        }
        Ok(None)
    }
}

fn longest() -> Duration {
    if exit::is_main_thread() { SLICE } else { SLICE_ELSEWHERE }
}

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
    pub(crate) poll_taker: Polled<PollTaker>,
    pub(crate) poll_sender: Polled<PollSender>,
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

    /// Lends the producer to this thread; attaches one if there is none.
    #[inline]
    pub(crate) fn sender(&self, py: Python<'_>) -> PyResult<Lease<'_, Sender>> {
        let (queue, generation) = {
            let mut state = self.state(py)?;
            let generation = state.generation;
            if let Some(sender) = state.senders.pop() {
                return Ok(Lease { link: self, item: Some(sender), generation, give_back: State::senders });
            }
            (state.queue.clone().ok_or_else(|| closed(self))?, generation)
        };
        let sender =
            exit::detached(py, move || queue.sender()).map_err(|error| errors::of_attach(py, &error))?;
        Ok(Lease { link: self, item: Some(sender), generation, give_back: State::senders })
    }

    /// Lends a consumer to this thread; attaches one if there is none.
    #[inline]
    fn taker(&self, py: Python<'_>) -> PyResult<Lease<'_, Taker>> {
        let (queue, generation) = {
            let mut state = self.state(py)?;
            let generation = state.generation;
            if let Some(taker) = state.takers.pop() {
                return Ok(Lease { link: self, item: Some(taker), generation, give_back: State::takers });
            }
            (state.queue.clone().ok_or_else(|| closed(self))?, generation)
        };
        let taker = exit::detached(py, move || queue.taker());
        let taker = taker.ok_or_else(|| PyRuntimeError::new_err("an SPSC queue has one consumer"))?;
        let taker = taker.map_err(|error| errors::of_attach(py, &error))?;
        Ok(Lease { link: self, item: Some(taker), generation, give_back: State::takers })
    }

    /// The consumer of frames; attaches it if there is none.
    fn receiver(&self, py: Python<'_>) -> PyResult<Receiver> {
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

    /// Declares one message done, as a consumer of this process.
    pub(crate) fn task_done(&self, py: Python<'_>) -> PyResult<()> {
        let mut taker = self.taker(py)?;
        taker.item().task_done().map_err(|error| errors::of_task(py, &error))
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
}

impl Link {
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
    fn senders(&mut self) -> &mut Vec<Sender> {
        &mut self.senders
    }

    fn takers(&mut self) -> &mut Vec<Taker> {
        &mut self.takers
    }

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

/// A handle that is lent to this thread, until it is dropped (with the GIL held).
pub(crate) struct Lease<'l, T> {
    link: &'l Link,
    item: Option<T>,
    generation: u64,
    give_back: fn(&mut State) -> &mut Vec<T>,
}

impl<T> Lease<'_, T> {
    #[inline]
    pub(crate) fn item(&mut self) -> &mut T {
        self.item.as_mut().expect("lent until dropped")
    }

    /// Takes the handle away; `Link::return_sender` brings it back.
    pub(crate) fn keep(mut self) -> T {
        self.item.take().expect("lent until dropped")
    }
}

impl<T> Drop for Lease<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let Some(item) = self.item.take() else { return };
        let mut state = self.link.lock();
        if state.generation == self.generation && state.queue.is_some() {
            (self.give_back)(&mut state).push(item);
        }
    }
}

impl Link {
    /// Returns a producer that was kept.
    pub(crate) fn return_sender(&self, sender: Sender, generation: u64) {
        let mut state = self.lock();
        if state.generation == generation && state.queue.is_some() {
            state.senders.push(sender);
        }
    }
}
