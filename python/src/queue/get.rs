//! Taking objects out of a queue.

use pyo3::prelude::*;
use pyo3::types::PyList;

use super::open::Open;
use crate::engine::Fate;
use crate::link::Wait;
use crate::{codec, errors};

/// What a message holds, and what becomes of it.
#[inline]
pub(super) fn read<'py>(py: Python<'py>, open: &Open, message: &[u8]) -> (PyResult<Bound<'py, PyAny>>, Fate) {
    let decoded = codec::decode(py, message, open.allow_pickle);
    let fate = match &decoded {
        Err(error) if !open.allow_pickle && is_refusal(py, error) => Fate::PutBack,
        _ => Fate::Release,
    };
    (decoded, fate)
}

#[cold]
fn is_refusal(py: Python<'_>, error: &PyErr) -> bool {
    let class = py.import("ringway._errors").and_then(|errors| errors.getattr("PickleRefused"));
    class.is_ok_and(|class| error.is_instance(py, &class))
}

/// Adds objects that are taken one by one, up to `max` in all; `wait` is for the first.
#[cold]
pub(super) fn get_each<'py>(
    py: Python<'py>,
    open: &Open,
    objects: Bound<'py, PyList>,
    max: usize,
    mut wait: Wait,
) -> PyResult<Bound<'py, PyList>> {
    while objects.len() < max {
        let is_first = objects.is_empty();
        let taken = open.link.take(py, wait, |message| match read(py, open, message) {
            // What was taken before is not lost; the next call raises.
            (Err(_), _) if !is_first => (None, Fate::PutBack),
            (object, fate) => (Some(object), fate),
        });
        match taken {
            Ok(Some(Some(object))) => objects.append(object?)?,
            Ok(None) if is_first => return Err(errors::empty(py)),
            Err(error) if is_first => return Err(error),
            _ => break,
        }
        wait = Wait::No;
    }
    Ok(objects)
}
