//! Pickle 5: large buffers stay out of the stream, and are copied once, straight into the frame.

use std::sync::{Mutex, PoisonError};

use pyo3::buffer::PyUntypedBuffer;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict};

use super::{Encoded, Keep, PICKLE, PICKLE_BUFFERS, Part, Raw, aligned};

/// A buffer of fewer bytes stays in the stream.
const OUT_OF_BAND: usize = 1 << 10;

/// The file that a pickler writes to: keeps the chunks.
#[pyclass(frozen, module = "ringway._core")]
pub(crate) struct PickleSink {
    chunks: Mutex<Vec<Py<PyBytes>>>,
}

#[pymethods]
impl PickleSink {
    fn write(&self, py: Python<'_>, chunk: &Bound<'_, PyAny>) -> PyResult<usize> {
        let chunk = match chunk.cast_exact::<PyBytes>() {
            Ok(bytes) => bytes.clone(),
            // A bytearray or the like, which may change later.
            Err(_) => py.get_type::<PyBytes>().call1((chunk,))?.cast_into::<PyBytes>()?,
        };
        let len = chunk.as_bytes().len();
        unpoisoned(self.chunks.lock()).push(chunk.unbind());
        Ok(len)
    }
}

/// Collects what a pickler leaves out of the stream.
#[pyclass(frozen, module = "ringway._core")]
pub(crate) struct PickleBuffers {
    buffers: Mutex<Vec<PyUntypedBuffer>>,
}

#[pymethods]
impl PickleBuffers {
    /// True: the buffer goes into the stream.
    fn __call__(&self, buffer: &Bound<'_, PyAny>) -> PyResult<bool> {
        // One that is not contiguous raises, and then is pickled in the stream.
        let Ok(raw) = buffer.call_method0("raw") else { return Ok(true) };
        let raw = PyUntypedBuffer::get(&raw)?;
        if raw.len_bytes() < OUT_OF_BAND {
            return Ok(true);
        }
        unpoisoned(self.buffers.lock()).push(raw);
        Ok(false)
    }
}

/// Never held while another thread could want it: locked with the GIL, for a few instructions.
fn unpoisoned<T>(locked: Result<T, PoisonError<T>>) -> T {
    locked.unwrap_or_else(PoisonError::into_inner)
}

/// A pickler that can be used again, with its file and its list.
struct Pickler {
    pickler: Py<PyAny>,
    sink: Py<PickleSink>,
    buffers: Py<PickleBuffers>,
}

impl Pickler {
    fn new(py: Python<'_>) -> PyResult<Self> {
        static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        static TABLE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let class = CLASS
            .get_or_try_init(py, || Ok::<_, PyErr>(py.import("pickle")?.getattr("Pickler")?.unbind()))?;
        let table = TABLE.get_or_try_init(py, || {
            Ok::<_, PyErr>(py.import("ringway._pickling")?.getattr("DISPATCH_TABLE")?.unbind())
        })?;
        let sink = Py::new(py, PickleSink { chunks: Mutex::default() })?;
        let buffers = Py::new(py, PickleBuffers { buffers: Mutex::default() })?;
        let named = PyDict::new(py);
        named.set_item("buffer_callback", &buffers)?;
        let pickler = class.bind(py).call((&sink, 5), Some(&named))?;
        pickler.setattr("dispatch_table", table)?;
        Ok(Self { pickler: pickler.unbind(), sink, buffers })
    }
}

/// Those that are not in use: pickling may run code that pickles, too.
static IDLE: Mutex<Vec<Pickler>> = Mutex::new(Vec::new());

/// What keeps the parts of a pickled message.
pub(super) struct Pickled {
    #[allow(dead_code, reason = "kept, not read")]
    chunks: Vec<Py<PyBytes>>,
    buffers: Vec<PyUntypedBuffer>,
}

impl Pickled {
    /// Whether parts of the message are memory of the pickled objects themselves.
    pub(super) fn has_buffers(&self) -> bool {
        !self.buffers.is_empty()
    }
}

pub(super) fn encode<'py>(object: &Bound<'py, PyAny>) -> PyResult<Encoded<'py>> {
    let py = object.py();
    let idle = unpoisoned(IDLE.lock()).pop();
    let pickler = match idle {
        Some(pickler) => pickler,
        None => Pickler::new(py)?,
    };
    // After an error the pickler is in a state of its own, and is not used again.
    pickler.pickler.call_method1(py, pyo3::intern!(py, "dump"), (object,))?;
    pickler.pickler.call_method0(py, pyo3::intern!(py, "clear_memo"))?;
    let chunks = std::mem::take(&mut *unpoisoned(pickler.sink.get().chunks.lock()));
    let buffers = std::mem::take(&mut *unpoisoned(pickler.buffers.get().buffers.lock()));
    unpoisoned(IDLE.lock()).push(pickler);
    let raw = layout(py, &chunks, &buffers);
    Ok(Encoded { raw, _keep: Keep::Pickled(Pickled { chunks, buffers }) })
}

fn layout(py: Python<'_>, chunks: &[Py<PyBytes>], buffers: &[PyUntypedBuffer]) -> Raw {
    if let ([chunk], []) = (chunks, buffers) {
        return Raw::One(PICKLE, Part::new(chunk.as_bytes(py), 1));
    }
    let stream: usize = chunks.iter().map(|chunk| chunk.as_bytes(py).len()).sum();
    let mut head = vec![PICKLE];
    if !buffers.is_empty() {
        head = vec![PICKLE_BUFFERS, 0, 0, 0];
        head.extend((buffers.len() as u32).to_le_bytes());
        head.extend((stream as u64).to_le_bytes());
        head.extend(buffers.iter().flat_map(|buffer| (buffer.len_bytes() as u64).to_le_bytes()));
    }
    let mut at = head.len();
    let mut parts = Vec::with_capacity(chunks.len() + buffers.len());
    for chunk in chunks {
        let bytes = chunk.as_bytes(py);
        parts.push(Part::new(bytes, at));
        at += bytes.len();
    }
    for buffer in buffers {
        at = aligned(at);
        parts.push(Part::raw(buffer.buf_ptr().cast(), buffer.len_bytes(), at));
        at += buffer.len_bytes();
    }
    Raw::Many { head, parts, len: at }
}
