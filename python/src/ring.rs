//! Frames in place: the native part of `ringway.Ring`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};
use ringway::SendError;
use ringway_value::MessageType;

use crate::codec::{self, Part, Raw};
use crate::engine::{Kind, OwnedReservation};
use crate::frame::Frame;
use crate::link::{Link, Payload, Wait};
use crate::reservation::Reservation;
use crate::settings::{Settings, open};
use crate::{errors, exit, typed};

/// A queue of bytes of either kind; see `ringway.Ring`.
#[pyclass(frozen, weakref, subclass, module = "ringway._core", name = "RingBase")]
pub(crate) struct Ring {
    link: Link,
    allow_pickle: bool,
    /// What the messages of a typed queue are.
    message: Option<Arc<MessageType>>,
}

impl Ring {
    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    fn reserve_with(
        slf: &Bound<'_, Self>,
        len: usize,
        head: Option<&[u8]>,
        wait: Wait,
    ) -> PyResult<Reservation> {
        let py = slf.py();
        slf.get().must_be_bytes()?;
        let link = &slf.get().link;
        let generation = exit::generation();
        let mut sender = Some(link.sender(py)?.keep());
        let mut reserve = |until: Option<Option<Instant>>| {
            let kept = sender.take().ok_or_else(|| PyRuntimeError::new_err("the producer is lent"))?;
            let made = match until {
                None => OwnedReservation::make(kept, |sender| sender.try_reserve(len)),
                Some(deadline) => exit::detached(py, move || {
                    OwnedReservation::make(kept, |sender| sender.reserve_until(len, deadline))
                }),
            };
            match made {
                Ok(reservation) => Ok(Some(reservation)),
                Err((back, error)) => {
                    sender = Some(back);
                    match error {
                        SendError::Full | SendError::Timeout { .. } | SendError::Interrupted => Ok(None),
                        error => Err(errors::of_send(py, &error)),
                    }
                }
            }
        };
        // The commit waits as long as the reservation may: so one that may wait does not only try.
        let made = match wait {
            Wait::No => reserve(None),
            wait => wait.complete(py, |deadline| reserve(Some(deadline))),
        };
        if let Some(back) = sender {
            link.return_sender(back, generation);
        }
        let mut open = made?.ok_or_else(|| errors::full(py))?;
        if let Some(head) = head {
            open.bytes()[..head.len()].copy_from_slice(head);
        }
        Ok(Reservation::new(slf.clone().unbind(), generation, open, head.is_some()))
    }

    /// What is written in place, or with a header of this package, is no message of a Rust type.
    fn must_be_bytes(&self) -> PyResult<()> {
        match &self.message {
            None => Ok(()),
            Some(ty) => Err(PyTypeError::new_err(format!(
                "the queue holds messages of the Rust type `{}`; `send(record)` checks them, if their layout is fixed",
                ty.name()
            ))),
        }
    }

    fn send_payload(&self, py: Python<'_>, payload: &(impl Payload + ?Sized), wait: Wait) -> PyResult<()> {
        if self.link.send(py, payload, wait)? { Ok(()) } else { Err(errors::full(py)) }
    }
}

#[pymethods]
impl Ring {
    #[new]
    #[pyo3(signature = (how, path = None, *, kind = None, uuid = None, allow_pickle = false, **options))]
    fn new(
        py: Python<'_>,
        how: &str,
        path: Option<PathBuf>,
        kind: Option<&str>,
        uuid: Option<&[u8]>,
        allow_pickle: bool,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let settings = Settings::new(kind, options)?;
        let opened = open(py, how, path.as_deref(), uuid, &settings)?;
        let message = opened.description.map(|description| MessageType::new(&description)).transpose();
        let message = message.map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(Self {
            link: Link::new(opened.queue, opened.is_named),
            allow_pickle,
            message: message.map(Arc::new),
        })
    }

