//! numpy arrays, through the buffer protocol: numpy is not linked, and imported only once a program
//! has done so or receives an array.

use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use super::read::Cursor;
use super::{Encoded, Keep, NDARRAY, Part, Raw, aligned};

/// The data is in Fortran's order.
const FORTRAN: u8 = 1;

static NDARRAY_TYPE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Whether it is a `numpy.ndarray`, and not of a subclass, which pickle keeps.
pub(super) fn is_array(object: &Bound<'_, PyAny>) -> bool {
    let py = object.py();
    let class = object.get_type();
    if let Some(known) = NDARRAY_TYPE.get(py) {
        return class.as_any().is(known);
    }
    // An array shows that numpy is imported; looked for by name only until the first one came.
    if class.name().is_ok_and(|name| name == "ndarray")
        && let Ok(known) = py.import("numpy").and_then(|numpy| numpy.getattr("ndarray"))
    {
        let known = NDARRAY_TYPE.get_or_init(py, || known.unbind());
        return class.as_any().is(known);
    }
    false
}

/// `None` if the array's type cannot be described (it holds objects), or it is scattered in memory
/// in a way that has to be copied first: pickle does that.
pub(crate) fn encode_array<'py>(array: &Bound<'py, PyAny>) -> PyResult<Option<Encoded<'py>>> {
    let py = array.py();
    let Some(description) = describe(&array.getattr(pyo3::intern!(py, "dtype"))?)? else { return Ok(None) };
    let (array, buffer) = match PyUntypedBuffer::get(array) {
        Ok(buffer) if buffer.is_c_contiguous() || buffer.is_fortran_contiguous() => (array.clone(), buffer),
        // Contiguous first; and as integers if the type has no form in the buffer protocol.
        _ => {
            let plain = py.import("ringway._arrays")?.getattr("plain")?.call1((array,))?;
            let buffer = PyUntypedBuffer::get(&plain)?;
            (array.clone(), buffer)
        }
    };
    let shape: Vec<usize> = array.getattr(pyo3::intern!(py, "shape"))?.extract()?;
    let is_fortran = !buffer.is_c_contiguous();
    let head = header(description.as_bytes(), &shape, is_fortran);
    let at = aligned(head.len());
    let len = at + buffer.len_bytes();
    let part = Part::raw(buffer.buf_ptr().cast(), buffer.len_bytes(), at);
    Ok(Some(Encoded { raw: Raw::Many { head, parts: vec![part], len }, _keep: Keep::Buffer(buffer) }))
}

fn header(description: &[u8], shape: &[usize], is_fortran: bool) -> Vec<u8> {
    let mut head = vec![NDARRAY, if is_fortran { FORTRAN } else { 0 }];
    head.extend((description.len() as u16).to_le_bytes());
    head.extend((shape.len() as u32).to_le_bytes());
    head.extend(shape.iter().flat_map(|extent| (*extent as u64).to_le_bytes()));
    head.extend(description);
    head
}

/// The header of an array that is written in place, and the whole length of its message.
pub(crate) fn header_of(dtype: &Bound<'_, PyAny>, shape: &[usize]) -> PyResult<(Vec<u8>, usize, usize)> {
    let Some(description) = describe(dtype)? else {
        return Err(PyValueError::new_err(format!(
            "arrays of {dtype} hold objects of Python, which only this process has"
        )));
    };
    let item: usize = dtype.getattr("itemsize")?.extract()?;
    let bytes = shape.iter().try_fold(item, |bytes, extent| bytes.checked_mul(*extent));
    let bytes = bytes.ok_or_else(|| PyValueError::new_err("the array is larger than the address space"))?;
    let head = header(description.as_bytes(), shape, false);
    let at = aligned(head.len());
    Ok((head, at, at + bytes))
}

/// Descriptions of types that were sent or received, both ways.
static DESCRIPTIONS: PyOnceLock<Py<PyDict>> = PyOnceLock::new();

fn describe<'py>(dtype: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyBytes>>> {
    let py = dtype.py();
    let known = DESCRIPTIONS.get_or_init(py, || PyDict::new(py).unbind()).bind(py);
    let description = match known.get_item(dtype)? {
        Some(description) => description,
        None => {
            let description = py.import("ringway._arrays")?.getattr("describe")?.call1((dtype,))?;
            known.set_item(dtype, &description)?;
            description
        }
    };
    Ok(description.cast_into::<PyBytes>().ok())
}

