//! A received message, in place.
#![allow(unsafe_code, reason = "lends the payload through the buffer protocol")]

use std::ffi::c_int;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::{PyBufferError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use ringway_value::MessageType;

use crate::codec::{self, ArrayHeader};
use crate::engine::{Fate, KeptMapping, OwnedFrame, Receiver};
use crate::typed;

/// A received message, in place in the file: a read-only buffer.
///
/// The message counts as processed, and its room is given back, when the frame is released or its
/// last reference goes. Used in `with`, it is released at the end, or comes again for another
/// consumer if an exception ends the block.
#[pyclass(frozen, weakref, module = "ringway")]
pub(crate) struct Frame {
    /// `None` once released. Locked with the GIL held, for a few instructions. Exports are counted up
    /// only while it is locked and there: so one that is released has none, and gets none.
    frame: Mutex<Option<OwnedFrame>>,
    /// The payload, which stays mapped after the release: views of it that hold no export may show
    /// other bytes then, but never freed memory.
    payload: (*const u8, usize),
    _mapping: KeptMapping,
    exports: AtomicUsize,
    allow_pickle: bool,
    /// What the messages of a typed queue are.
    message: Option<Arc<MessageType>>,
}

// SAFETY: the payload is read-only here and mapped as long as `_mapping` lives.
unsafe impl Send for Frame {}
// SAFETY: as above.
unsafe impl Sync for Frame {}

impl Frame {
    pub(crate) fn new(
        (frame, receiver): (OwnedFrame, Receiver),
        allow_pickle: bool,
        message: Option<Arc<MessageType>>,
    ) -> Self {
        let payload = (frame.bytes().as_ptr(), frame.bytes().len());
        let mapping = KeptMapping::Consumer(receiver);
        let exports = AtomicUsize::new(0);
        Self { frame: Mutex::new(Some(frame)), payload, _mapping: mapping, exports, allow_pickle, message }
    }

    fn lock(&self) -> MutexGuard<'_, Option<OwnedFrame>> {
        self.frame.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<R>(&self, act: impl FnOnce(&OwnedFrame) -> R) -> PyResult<R> {
        self.lock().as_ref().map(act).ok_or_else(released)
    }

    /// The payload, for code that may run Python's: it is not called with the frame locked, and
    /// `release` is refused meanwhile.
    fn lent<R>(&self, read: impl FnOnce(&[u8]) -> PyResult<R>) -> PyResult<R> {
        if !self.export() {
            return Err(released());
        }
        let (pointer, len) = self.payload;
        // SAFETY: mapped as long as `self` lives, and not released while the export counts.
        let bytes = unsafe { std::slice::from_raw_parts(pointer, len) };
        let result = read(bytes);
        self.exports.fetch_sub(1, Ordering::AcqRel);
        result
    }

    fn end(&self, fate: Fate) -> PyResult<()> {
        let mut frame = self.lock();
        let exports = self.exports.load(Ordering::Acquire);
        if exports > 0 {
            drop(frame);
            return Err(PyBufferError::new_err(format!(
                "{exports} views of the frame (memoryviews, arrays) are still there; delete them first, or let the frame \
                 go when they go"
            )));
        }
        let taken = frame.take();
        drop(frame);
        if let Some(taken) = taken {
            taken.end(fate);
        }
        Ok(())
    }

    /// Counts an export. False if the frame was released.
    fn export(&self) -> bool {
        let frame = self.lock();
        if frame.is_some() {
            self.exports.fetch_add(1, Ordering::AcqRel);
        }
        frame.is_some()
    }
}

fn released() -> PyErr {
    PyValueError::new_err("the frame was released")
}

#[pymethods]
impl Frame {
    unsafe fn __getbuffer__(slf: &Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let frame = slf.get();
        if !frame.export() {
            return Err(PyBufferError::new_err("the frame was released"));
        }
        let (payload, len) = frame.payload;
        // SAFETY: `view` is the caller's to fill; the payload stays mapped as long as the object
        // lives, to which the view gets a reference; it is read-only, so that its constness is kept.
        let filled = unsafe {
            ffi::PyBuffer_FillInfo(view, slf.as_ptr(), payload.cast_mut().cast(), len as isize, 1, flags)
        };
        if filled < 0 {
            frame.exports.fetch_sub(1, Ordering::AcqRel);
            return Err(PyErr::fetch(slf.py()));
        }
        Ok(())
    }

    unsafe fn __releasebuffer__(&self, _view: *mut ffi::Py_buffer) {
        self.exports.fetch_sub(1, Ordering::AcqRel);
    }

    fn __len__(&self) -> usize {
        self.payload.1
    }

    fn __bytes__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.with(|frame| PyBytes::new(py, frame.bytes()))
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    #[pyo3(signature = (kind, _value, _traceback))]
    fn __exit__(
        &self,
        kind: Option<&Bound<'_, PyAny>>,
        _value: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        match kind {
            None => self.end(Fate::Release),
            Some(_) => self.end(Fate::Reject),
        }
    }

    /// Gives the room back: the message was processed. Again: does nothing.
    ///
    /// Raises `BufferError` while views of the frame are there.
    fn release(&self) -> PyResult<()> {
        self.end(Fate::Release)
    }

    /// Lets the message come again, before any new one, with one redelivery more.
    ///
    /// Raises `BufferError` while views of the frame are there.
    fn reject(&self) -> PyResult<()> {
        self.end(Fate::Reject)
    }

    /// Puts the message back as it was: it was not processed, and comes again before any new one.
    ///
    /// Raises `BufferError` while views of the frame are there.
    fn put_back(&self) -> PyResult<()> {
        self.end(Fate::PutBack)
    }

    /// Whether the room was given back.
    #[getter]
    fn released(&self) -> bool {
        self.lock().is_none()
    }

    /// How many bytes the message has.
    #[getter]
    fn nbytes(&self) -> usize {
        self.payload.1
    }

    /// The message's position in the order of the queue. MPMC: the number of messages before it.
    #[getter]
    fn position(&self) -> PyResult<u64> {
        self.with(OwnedFrame::position)
    }

    /// How many times the message was delivered before: 0 only if never.
    #[getter]
    fn redeliveries(&self) -> PyResult<u64> {
        self.with(OwnedFrame::redeliveries)
    }

    /// The object in a message that `Queue.put` or `Ring.send_array` wrote, as `Queue.get` returns
    /// it: a copy. Of a queue of a Rust type: the message as plain objects, a struct as a dict of its
    /// fields, a variant of an enum as its name or as a dict with one entry.
    fn decode<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.lent(|bytes| match &self.message {
            Some(message) => typed::decode(py, message, bytes),
            None => codec::decode(py, bytes, self.allow_pickle),
        })
    }

    /// The message as a numpy array, in place and read-only.
    ///
    /// Without arguments: an array that `Ring.send_array`, `Ring.reserve_array` or `Queue.put`
    /// wrote; of a queue of a Rust type with a fixed layout: the message, of type `Ring.dtype`. With `dtype`: the bytes of any message as an array of that type, and of `shape` (by
    /// default one dimension). With `copy=True`: a copy, which is the caller's own.
    ///
    /// The array keeps the frame: its room is given back when both are gone.
    #[pyo3(signature = (*, dtype = None, shape = None, copy = false))]
    fn array<'py>(
        slf: &Bound<'py, Self>,
        dtype: Option<&Bound<'py, PyAny>>,
        shape: Option<&Bound<'py, PyAny>>,
        copy: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let array = match dtype {
            Some(dtype) => py.import("ringway._arrays")?.getattr("of_bytes")?.call1((slf, dtype, shape))?,
            None if slf.get().message.is_some() => {
                let ty = slf.get().message.as_deref().expect("just checked");
                let of_bytes = py.import("ringway._arrays")?.getattr("of_bytes")?;
                of_bytes.call1((slf, typed::dtype(py, ty)?, PyTuple::empty(py)))?
            }
            None => {
                let frame = slf.get();
                let header = frame.lent(|bytes| match bytes.first() {
                    Some(&codec::NDARRAY) => ArrayHeader::read(py, bytes),
                    _ => Err(PyValueError::new_err(
                        "the message holds no array that ringway wrote; say which one it is: frame.array(dtype=...)",
                    )),
                })?;
                codec::shaped(py, &header, slf.as_any(), header.at)?
            }
        };
        if copy { array.call_method0("copy") } else { Ok(array) }
    }

    /// The `pyarrow` table that `Ring.send_arrow` wrote, in place: it keeps the frame.
    fn arrow<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("ringway._arrays")?.getattr("arrow_in_place")?.call1((slf,))
    }

    fn __repr__(&self) -> String {
        let (_, len) = self.payload;
        if self.lock().is_none() {
            format!("<ringway.Frame of {len} bytes, released>")
        } else {
            format!("<ringway.Frame of {len} bytes>")
        }
    }
}
