//! The native part of `ringway.Queue`: `put` and `get` of any object, without a step in Python.

mod get;
mod open;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use crate::codec;
use open::Open;

use crate::frame::Frame;
use crate::link::{Link, Taken, Wait};
use crate::ring::stats;
use crate::settings::{self, Settings};
use crate::{errors, exit};

/// A queue of objects; see `ringway.Queue`.
#[pyclass(frozen, weakref, subclass, module = "ringway._core", name = "QueueBase")]
pub(crate) struct Queue {
    open: OnceLock<Open>,
}

impl Queue {
    fn opened(&self) -> PyResult<&Open> {
        self.open.get().ok_or_else(|| PyRuntimeError::new_err("Queue.__init__() was not called"))
    }

    /// The open queue, for putting and getting.
    #[inline]
    fn in_use<'a>(slf: &'a Bound<'_, Self>) -> PyResult<&'a Open> {
        let open = slf.get().opened()?;
        if open.link.is_closed() {
            return Err(PyValueError::new_err(format!("Queue {} is closed", slf.as_any().repr()?)));
        }
        Ok(open)
    }
}

/// The most messages that one call holds together: while it does, their room is not free.
const TAKEN_TOGETHER: usize = 1024;

#[pymethods]
impl Queue {
    #[new]
    #[pyo3(signature = (*_positional, **_named))]
    fn new(_positional: &Bound<'_, PyTuple>, _named: Option<&Bound<'_, PyDict>>) -> Self {
        Self { open: OnceLock::new() }
    }

    #[pyo3(signature = (how, path, maxsize, overflows, allow_pickle, has_error_hook, uuid = None, **options))]
    #[allow(clippy::too_many_arguments, reason = "called by `Queue.__init__` only")]
    fn _open(
        &self,
        py: Python<'_>,
        how: &str,
        path: Option<PathBuf>,
        maxsize: usize,
        overflows: bool,
        allow_pickle: bool,
        has_error_hook: bool,
        uuid: Option<&[u8]>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        let settings = Settings::new(Some("mpmc"), options)?;
        let opened = settings::open(py, how, path.as_deref(), uuid, &settings)?;
        let open = Open {
            link: Link::new(opened.queue, opened.is_named),
            maxsize,
            overflows,
            allow_pickle,
            has_error_hook,
            was_used: AtomicBool::new(false),
            overflow: Mutex::new((exit::generation(), Arc::default())),
        };
        self.open.set(open).map_err(|_| PyRuntimeError::new_err("Queue.__init__() was called twice"))
    }

    /// Puts an object into the queue.
    ///
    /// A full queue: waits if `block`, for at most `timeout` seconds, and then raises `queue.Full`.
    /// An unbounded queue never waits. What cannot be pickled raises here. `ValueError`: larger
    /// than any message can be, or the queue is closed.
    #[pyo3(signature = (obj, block = true, timeout = None))]
    #[inline]
    fn put(slf: &Bound<'_, Self>, obj: &Bound<'_, PyAny>, block: bool, timeout: Option<f64>) -> PyResult<()> {
        let open = Self::in_use(slf)?;
        let wait = Wait::new(block, timeout)?;
        let message = match codec::encode(obj) {
            Ok(message) => message,
            Err(error) if open.has_error_hook => {
                let hook = slf.getattr("_on_queue_feeder_error")?;
                return hook.call1((error.into_value(slf.py()), obj)).map(drop);
            }
            Err(error) => return Err(error),
        };
        open.was_used.store(true, Ordering::Relaxed);
        if open.put(slf, &message.raw, wait)? { Ok(()) } else { Err(errors::full(slf.py())) }
    }

    /// Puts an object into the queue if there is room now.
    fn put_nowait(slf: &Bound<'_, Self>, obj: &Bound<'_, PyAny>) -> PyResult<()> {
        Self::put(slf, obj, false, None)
    }

    /// Puts each object of an iterable, in order. Returns how many: fewer than there are only if
    /// the time was up. If one cannot be put, those before it are in the queue when it raises. The
    /// objects of a sequence are put together, many at a time; those of an iterator as they come.
    #[pyo3(signature = (objs, block = true, timeout = None))]
    fn put_many(
        slf: &Bound<'_, Self>,
        objs: &Bound<'_, PyAny>,
        block: bool,
        timeout: Option<f64>,
    ) -> PyResult<usize> {
        let open = Self::in_use(slf)?;
        let wait = Wait::new(block, timeout)?;
        open.was_used.store(true, Ordering::Relaxed);
        open.put_each(slf, objs, wait)
    }

