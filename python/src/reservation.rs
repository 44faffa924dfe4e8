//! A message that is written in place.
#![allow(unsafe_code, reason = "lends the reserved bytes through the buffer protocol")]

use std::ffi::c_int;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::{PyBufferError, PyRuntimeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyMemoryView;
use ringway::SendError;

use crate::codec::ArrayHeader;
use crate::engine::{KeptMapping, OwnedReservation};
use crate::ring::Ring;
use crate::{codec, errors, exit, signals};

/// A reserved message: `with` lends its bytes, sends it at the end of the block, or gives it up if
/// an exception ends the block.
#[pyclass(frozen, weakref, module = "ringway")]
pub(crate) struct Reservation {
    ring: Py<Ring>,
    generation: u64,
    /// `None` once it was sent or given up. Locked with the GIL held, for a few instructions.
    open: Mutex<Option<OwnedReservation>>,
    /// The bytes, which stay mapped as long as this object lives.
    bytes: (*mut u8, usize),
    _mapping: KeptMapping,
    exports: AtomicUsize,
    /// What `__enter__` lent.
    lent: Mutex<Option<Py<PyAny>>>,
    is_array: bool,
}

// SAFETY: the bytes are reached through the buffer protocol only, as those of a bytearray are; they
// are mapped as long as `_mapping` lives.
unsafe impl Send for Reservation {}
// SAFETY: as above.
unsafe impl Sync for Reservation {}

impl Reservation {
    pub(crate) fn new(ring: Py<Ring>, generation: u64, mut open: OwnedReservation, is_array: bool) -> Self {
        let bytes = open.bytes();
        let bytes = (bytes.as_mut_ptr(), bytes.len());
        let mapping = open.mapping();
        Self {
            ring,
            generation,
            open: Mutex::new(Some(open)),
            bytes,
            _mapping: mapping,
            exports: AtomicUsize::new(0),
            lent: Mutex::default(),
            is_array,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<OwnedReservation>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_up(&self) {
        if let Some(open) = self.lock().take() {
            self.ring.get().link().return_sender(open.abort(), self.generation);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.give_up();
    }
}

#[pymethods]
impl Reservation {
    unsafe fn __getbuffer__(slf: &Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let this = slf.get();
        {
            let open = this.lock();
            if open.is_none() {
                drop(open);
                return Err(PyBufferError::new_err("the reserved message was sent or given up"));
            }
            this.exports.fetch_add(1, Ordering::AcqRel);
        }
        let (bytes, len) = this.bytes;
        // SAFETY: `view` is the caller's to fill; the bytes are mapped as long as the object lives,
        // to which the view gets a reference.
        let filled =
            unsafe { ffi::PyBuffer_FillInfo(view, slf.as_ptr(), bytes.cast(), len as isize, 0, flags) };
        if filled < 0 {
            this.exports.fetch_sub(1, Ordering::AcqRel);
            return Err(PyErr::fetch(slf.py()));
        }
        Ok(())
    }

    unsafe fn __releasebuffer__(&self, _view: *mut ffi::Py_buffer) {
        self.exports.fetch_sub(1, Ordering::AcqRel);
    }

    fn __len__(&self) -> usize {
        self.bytes.1
    }

    fn __enter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let this = slf.get();
        let lent = if this.is_array {
            let (bytes, len) = this.bytes;
            // SAFETY: mapped and reserved; only the header is read, which this process wrote.
            let message = unsafe { std::slice::from_raw_parts(bytes, len) };
            let header = ArrayHeader::read(py, message)?;
            codec::shaped(py, &header, slf.as_any(), header.at)?
        } else {
            PyMemoryView::from(slf.as_any())?.into_any()
        };
        *this.lent.lock().unwrap_or_else(PoisonError::into_inner) = Some(lent.clone().unbind());
        Ok(lent)
    }

    #[pyo3(signature = (kind, _value, _traceback))]
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: Option<&Bound<'_, PyAny>>,
        _value: Option<&Bound<'_, PyAny>>,
        _traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let lent = self.lent.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(lent) = lent {
            if self.is_array {
                // The array may stay: it must not write into a message that was sent.
                lent.bind(py).getattr("flags")?.setattr("writeable", false)?;
                // Views of it would. All arrays of this memory refer to one, the base of them all.
                let base = lent.bind(py).getattr("base")?;
                // SAFETY: the object is alive: `base` is a reference.
                let references = unsafe { ffi::Py_REFCNT(base.as_ptr()) };
                // One is the array's, and one is here. Without memory there is no base.
                if !base.is_none() && references > 2 {
                    self.give_up();
                    if kind.is_some() {
                        return Ok(());
                    }
                    return Err(PyBufferError::new_err(
                        "views of the reserved array (rows, slices) are still there, and could write into it after it \
                         was sent: it was given up; delete them within the `with` block",
                    ));
                }
            } else if lent.call_method0(py, "release").is_err() || self.exports.load(Ordering::Acquire) > 0 {
                self.give_up();
                if kind.is_some() {
                    return Ok(());
                }
                return Err(PyBufferError::new_err(
                    "views of the reserved message are still there, and could write into it after it was sent: it was \
                     given up; delete them within the `with` block",
                ));
            }
        }
        if kind.is_some() {
            self.give_up();
            return Ok(());
        }
        self.commit(py)
    }

    /// Shortens the message to its first `nbytes` bytes. Call it before the end of the block.
    fn truncate(&self, nbytes: usize) -> PyResult<()> {
        if self.is_array {
            return Err(PyValueError::new_err("an array has the shape with which it was reserved"));
        }
        match &mut *self.lock() {
            Some(open) => {
                open.truncate(nbytes);
                Ok(())
            }
            None => Err(PyRuntimeError::new_err("the reserved message was sent or given up")),
        }
    }
}

impl Reservation {
    fn commit(&self, py: Python<'_>) -> PyResult<()> {
        let Some(open) = self.lock().take() else { return Ok(()) };
        // May wait for a place in the order.
        let (sender, result) = exit::detached(py, move || open.commit());
        self.ring.get().link().return_sender(sender, self.generation);
        if let Err(SendError::Interrupted) = result {
            signals::raise(py)?;
        }
        result.map_err(|error| errors::of_send(py, &error))
    }
}
