//! How an object becomes a message: one codec byte, then what `docs/python-format.md` says.
//!
//! Encoding makes a list of parts, which are copied once, straight into the frame.

mod array;
mod pickle;
mod read;

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyFloat, PyInt, PyString};

use crate::link::Payload;

pub(crate) use array::{ArrayHeader, encode_array, header_of, shaped};
pub(crate) use read::decode;

pub(crate) const NONE: u8 = 0x01;
pub(crate) const FALSE: u8 = 0x02;
pub(crate) const TRUE: u8 = 0x03;
pub(crate) const INT: u8 = 0x04;
pub(crate) const FLOAT: u8 = 0x05;
pub(crate) const BYTES: u8 = 0x06;
pub(crate) const STR: u8 = 0x07;
pub(crate) const BYTEARRAY: u8 = 0x08;
pub(crate) const PICKLE: u8 = 0x10;
pub(crate) const PICKLE_BUFFERS: u8 = 0x11;
pub(crate) const NDARRAY: u8 = 0x20;
pub(crate) const ARROW: u8 = 0x21;

/// Buffers and arrays begin at multiples of this, as frames do.
pub(crate) const ALIGN: usize = 64;

/// Bytes that something keeps where they are.
#[derive(Clone, Copy)]
pub(crate) struct Part {
    pointer: *const u8,
    len: usize,
    /// Where it goes in the message.
    at: usize,
}

impl Part {
    /// `bytes` stays where it is, and readable, as long as the message lives.
    #[inline]
    pub(crate) fn new(bytes: &[u8], at: usize) -> Self {
        Self { pointer: bytes.as_ptr(), len: bytes.len(), at }
    }

    /// As `new`, for memory that code of Python may write meanwhile.
    pub(crate) fn raw(pointer: *const u8, len: usize, at: usize) -> Self {
        // An empty buffer may have no address.
        let pointer = if len == 0 { std::ptr::NonNull::dangling().as_ptr() } else { pointer };
        Self { pointer, len, at }
    }
}

/// A message, without what keeps its parts.
pub(crate) enum Raw {
    Inline([u8; 9], usize),
    One(u8, Part),
    Many { head: Vec<u8>, parts: Vec<Part>, len: usize },
}

// SAFETY: the pointers are read only, in `write`; what they point to is kept by the `Encoded` or the
// `Batch` beside, which lives on the thread that sends.
#[allow(unsafe_code, reason = "parts are pointers")]
unsafe impl Sync for Raw {}

impl Payload for Raw {
    #[inline]
    fn len(&self) -> usize {
        match self {
            Self::Inline(_, len) => *len,
            Self::One(_, part) => 1 + part.len,
            Self::Many { len, .. } => *len,
        }
    }

    #[inline]
    fn write(&self, frame: &mut [u8]) {
        match self {
            Self::Inline(bytes, len) => frame.copy_from_slice(&bytes[..*len]),
            Self::One(codec, part) => {
                frame[0] = *codec;
                copy(part, &mut frame[1..]);
            }
            Self::Many { head, parts, .. } => {
                frame[..head.len()].copy_from_slice(head);
                let mut end = head.len();
                for part in parts {
                    // What lies between is not left as an earlier message wrote it.
                    frame[end..part.at].fill(0);
                    copy(part, &mut frame[part.at..]);
                    end = part.at + part.len;
                }
            }
        }
    }
}

#[inline]
#[allow(unsafe_code, reason = "parts are pointers")]
fn copy(part: &Part, to: &mut [u8]) {
    let to = &mut to[..part.len];
    // SAFETY: `part.len` bytes are readable by the contract of `Part::new`, and `to` has as many,
    // in a frame that no other code refers to.
    unsafe { std::ptr::copy_nonoverlapping(part.pointer, to.as_mut_ptr(), part.len) };
}

/// A message, and what keeps its parts where they are.
pub(crate) struct Encoded<'py> {
    pub(crate) raw: Raw,
    _keep: Keep<'py>,
}

#[allow(dead_code, reason = "kept, not read")]
enum Keep<'py> {
    Nothing,
    Object(Bound<'py, PyAny>),
    Pickled(pickle::Pickled),
    Buffer(pyo3::buffer::PyUntypedBuffer),
}

