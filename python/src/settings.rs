//! The options of a new queue, and how a queue is opened.

use std::path::Path;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use ringway::schema::Description;
use ringway::{CreateError, CreateOptions, OpenError, OpenOptions, Sharing};

use crate::engine::{Kind, Queue};
use crate::{errors, exit, link};

pub(crate) struct Settings {
    kind: Option<Kind>,
    /// Of a new queue ...
    create: CreateOptions,
    /// ... and of an existing one.
    open: OpenOptions,
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
        let mut create = CreateOptions::new().prefault(false).align(64);
        let mut open = link::open_options();
        for (name, value) in named.into_iter().flatten() {
            if value.is_none() {
                continue;
            }
            let name = name.cast::<PyString>()?.to_str()?.to_owned();
            match name.as_str() {
                "ring_bytes" => create = create.ring_bytes(value.extract()?),
                "max_messages" => create = create.max_messages(value.extract()?),
                "max_participants" => create = create.max_participants(value.extract()?),
                "max_redeliveries" => create = create.max_redeliveries(value.extract()?),
                "huge_pages" => {
                    create = create.huge_pages(value.extract()?);
                    open = open.huge_pages(value.extract()?);
                }
                "prefault" => {
                    create = create.prefault(value.extract()?);
                    open = open.prefault(value.extract()?);
                }
                "sharing" => {
                    let sharing = match value.extract::<String>()?.as_str() {
                        "user" => Sharing::Owner,
                        "group" => Sharing::Group,
                        other => {
                            return Err(PyValueError::new_err(format!(
                                "`sharing` is \"user\" or \"group\", not {other:?}"
                            )));
                        }
                    };
                    create = create.sharing(sharing);
                    open = open.sharing(sharing);
                }
                other => return Err(PyTypeError::new_err(format!("there is no option `{other}`"))),
            }
        }
        Ok(Self { kind, create, open })
    }
}

/// A queue that was created or opened.
pub(crate) struct Opened {
    pub(crate) queue: Queue,
    pub(crate) is_named: bool,
    /// Of the type of its messages, if they are not bytes.
    pub(crate) description: Option<Description>,
}

/// Creates or opens a queue.
pub(crate) fn open(
    py: Python<'_>,
    how: &str,
    path: Option<&Path>,
    uuid: Option<&[u8]>,
    settings: &Settings,
) -> PyResult<Opened> {
    let Settings { kind, create, open } = settings;
    let needed = || path.ok_or_else(|| PyTypeError::new_err("a path is needed"));
    let new_kind = kind.unwrap_or(Kind::Mpmc);
    let created = |result: Result<Queue, CreateError>, is_named| match result {
        Ok(queue) => Ok(Opened { queue, is_named, description: None }),
        Err(error) => Err(errors::of_create(py, &error)),
    };
    let found = |result: Result<(Queue, Option<Description>), OpenError>, is_named| match result {
        Ok((queue, description)) => Ok(Opened { queue, is_named, description }),
        Err(error) => Err(errors::of_open(py, &error)),
    };
    let bytes = |result: Result<Queue, OpenError>| result.map(|queue| (queue, None));
    let opened = match how {
        "create" => {
            let path = needed()?;
            created(exit::detached(py, || Queue::create(new_kind, Some(path), create)), true)
        }
        "memfd" => created(exit::detached(py, || Queue::create(new_kind, None, create)), false),
        "open_or_create" => {
            let path = needed()?;
            found(bytes(exit::detached(py, || Queue::open_or_create(new_kind, path, create))), true)
        }
        // "descriptor": `path` leads to one, such as /proc/<pid>/fd/<number>.
        "open" | "descriptor" => {
            let path = needed()?;
            let result = exit::detached(py, || match kind {
                Some(kind) => bytes(Queue::open(*kind, path, open)),
                None => Queue::open_any(path, open),
            });
            found(result, how == "open")
        }
        other => Err(PyValueError::new_err(format!("no way to open: {other:?}"))),
    }?;
    if let Some(expected) = uuid
        && opened.queue.uuid().as_bytes().as_slice() != expected
    {
        return Err(link::another_queue(py, path.unwrap_or(opened.queue.path())));
    }
    Ok(opened)
}