    /// Sends a copy of `data`, any contiguous buffer. To a queue of a Rust type with a fixed layout: a
    /// record of `dtype`, which is checked.
    #[pyo3(signature = (data, block = true, timeout = None))]
    fn send(
        &self,
        py: Python<'_>,
        data: &Bound<'_, PyAny>,
        block: bool,
        timeout: Option<f64>,
    ) -> PyResult<()> {
        let wait = Wait::new(block, timeout)?;
        if let Some(ty) = &self.message {
            // A copy, which no code of Python can change after the check.
            let bytes = data.call_method0("tobytes").or_else(|_| py.get_type::<PyBytes>().call1((data,)))?;
            let bytes = bytes.cast_into::<PyBytes>()?;
            typed::check(ty, bytes.as_bytes())?;
            return self.send_payload(py, bytes.as_bytes(), wait);
        }
        if let Ok(bytes) = data.cast_exact::<PyBytes>() {
            return self.send_payload(py, bytes.as_bytes(), wait);
        }
        let buffer = PyUntypedBuffer::get(data)?;
        if !buffer.is_c_contiguous() && !buffer.is_fortran_contiguous() {
            return Err(PyValueError::new_err(
                "the buffer is not contiguous; send `bytes(data)`, or an array with `send_array`",
            ));
        }
        let len = buffer.len_bytes();
        let parts = vec![Part::raw(buffer.buf_ptr().cast(), len, 0)];
        self.send_payload(py, &Raw::Many { head: Vec::new(), parts, len }, wait)
    }

    /// Sends a copy of each buffer, in order. Returns how many were sent: fewer than there are only
    /// if the time was up.
    #[pyo3(signature = (data, block = true, timeout = None))]
    fn send_many(
        &self,
        py: Python<'_>,
        data: &Bound<'_, PyAny>,
        block: bool,
        timeout: Option<f64>,
    ) -> PyResult<usize> {
        let wait = Wait::new(block, timeout)?;
        let mut sent = 0;
        self.must_be_bytes()?;
        for item in data.try_iter()? {
            let buffer = pyo3::buffer::PyBuffer::<u8>::get(&item?)?;
            let len = buffer.len_bytes();
            let parts = vec![Part::raw(buffer.buf_ptr().cast(), len, 0)];
            if !self.link.send(py, &Raw::Many { head: Vec::new(), parts, len }, wait)? {
                break;
            }
            sent += 1;
        }
        Ok(sent)
    }

    /// Sends a numpy array with its type and shape.
    #[pyo3(signature = (array, block = true, timeout = None))]
    fn send_array(
        &self,
        py: Python<'_>,
        array: &Bound<'_, PyAny>,
        block: bool,
        timeout: Option<f64>,
    ) -> PyResult<()> {
        let wait = Wait::new(block, timeout)?;
        self.must_be_bytes()?;
        let Some(encoded) = codec::encode_array(array)? else {
            return Err(PyValueError::new_err(
                "the array holds objects of Python, which only this process has; `ringway.Queue` can pickle it",
            ));
        };
        self.send_payload(py, &encoded.raw, wait)
    }

    /// Reserves a message of `nbytes` bytes, to be written in place: `with ring.reserve(n) as view`.
    #[pyo3(signature = (nbytes, block = true, timeout = None))]
    fn reserve(
        slf: &Bound<'_, Self>,
        nbytes: usize,
        block: bool,
        timeout: Option<f64>,
    ) -> PyResult<Reservation> {
        Self::reserve_with(slf, nbytes, None, Wait::new(block, timeout)?)
    }

    #[pyo3(signature = (shape, dtype, block = true, timeout = None))]
    fn _reserve_array(
        slf: &Bound<'_, Self>,
        shape: Vec<usize>,
        dtype: &Bound<'_, PyAny>,
        block: bool,
        timeout: Option<f64>,
    ) -> PyResult<Reservation> {
        let (mut head, at, len) = codec::header_of(dtype, &shape)?;
        head.resize(at, 0);
        Self::reserve_with(slf, len, Some(&head), Wait::new(block, timeout)?)
    }

    /// Receives a message, in place.
    #[pyo3(signature = (block = true, timeout = None))]
    fn recv(&self, py: Python<'_>, block: bool, timeout: Option<f64>) -> PyResult<Frame> {
        let frame = self.link.recv(py, Wait::new(block, timeout)?)?.ok_or_else(|| errors::empty(py))?;
        Ok(Frame::new(frame, self.allow_pickle, self.message.clone()))
    }

