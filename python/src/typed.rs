//! Messages of Rust's types, by the description in the queue's file.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};
use ringway_value::{Body, FixedKind, FixedType, MessageType, Part, Value};

/// The message as plain objects: numbers, strings, bytes, lists, tuples and dicts.
pub(crate) fn decode<'py>(py: Python<'py>, ty: &MessageType, message: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    // A copy: a process that breaks the protocol may write the bytes between a check of them and a
    // second read, and texts in `value` refer to them.
    let message = message.to_vec();
    let value = ty.decode_whole(&message).map_err(|error| PyValueError::new_err(error.to_string()))?;
    object(py, &value)
}

fn object<'py>(py: Python<'py>, value: &Value<'_>) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Unit | Value::None => py.None().into_bound(py),
        Value::Bool(truth) => truth.into_pyobject(py)?.to_owned().into_any(),
        Value::Signed(number) => number.into_pyobject(py)?.into_any(),
        Value::Unsigned(number) => number.into_pyobject(py)?.into_any(),
        Value::Signed128(number) => number.into_pyobject(py)?.into_any(),
        Value::Unsigned128(number) => number.into_pyobject(py)?.into_any(),
        Value::Address(text) | Value::Text(text, _) => PyString::new(py, text).into_any(),
        Value::Float32(number) => number.into_pyobject(py)?.into_any(),
        Value::Float64(number) => number.into_pyobject(py)?.into_any(),
        Value::Char(char) => char.into_pyobject(py)?.into_any(),
        Value::Bytes(bytes) => PyBytes::new(py, &bytes.items).into_any(),
        Value::Raw { bytes, .. } => PyBytes::new(py, &bytes.items).into_any(),
        Value::List(part) => PyList::new(py, objects(py, part)?)?.into_any(),
        Value::Tuple(part) => PyTuple::new(py, objects(py, part)?)?.into_any(),
        Value::Map { entries, .. } => map(py, &entries.items)?,
        Value::Struct(_, body) => match body {
            Body::Empty => PyTuple::empty(py).into_any(),
            body => body_of(py, body)?,
        },
        Value::Variant(name, Body::Empty) => PyString::new(py, name).into_any(),
        Value::Variant(name, body) => {
            let named = PyDict::new(py);
            named.set_item(name, body_of(py, body)?)?;
            named.into_any()
        }
        Value::Range { start, sign, end } => {
            let end_of = |end: &Option<Box<Value<'_>>>| match end {
                Some(value) => object(py, value),
                None => Ok(py.None().into_bound(py)),
            };
            (end_of(start)?, *sign, end_of(end)?).into_pyobject(py)?.into_any()
        }
        Value::Duration(duration) => duration.into_pyobject(py)?.into_any(),
        Value::Deeper => return Err(PyValueError::new_err("the message is nested too deeply")),
    })
}

fn objects<'py>(py: Python<'py>, part: &Part<Value<'_>>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    part.items.iter().map(|value| object(py, value)).collect()
}

fn body_of<'py>(py: Python<'py>, body: &Body<'_>) -> PyResult<Bound<'py, PyAny>> {
    Ok(match body {
        Body::Empty => py.None().into_bound(py),
        Body::Tuple(part) => PyTuple::new(py, objects(py, part)?)?.into_any(),
        Body::Fields(part) => {
            let named = PyDict::new(py);
            for (name, value) in &part.items {
                named.set_item(name, object(py, value)?)?;
            }
            named.into_any()
        }
    })
}

/// A dict; a list of pairs if a key of the map is no key in Python.
fn map<'py>(py: Python<'py>, entries: &[(Value<'_>, Value<'_>)]) -> PyResult<Bound<'py, PyAny>> {
    let entries = entries.iter().map(|(key, value)| Ok((object(py, key)?, object(py, value)?)));
    let entries = entries.collect::<PyResult<Vec<_>>>()?;
    let named = PyDict::new(py);
    for (key, value) in &entries {
        if named.set_item(key, value).is_err() {
            return Ok(PyList::new(py, entries)?.into_any());
        }
    }
    Ok(named.into_any())
}

/// The numpy type of messages of a fixed layout.
pub(crate) fn dtype<'py>(py: Python<'py>, ty: &MessageType) -> PyResult<Bound<'py, PyAny>> {
    let fixed =
        ty.fixed().map_err(|error| PyValueError::new_err(format!("{error}; frame.decode() reads it")))?;
    py.import("numpy")?.getattr("dtype")?.call1((form(py, &fixed)?,))
}

fn form<'py>(py: Python<'py>, ty: &FixedType) -> PyResult<Bound<'py, PyAny>> {
    let sign = |big_endian| if big_endian { '>' } else { '<' };
    let scalar = |text: String| Ok(PyString::new(py, &text).into_any());
    match &ty.kind {
        FixedKind::Bool => scalar("?".into()),
        FixedKind::Float { big_endian } => scalar(format!("{}f{}", sign(*big_endian), ty.size)),
        FixedKind::Int { signed, big_endian, .. } if ty.size <= 8 => {
            scalar(format!("{}{}{}", sign(*big_endian), if *signed { 'i' } else { 'u' }, ty.size))
        }
        FixedKind::Char { big_endian } => scalar(format!("{}u4", sign(*big_endian))),
        FixedKind::Enum { .. } if ty.size == 1 => scalar("u1".into()),
        // As bytes: numpy has no type for them.
        FixedKind::Int { .. } | FixedKind::Enum { .. } | FixedKind::Unit => scalar(format!("V{}", ty.size)),
        FixedKind::Duration => structure(
            py,
            [
                ("seconds", 0, PyString::new(py, "<u8").into_any()),
                ("nanoseconds", 8, PyString::new(py, "<u4").into_any()),
            ],
            ty.size,
        ),
        FixedKind::Array { element, len } => Ok((form(py, element)?, (*len,)).into_pyobject(py)?.into_any()),
        FixedKind::Struct { fields, .. } => {
            let fields =
                fields.iter().map(|field| Ok((field.name.as_str(), field.offset, form(py, &field.ty)?)));
            structure(py, fields.collect::<PyResult<Vec<_>>>()?, ty.size)
        }
    }
}

fn structure<'py, 'n>(
    py: Python<'py>,
    fields: impl IntoIterator<Item = (&'n str, usize, Bound<'py, PyAny>)>,
    size: usize,
) -> PyResult<Bound<'py, PyAny>> {
    let (names, offsets, formats) = (PyList::empty(py), PyList::empty(py), PyList::empty(py));
    for (name, offset, form) in fields {
        names.append(name)?;
        offsets.append(offset)?;
        formats.append(form)?;
    }
    let named = PyDict::new(py);
    for (key, value) in [("names", names), ("offsets", offsets), ("formats", formats)] {
        named.set_item(key, value)?;
    }
    named.set_item("itemsize", size)?;
    Ok(named.into_any())
}

/// Whether `message` is a valid message of the type, which must be of a fixed layout: only such
/// messages can be sent from Python.
pub(crate) fn check(ty: &MessageType, message: &[u8]) -> PyResult<()> {
    let fixed = ty.fixed().map_err(|error| {
        PyValueError::new_err(format!(
            "messages of `{}` can only be sent by programs that have the type: {error}",
            ty.name()
        ))
    })?;
    fixed
        .check(message)
        .map_err(|error| PyValueError::new_err(format!("not a message of `{}`: {error}", ty.name())))
}
