//! The library's errors as the exceptions that a Python user expects.

use std::io;
use std::path::Path;

use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;
use ringway::{AttachError, CreateError, OpenError, RecvError, SendError, TaskError};

/// An exception class that is written in Python.
pub(crate) fn raise(py: Python<'_>, module: &'static str, name: &'static str, message: String) -> PyErr {
    match class(py, module, name) {
        Ok(class) => PyErr::from_type(class, message),
        Err(error) => error,
    }
}

fn class<'py>(py: Python<'py>, module: &str, name: &str) -> PyResult<Bound<'py, PyType>> {
    Ok(py.import(module)?.getattr(name)?.cast_into::<PyType>()?)
}

pub(crate) fn empty(py: Python<'_>) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    match CLASS.import(py, "queue", "Empty") {
        Ok(class) => PyErr::from_type(class.clone(), ()),
        Err(error) => error,
    }
}

pub(crate) fn full(py: Python<'_>) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    match CLASS.import(py, "queue", "Full") {
        Ok(class) => PyErr::from_type(class.clone(), ()),
        Err(error) => error,
    }
}

pub(crate) fn shut_down(py: Python<'_>, message: String) -> PyErr {
    raise(py, "ringway._errors", "ShutDown", message)
}

fn broken(py: Python<'_>, message: String) -> PyErr {
    raise(py, "ringway._errors", "CorruptedError", message)
}

fn of_the_system(error: &io::Error, message: String, path: &Path) -> PyErr {
    match error.raw_os_error() {
        Some(number) => PyOSError::new_err((number, message, path.to_path_buf())),
        None => PyOSError::new_err(message),
    }
}

fn with_number(number: i32, message: String, path: &Path) -> PyErr {
    PyOSError::new_err((number, message, path.to_path_buf()))
}

pub(crate) fn of_send(py: Python<'_>, error: &SendError) -> PyErr {
    let message = error.to_string();
    match error {
        SendError::Full | SendError::Timeout { .. } => full(py),
        SendError::Closed => shut_down(py, message),
        SendError::TooLarge { .. } | SendError::WrongLength { .. } => PyValueError::new_err(message),
        SendError::Corrupted(_) | SendError::Truncated { .. } => broken(py, message),
        SendError::Orphaned { path } => with_number(libc::ESTALE, message, path),
        _ => PyRuntimeError::new_err(message),
    }
}

pub(crate) fn of_recv(py: Python<'_>, error: &RecvError) -> PyErr {
    let message = error.to_string();
    match error {
        RecvError::Empty | RecvError::Timeout => empty(py),
        RecvError::Closed => shut_down(py, message),
        RecvError::Corrupted(_) | RecvError::Truncated { .. } => broken(py, message),
        RecvError::Orphaned { path } => with_number(libc::ESTALE, message, path),
        _ => PyRuntimeError::new_err(message),
    }
}

pub(crate) fn of_open(py: Python<'_>, error: &OpenError) -> PyErr {
    let message = error.to_string();
    match error {
        OpenError::InvalidName { .. } => PyValueError::new_err(message),
        OpenError::NotFound { path } => with_number(libc::ENOENT, message, path),
        OpenError::ReadOnly { path } | OpenError::PermissionDenied { path } => {
            with_number(libc::EACCES, message, path)
        }
        OpenError::WrongOwnerOrMode { path, .. } => with_number(libc::EPERM, message, path),
        OpenError::NoSpace { path, .. } => with_number(libc::ENOSPC, message, path),
        OpenError::Io { path, source, .. } => of_the_system(source, message, path),
        OpenError::Create(error) => of_create(py, error),
        OpenError::Corrupted { .. } | OpenError::Truncated { .. } => broken(py, message),
        _ => raise(py, "ringway._errors", "MismatchError", message),
    }
}

pub(crate) fn of_create(_py: Python<'_>, error: &CreateError) -> PyErr {
    let message = error.to_string();
    match error {
        CreateError::AlreadyExists { path } => with_number(libc::EEXIST, message, path),
        CreateError::InvalidName { .. } | CreateError::InvalidOptions { .. } => {
            PyValueError::new_err(message)
        }
        CreateError::NoSpace { path, .. } => with_number(libc::ENOSPC, message, path),
        CreateError::Io { path, source, .. } => of_the_system(source, message, path),
        _ => PyOSError::new_err(message),
    }
}

pub(crate) fn of_attach(py: Python<'_>, error: &AttachError) -> PyErr {
    let message = error.to_string();
    match error {
        AttachError::NoSpace { path, .. } => with_number(libc::ENOSPC, message, path),
        AttachError::Unlinked { path } | AttachError::Orphaned { path } => {
            with_number(libc::ESTALE, message, path)
        }
        AttachError::Io { path, source, .. } => of_the_system(source, message, path),
        AttachError::Corrupted(_) | AttachError::Truncated { .. } => broken(py, message),
        _ => PyRuntimeError::new_err(message),
    }
}

pub(crate) fn of_task(py: Python<'_>, error: &TaskError) -> PyErr {
    let message = error.to_string();
    match error {
        TaskError::TooMany { .. } => PyValueError::new_err("task_done() called too many times"),
        TaskError::NotCounted { .. } => raise(py, "ringway._errors", "MismatchError", message),
        TaskError::Corrupted(_) | TaskError::Truncated { .. } => broken(py, message),
        _ => PyRuntimeError::new_err(message),
    }
}