    /// Takes an object out of the queue.
    ///
    /// An empty queue: waits if `block`, for at most `timeout` seconds, and then raises
    /// `queue.Empty`. `ShutDown`: the queue was shut down, and is empty.
    #[pyo3(signature = (block = true, timeout = None))]
    #[inline]
    fn get<'py>(slf: &Bound<'py, Self>, block: bool, timeout: Option<f64>) -> PyResult<Bound<'py, PyAny>> {
        let open = Self::in_use(slf)?;
        let py = slf.py();
        let taken = open.link.take(py, Wait::new(block, timeout)?, |message| get::read(py, open, message))?;
        taken.ok_or_else(|| errors::empty(py))?
    }

    /// Takes an object out of the queue if there is one now.
    fn get_nowait<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::get(slf, false, None)
    }

    /// Takes up to `max` objects; waits for the first only.
    #[pyo3(signature = (max, block = true, timeout = None))]
    fn get_many<'py>(
        slf: &Bound<'py, Self>,
        max: usize,
        block: bool,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyList>> {
        let open = Self::in_use(slf)?;
        let py = slf.py();
        let objects = PyList::empty(py);
        let mut wait = Wait::new(block, timeout)?;
        while objects.len() < max {
            let most = (max - objects.len()).min(TAKEN_TOGETHER);
            let mut batch = Vec::new();
            let taken = open.link.take_many(py, wait, most, |message| {
                let decoded = codec::decode(py, message, open.allow_pickle);
                decoded.map(|object| batch.push(object)).is_ok()
            });
            match taken {
                Ok(Taken::All) => batch.into_iter().try_for_each(|object| objects.append(object))?,
                // One of them raises: they are taken one by one.
                Ok(Taken::Back) => return get::get_each(py, open, objects, max, wait),
                Ok(Taken::Nothing) if objects.is_empty() => return Err(errors::empty(py)),
                Err(error) if objects.is_empty() => return Err(error),
                _ => break,
            }
            wait = Wait::No;
        }
        Ok(objects)
    }

    /// Receives a message as a `Frame`, in place: it counts as processed once the frame is
    /// released, and comes again for another process if this one is killed before.
    #[pyo3(signature = (block = true, timeout = None))]
    fn recv(slf: &Bound<'_, Self>, block: bool, timeout: Option<f64>) -> PyResult<Frame> {
        let open = Self::in_use(slf)?;
        let py = slf.py();
        let frame = open.link.recv(py, Wait::new(block, timeout)?)?.ok_or_else(|| errors::empty(py))?;
        Ok(Frame::new(frame, open.allow_pickle, None))
    }

    /// Like `get_nowait`, for event loops.
    fn _get_polled<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let open = Self::in_use(slf)?;
        let py = slf.py();
        let taken = open.link.take_polled(py, |message| get::read(py, open, message))?;
        taken.ok_or_else(|| errors::empty(py))?
    }

    /// Like `put_nowait`, for event loops. False: the queue is full.
    fn _put_polled(slf: &Bound<'_, Self>, obj: &Bound<'_, PyAny>) -> PyResult<bool> {
        let open = Self::in_use(slf)?;
        let message = codec::encode(obj)?.raw.to_vec();
        open.was_used.store(true, Ordering::Relaxed);
        open.link.send_polled(slf.py(), &message)
    }

    /// A descriptor that is readable while an object may be there.
    fn _readable_fileno(&self, py: Python<'_>) -> PyResult<i32> {
        self.opened()?.link.messages_fd(py)
    }

    /// A descriptor that is readable while there may be room.
    fn _writable_fileno(&self, py: Python<'_>) -> PyResult<i32> {
        self.opened()?.link.room_fd(py)
    }

    /// How many objects wait in the queue, including those that this process could not put into
    /// the file yet.
    fn qsize(slf: &Bound<'_, Self>) -> PyResult<u64> {
        let open = slf.get().opened()?;
        if open.link.is_closed() && open.was_used.load(Ordering::Relaxed) {
            return Err(pyo3::exceptions::PyOSError::new_err("the queue is closed"));
        }
        if open.link.is_closed() {
            return Ok(0);
        }
        Ok(open.link.queue(slf.py())?.len() + open.overflow().len() as u64)
    }

    /// Whether the queue is empty, at this moment.
    fn empty(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let is_empty = Self::qsize(slf)? == 0;
        let link = &slf.get().opened()?.link;
        if is_empty && !link.is_closed() && link.is_polled() {
            link.settle(slf.py())?;
        }
        Ok(is_empty)
    }

    /// Whether `maxsize` objects are in the queue, at this moment. Never if it is unbounded.
    fn full(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let maxsize = slf.get().opened()?.maxsize;
        Ok(maxsize > 0 && Self::qsize(slf)? >= maxsize as u64)
    }

    /// Gives up this process's handles: it puts and gets no more. Again: does nothing.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.opened()?.link.close(py);
        Ok(())
    }

    /// Whether this process has closed the queue.
    #[getter]
    fn closed(&self) -> PyResult<bool> {
        Ok(self.opened()?.link.is_closed())
    }

    /// Waits until what this process has put is in the file, for at most `timeout` seconds. True
    /// if it is.
    #[pyo3(signature = (timeout = None))]
    fn _flush(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let Some(open) = self.open.get() else { return Ok(true) };
        let overflow = open.overflow();
        // A list that failed is empty.
        if let Some(error) = overflow.take_failure() {
            return Err(errors::of_send(py, &error));
        }
        if overflow.len() == 0 {
            return Ok(true);
        }
        let wait = match Wait::new(true, timeout)? {
            Wait::No => return Ok(false),
            wait => wait,
        };
        let is_empty = wait.repeat(py, |slice: Duration| {
            Ok(exit::detached(py, || overflow.wait_empty(slice)).then_some(()))
        })?;
        match overflow.take_failure() {
            Some(error) => Err(errors::of_send(py, &error)),
            None => Ok(is_empty.is_some()),
        }
    }

    /// Ends the queue for good, for every process: putting raises `ShutDown`, and getting, too,
    /// once the queue is empty; with `immediate`, everything in it is dropped now, and counts as done.
    /// Without it, what this process has put is kept: if it is not in the file yet, the queue ends for the
    /// other processes as soon as it is, and for this one now.
    #[pyo3(signature = (immediate = false))]
    fn shutdown(slf: &Bound<'_, Self>, immediate: bool) -> PyResult<()> {
        let open = Self::in_use(slf)?;
        let py = slf.py();
        let queue = open.link.queue(py)?;
        let overflow = open.overflow();
        if !immediate {
            exit::detached(py, || overflow.shut_down(queue));
            return Ok(());
        }
        exit::detached(py, || {
            overflow.give_up();
            queue.shut_down();
        });
        // The thread of the list may be about to commit one more.
        Wait::Until(None)
            .repeat(py, |slice| Ok(exit::detached(py, || overflow.wait_empty(slice)).then_some(())))?;
        while open.link.drop_one(py)? {}
        Ok(())
    }

    /// When the process ends without waiting for what is not in the file: a shutdown that waits for it
    /// happens now.
    fn _end_shutdown(&self, py: Python<'_>) {
        if let Some(open) = self.open.get() {
            let overflow = open.overflow();
            exit::detached(py, || overflow.end_shutdown());
        }
    }

    /// Declares one object done. `ValueError`: as many are done as were put.
    fn _task_done(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::in_use(slf)?.link.task_done(slf.py())
    }

    /// Waits until everything is done that was put into the file, or that this process has put and not
    /// moved there yet.
    fn _join(slf: &Bound<'_, Self>) -> PyResult<()> {
        let open = Self::in_use(slf)?;
        let py = slf.py();
        let overflow = open.overflow();
        loop {
            let added = overflow.added();
            slf.get()._flush(py, None)?;
            open.link.join(py, Wait::Until(None))?;
            // A worker may have put more than the file had room for, then have declared done what it had
            // got. That the list is empty again says nothing: the thread may just have moved it on.
            if overflow.added() == added {
                return Ok(());
            }
        }
    }

    /// How many objects in the file are not done.
    fn _unfinished(slf: &Bound<'_, Self>) -> PyResult<u64> {
        let py = slf.py();
        let queue = Self::in_use(slf)?.link.queue(py)?;
        match queue.unfinished() {
            Some(unfinished) => unfinished.map_err(|error| errors::of_task(py, &error)),
            None => Err(PyRuntimeError::new_err("an SPSC queue does not count what is done")),
        }
    }

    #[getter]
    fn _path(&self) -> PyResult<Option<PathBuf>> {
        Ok(self.opened()?.link.path().map(Into::into))
    }

    #[getter]
    fn _uuid(&self) -> PyResult<Vec<u8>> {
        Ok(self.opened()?.link.uuid().as_bytes().to_vec())
    }

    #[getter]
    fn _max_message(&self) -> PyResult<usize> {
        Ok(self.opened()?.link.max_message())
    }

    /// The descriptor of the file.
    fn fileno(&self, py: Python<'_>) -> PyResult<i32> {
        use std::os::fd::AsRawFd;
        Ok(self.opened()?.link.queue(py)?.fd().as_raw_fd())
    }

    fn _stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        stats(py, &self.opened()?.link)
    }
}
