//! The options of a new queue, and how a queue is opened.

use std::path::Path;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use ringway::{Options, Sharing};

use crate::engine::{Kind, Queue};
use crate::{errors, exit, link};

pub(crate) struct Settings {
    kind: Option<Kind>,
    options: Options,
}

impl Settings {
    pub(crate) fn new(kind: Option<&str>, named: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let kind = match kind {
            None => None,
            Some("mpmc") => Some(Kind::Mpmc),
            Some("spsc") => Some(Kind::Spsc),
            Some(other) => {
                return Err(PyValueError::new_err(format!("`kind` is \"mpmc\" or \"spsc\", not {other:?}")));
            }
        };
        // Frames begin at multiples of 64, and so do buffers and arrays in them.
        let mut options = link::open_options().align(64);
        for (name, value) in named.into_iter().flatten() {
            if value.is_none() {
                continue;
            }
            let name = name.cast::<PyString>()?.to_str()?.to_owned();
            options = match name.as_str() {
                "ring_bytes" => options.ring_bytes(value.extract()?),
                "max_messages" => options.max_messages(value.extract()?),
                "max_participants" => options.max_participants(value.extract()?),
                "max_redeliveries" => options.max_redeliveries(value.extract()?),
                "huge_pages" => options.huge_pages(value.extract()?),
                "prefault" => options.prefault(value.extract()?),
                "sharing" => options.sharing(match value.extract::<&str>()? {
                    "user" => Sharing::Owner,
                    "group" => Sharing::Group,
                    other => {
                        return Err(PyValueError::new_err(format!(
                            "`sharing` is \"user\" or \"group\", not {other:?}"
                        )));
                    }
                }),
                other => return Err(PyTypeError::new_err(format!("there is no option `{other}`"))),
            };
        }
        Ok(Self { kind, options })
    }
}

/// Creates or opens a queue. Returns whether it has a name.
pub(crate) fn open(
    py: Python<'_>,
    how: &str,
    path: Option<&Path>,
    uuid: Option<&[u8]>,
    settings: &Settings,
) -> PyResult<(Queue, bool)> {
    let Settings { kind, options } = settings;
    let needed = || path.ok_or_else(|| PyTypeError::new_err("a path is needed"));
    let created = kind.unwrap_or(Kind::Mpmc);
    let opened =
        |result: Result<Queue, ringway::OpenError>| result.map_err(|error| errors::of_open(py, &error));
    let (queue, is_named) = match how {
        "create" => {
            let path = needed()?;
            let queue = exit::detached(py, || Queue::create(created, Some(path), options));
            (queue.map_err(|error| errors::of_create(py, &error))?, true)
        }
        "memfd" => {
            let queue = exit::detached(py, || Queue::create(created, None, options));
            (queue.map_err(|error| errors::of_create(py, &error))?, false)
        }
        "open" => {
            let path = needed()?;
            let queue = exit::detached(py, || match kind {
                Some(kind) => Queue::open(*kind, path, options),
                None => Queue::open_any(path, options),
            });
            (opened(queue)?, true)
        }
        "open_or_create" => {
            let path = needed()?;
            (opened(exit::detached(py, || Queue::open_or_create(created, path, options)))?, true)
        }
        // `path` leads to a descriptor: /proc/<pid>/fd/<number>.
        "descriptor" => {
            let path = needed()?;
            (opened(exit::detached(py, || Queue::open_any(path, options)))?, false)
        }
        other => return Err(PyValueError::new_err(format!("no way to open: {other:?}"))),
    };
    if let Some(expected) = uuid
        && queue.uuid().as_bytes().as_slice() != expected
    {
        return Err(link::another_queue(py, path.unwrap_or(queue.path())));
    }
    Ok((queue, is_named))
}
