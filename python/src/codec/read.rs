//! From a message to an object.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString};

use super::{
    ARROW, BYTEARRAY, BYTES, FALSE, FLOAT, INT, NDARRAY, NONE, PICKLE, PICKLE_BUFFERS, STR, TRUE, aligned,
    array,
};
use crate::errors;

/// Reads numbers; what is missing is an error.
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) fn position(&self) -> usize {
        self.at
    }

    pub(crate) fn take(&mut self, len: usize) -> PyResult<&'a [u8]> {
        let taken = self.bytes[self.at..].get(..len).ok_or_else(cut_off)?;
        self.at += len;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> PyResult<[u8; N]> {
        Ok(self.take(N)?.try_into().expect("as long as asked for"))
    }

    pub(crate) fn byte(&mut self) -> PyResult<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> PyResult<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> PyResult<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> PyResult<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }
}

fn cut_off() -> PyErr {
    PyValueError::new_err(
        "the message is cut off: it was not written by ringway for Python, or by another version",
    )
}

/// The object that a message holds. What it needs of the message is copied.
#[inline]
pub(crate) fn decode<'py>(
    py: Python<'py>,
    message: &[u8],
    allow_pickle: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let Some((&codec, rest)) = message.split_first() else { return Err(unknown(None)) };
    if codec == BYTES {
        return Ok(PyBytes::new(py, rest).into_any());
    }
    let exact = |len: usize| if rest.len() == len { Ok(()) } else { Err(cut_off()) };
    match codec {
        NONE => exact(0).map(|()| py.None().into_bound(py)),
        FALSE => exact(0).map(|()| PyBool::new(py, false).to_owned().into_any()),
        TRUE => exact(0).map(|()| PyBool::new(py, true).to_owned().into_any()),
        INT => {
            exact(8)?;
            Ok(PyInt::new(py, Cursor::new(rest).u64()? as i64).into_any())
        }
        FLOAT => {
            exact(8)?;
            Ok(PyFloat::new(py, f64::from_bits(Cursor::new(rest).u64()?)).into_any())
        }
        STR => text(py, rest),
        BYTEARRAY => Ok(PyByteArray::new(py, rest).into_any()),
        NDARRAY => array::decode(py, message),
        ARROW => py.import("ringway._arrays")?.getattr("arrow_copy")?.call1((PyBytes::new(py, rest),)),
        PICKLE | PICKLE_BUFFERS if !allow_pickle => Err(refused(py)),
        PICKLE => unpickle(py, rest, None),
        PICKLE_BUFFERS => {
            let (stream, buffers) = parts(py, message)?;
            unpickle(py, stream, Some(buffers))
        }
        other => Err(unknown(Some(other))),
    }
}

/// A string, of a copy: a process that breaks the protocol may write the bytes between a check of them
/// and a second read.
fn text<'py>(py: Python<'py>, utf8: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    const SHORT: usize = 256;
    let (mut short, long);
    let copy = if utf8.len() <= SHORT {
        short = [0; SHORT];
        short[..utf8.len()].copy_from_slice(utf8);
        &short[..utf8.len()]
    } else {
        long = utf8.to_vec();
        &long
    };
    let text = std::str::from_utf8(copy).map_err(|error| PyValueError::new_err(error.to_string()))?;
    Ok(PyString::new(py, text).into_any())
}

fn unknown(codec: Option<u8>) -> PyErr {
    let found = codec
        .map_or_else(|| "the message is empty".into(), |codec| format!("the first byte is {codec:#04x}"));
    PyValueError::new_err(format!(
        "the message was not put by `ringway.Queue` ({found}); receive raw bytes with `ringway.Ring`"
    ))
}

fn refused(py: Python<'_>) -> PyErr {
    errors::raise(
        py,
        "ringway._errors",
        "PickleRefused",
        "the message is pickled, and unpickling runs code that its sender chose: if all who can write to the queue are \
         trusted, open it with `allow_pickle=True`; the message stays in the queue"
            .into(),
    )
}

fn parts<'a, 'py>(py: Python<'py>, message: &'a [u8]) -> PyResult<(&'a [u8], Bound<'py, PyList>)> {
    let mut cursor = Cursor::new(message);
    cursor.take(4)?;
    let count = cursor.u32()? as usize;
    let stream = usize::try_from(cursor.u64()?).map_err(|_| cut_off())?;
    // Each has a length here: no more than there is room for.
    if count > message.len() / 8 {
        return Err(cut_off());
    }
    let lens = (0..count).map(|_| cursor.u64()).collect::<PyResult<Vec<_>>>()?;
    let stream = cursor.take(stream)?;
    let mut at = cursor.position();
    let buffers = PyList::empty(py);
    for len in lens {
        at = aligned(at);
        let end = usize::try_from(len).ok().and_then(|len| at.checked_add(len)).ok_or_else(cut_off)?;
        // The caller's own, and writable, as what was pickled.
        buffers.append(PyByteArray::new(py, message.get(at..end).ok_or_else(cut_off)?))?;
        at = end;
    }
    Ok((stream, buffers))
}

fn unpickle<'py>(
    py: Python<'py>,
    stream: &[u8],
    buffers: Option<Bound<'py, PyList>>,
) -> PyResult<Bound<'py, PyAny>> {
    static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let loads = LOADS
        .get_or_try_init(py, || Ok::<_, PyErr>(py.import("pickle")?.getattr("loads")?.unbind()))?
        .bind(py);
    // A copy: code of Python runs meanwhile, and may keep what it is given.
    let stream = PyBytes::new(py, stream);
    match buffers {
        None => loads.call1((stream,)),
        Some(buffers) => {
            let named = PyDict::new(py);
            named.set_item("buffers", buffers)?;
            loads.call((stream,), Some(&named))
        }
    }
}