    /// Receives up to `max` messages, in place; waits for the first only.
    #[pyo3(signature = (max, block = true, timeout = None))]
    fn recv_many<'py>(
        &self,
        py: Python<'py>,
        max: usize,
        block: bool,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyList>> {
        let frames = PyList::empty(py);
        let mut wait = Wait::new(block, timeout)?;
        while frames.len() < max {
            match self.link.recv(py, wait) {
                Ok(Some(frame)) => frames
                    .append(Bound::new(py, Frame::new(frame, self.allow_pickle, self.message.clone()))?)?,
                Ok(None) if frames.is_empty() => return Err(errors::empty(py)),
                Err(error) if frames.is_empty() => return Err(error),
                _ => break,
            }
            wait = Wait::No;
        }
        Ok(frames)
    }

    /// Gives up this process's handles. Frames that are held stay valid. Again: does nothing.
    fn close(&self, py: Python<'_>) {
        self.link.close(py);
    }

    /// Whether this process has closed its handles.
    #[getter]
    fn closed(&self) -> bool {
        self.link.is_closed()
    }

    /// Ends the queue for good, for every process: no message is taken any more, and receiving
    /// raises `ShutDown` once every message was taken.
    fn shutdown(&self, py: Python<'_>) -> PyResult<()> {
        let queue = self.link.queue(py)?;
        exit::detached(py, || queue.shut_down());
        Ok(())
    }

    /// Whether the queue was ended with `shutdown`.
    #[getter]
    fn is_shutdown(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.link.queue(py)?.is_shut_down())
    }

    /// The path of the file; `None` for one without a name.
    #[getter]
    fn path(&self) -> Option<PathBuf> {
        self.link.path().map(Into::into)
    }

    /// The identity of the queue: 16 bytes.
    #[getter]
    fn uuid(&self) -> Vec<u8> {
        self.link.uuid().as_bytes().to_vec()
    }

    /// `"mpmc"` or `"spsc"`.
    #[getter]
    fn kind(&self) -> &'static str {
        match self.link.kind() {
            Kind::Mpmc => "mpmc",
            Kind::Spsc => "spsc",
        }
    }

    /// The bytes of the largest message.
    #[getter]
    fn max_message(&self) -> usize {
        self.link.max_message()
    }

    /// The numpy type of a typed queue's messages, if their layout is fixed; `None` of bytes.
    #[getter]
    fn dtype<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.message.as_deref().map(|ty| typed::dtype(py, ty)).transpose()
    }

    /// What the file says of its messages' Rust type, as `ringway schema` prints it; `None` of bytes.
    #[getter]
    fn schema(&self) -> Option<&str> {
        self.message.as_deref().map(MessageType::text)
    }

    #[getter]
    fn _allow_pickle(&self) -> bool {
        self.allow_pickle
    }

    /// The descriptor of the file, for passing it to other processes.
    fn fileno(&self, py: Python<'_>) -> PyResult<i32> {
        use std::os::fd::AsRawFd;
        Ok(self.link.queue(py)?.fd().as_raw_fd())
    }

    /// A descriptor that is readable while a message may be there.
    fn _readable_fileno(&self, py: Python<'_>) -> PyResult<i32> {
        self.link.messages_fd(py)
    }

    /// Has that descriptor tell what is true after messages were received.
    fn _settle(&self, py: Python<'_>) -> PyResult<()> {
        self.link.settle(py)
    }

    fn _stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        stats(py, &self.link)
    }
}

/// The counters, by name.
pub(crate) fn stats<'py>(py: Python<'py>, link: &Link) -> PyResult<Bound<'py, PyDict>> {
    let queue = link.queue(py)?;
    let named = PyDict::new(py);
    named.set_item("backlog", queue.len())?;
    named.set_item("room", queue.room())?;
    named.set_item("ring_bytes", queue.ring_bytes())?;
    named.set_item("held_here", link.held())?;
    named.set_item("warnings", queue.warnings())?;
    if let Some(stats) = exit::detached(py, || queue.stats()) {
        for (name, value) in [
            ("held", stats.held),
            ("sent", stats.sent),
            ("received", stats.received),
            ("redelivered", stats.redelivered),
            ("rejected", stats.rejected),
            ("deaths", stats.deaths),
            ("requeued", stats.requeued),
            ("done", stats.done),
            ("dead_letters", stats.dead_letters),
            ("participants", stats.participants.len() as u64),
        ] {
            named.set_item(name, value)?;
        }
    }
    Ok(named)
}