impl Raw {
    pub(crate) fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len()];
        self.write(&mut bytes);
        bytes
    }
}

/// Messages that are sent together.
#[derive(Default)]
pub(crate) struct Batch<'py> {
    raw: Vec<Raw>,
    _keep: Vec<Keep<'py>>,
    bytes: usize,
}

/// A batch is written with the GIL held: it has no more bytes than this, ...
const BATCH_BYTES: usize = 1 << 18;
/// ... and no more messages.
const BATCH_MESSAGES: usize = 256;

impl<'py> Batch<'py> {
    /// Adds a message; gives it back if it is to be sent alone: a large one, or one with parts that
    /// code of Python could change before the batch is sent.
    pub(crate) fn add(&mut self, message: Encoded<'py>) -> Result<(), Encoded<'py>> {
        let is_lent = match &message._keep {
            Keep::Nothing | Keep::Object(_) => false,
            Keep::Pickled(pickled) => pickled.has_buffers(),
            Keep::Buffer(_) => true,
        };
        if is_lent || message.raw.len() > BATCH_BYTES / 4 {
            return Err(message);
        }
        self.bytes += message.raw.len();
        self.raw.push(message.raw);
        self._keep.push(message._keep);
        Ok(())
    }

    pub(crate) fn is_full(&self) -> bool {
        self.raw.len() >= BATCH_MESSAGES || self.bytes >= BATCH_BYTES
    }

    pub(crate) fn messages(&self) -> &[Raw] {
        &self.raw
    }
}

impl Encoded<'_> {
    fn inline(codec: u8, rest: &[u8]) -> Self {
        let mut bytes = [0; 9];
        bytes[0] = codec;
        bytes[1..1 + rest.len()].copy_from_slice(rest);
        Self { raw: Raw::Inline(bytes, 1 + rest.len()), _keep: Keep::Nothing }
    }
}

/// Encodes any object: the types that many queues carry natively, all others by pickle 5.
#[inline]
pub(crate) fn encode<'py>(object: &Bound<'py, PyAny>) -> PyResult<Encoded<'py>> {
    if let Ok(bytes) = object.cast_exact::<PyBytes>() {
        return Ok(one(BYTES, bytes.as_bytes(), object));
    }
    if let Some(encoded) = encode_small(object) {
        return Ok(encoded);
    }
    if array::is_array(object)
        && let Some(encoded) = encode_array(object)?
    {
        return Ok(encoded);
    }
    pickle::encode(object)
}

fn one<'py>(codec: u8, bytes: &[u8], object: &Bound<'py, PyAny>) -> Encoded<'py> {
    Encoded { raw: Raw::One(codec, Part::new(bytes, 1)), _keep: Keep::Object(object.clone()) }
}

fn encode_small<'py>(object: &Bound<'py, PyAny>) -> Option<Encoded<'py>> {
    if object.is_none() {
        return Some(Encoded::inline(NONE, &[]));
    }
    if let Ok(truth) = object.cast_exact::<PyBool>() {
        return Some(Encoded::inline(if truth.is_true() { TRUE } else { FALSE }, &[]));
    }
    if let Ok(number) = object.cast_exact::<PyInt>() {
        // One that is larger is pickled.
        return number.extract::<i64>().ok().map(|number| Encoded::inline(INT, &number.to_le_bytes()));
    }
    if let Ok(number) = object.cast_exact::<PyFloat>() {
        return Some(Encoded::inline(FLOAT, &number.value().to_le_bytes()));
    }
    if let Ok(text) = object.cast_exact::<PyString>() {
        // The UTF-8 form is kept by the string itself. A lone surrogate has none: it is pickled.
        return text.to_str().ok().map(|utf8| one(STR, utf8.as_bytes(), object));
    }
    if let Ok(bytes) = object.cast_exact::<PyByteArray>() {
        // A copy: code of Python could resize it while another thread has the GIL.
        let head = [&[BYTEARRAY], bytes.to_vec().as_slice()].concat();
        let len = head.len();
        return Some(Encoded { raw: Raw::Many { head, parts: Vec::new(), len }, _keep: Keep::Nothing });
    }
    None
}

/// The next multiple of `ALIGN`.
fn aligned(at: usize) -> usize {
    at.next_multiple_of(ALIGN)
}