static DTYPES: PyOnceLock<Py<PyDict>> = PyOnceLock::new();

fn dtype_of<'py>(py: Python<'py>, description: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let known = DTYPES.get_or_init(py, || PyDict::new(py).unbind()).bind(py);
    let key = PyBytes::new(py, description);
    if let Some(dtype) = known.get_item(&key)? {
        return Ok(dtype);
    }
    let dtype = py.import("ringway._arrays")?.getattr("dtype_of")?.call1((&key,))?;
    // A peer decides how many there are.
    if known.len() < 1024 {
        known.set_item(key, &dtype)?;
    }
    Ok(dtype)
}

/// The header of an array in a message.
pub(crate) struct ArrayHeader<'py> {
    pub(crate) dtype: Bound<'py, PyAny>,
    pub(crate) shape: Bound<'py, PyTuple>,
    pub(crate) is_fortran: bool,
    pub(crate) at: usize,
    pub(crate) len: usize,
}

impl<'py> ArrayHeader<'py> {
    /// Reads the header of a message whose codec byte is `NDARRAY`; checks that the data is there.
    pub(crate) fn read(py: Python<'py>, message: &[u8]) -> PyResult<Self> {
        let mut cursor = Cursor::new(&message[1..]);
        let flags = cursor.byte()?;
        let description_len = cursor.u16()? as usize;
        let dimensions = cursor.u32()? as usize;
        // numpy has at most 64.
        if dimensions > 64 {
            return Err(PyValueError::new_err(format!("an array of {dimensions} dimensions")));
        }
        let shape = (0..dimensions).map(|_| cursor.u64()).collect::<PyResult<Vec<_>>>()?;
        let dtype = dtype_of(py, cursor.take(description_len)?)?;
        let at = aligned(1 + cursor.position());
        let item: u64 = dtype.getattr(pyo3::intern!(py, "itemsize"))?.extract()?;
        let len = shape.iter().try_fold(item, |bytes, extent| bytes.checked_mul(*extent));
        let len = len.and_then(|len| usize::try_from(len).ok());
        match len.and_then(|len| at.checked_add(len)) {
            Some(end) if end == message.len() => {}
            _ => {
                return Err(PyValueError::new_err(format!(
                    "the message has {} bytes, and its array of shape {shape:?} and type {dtype} would need another number",
                    message.len()
                )));
            }
        }
        let shape = PyTuple::new(py, shape)?;
        Ok(Self { dtype, shape, is_fortran: flags & FORTRAN != 0, at, len: len.unwrap_or_default() })
    }
}

/// A copy of the array in a message, which the caller owns.
pub(super) fn decode<'py>(py: Python<'py>, message: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let header = ArrayHeader::read(py, message)?;
    let data = &message[header.at..header.at + header.len];
    let order = if header.is_fortran { "F" } else { "C" };
    let empty = empty(py)?.call1((&header.shape, &header.dtype, order))?;
    if let Ok(buffer) = PyUntypedBuffer::get(&empty)
        && !buffer.readonly()
        && buffer.len_bytes() == data.len()
    {
        fill(&buffer, data);
        buffer.release(py);
        return Ok(empty);
    }
    // A type without a form in the buffer protocol.
    let copy = pyo3::types::PyByteArray::new(py, data);
    shaped(py, &header, copy.as_any(), 0)
}

#[allow(unsafe_code, reason = "fills a new array")]
fn fill(buffer: &PyUntypedBuffer, data: &[u8]) {
    // SAFETY: the buffer has `data.len()` writable bytes, in one piece: the array was just made
    // contiguous, and no other code knows it.
    unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), buffer.buf_ptr().cast(), data.len()) };
}

fn empty(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static EMPTY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let empty =
        EMPTY.get_or_try_init(py, || Ok::<_, PyErr>(py.import("numpy")?.getattr("empty")?.unbind()))?;
    Ok(empty.bind(py))
}

/// A view of the bytes of `buffer` from `at` on as the array.
pub(crate) fn shaped<'py>(
    py: Python<'py>,
    header: &ArrayHeader<'py>,
    buffer: &Bound<'py, PyAny>,
    at: usize,
) -> PyResult<Bound<'py, PyAny>> {
    let (dtype, shape) = (&header.dtype, &header.shape);
    py.import("ringway._arrays")?.getattr("shaped")?.call1((buffer, at, dtype, shape, header.is_fortran))
}
