//! The `ringway` command, which the wheel installs as well.
#![allow(unsafe_code, reason = "opens the standard streams")]

use std::ffi::OsString;

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;

use crate::exit;

/// Opens /dev/null in the place of each standard stream that is closed, as the runtime of a Rust
/// program does before `main`: the next file that is opened would take its number, and what is
/// written to standard output would go into a queue's file.
fn open_standard_streams() -> std::io::Result<()> {
    for stream in 0..=2 {
        // SAFETY: takes numbers only.
        if unsafe { libc::fcntl(stream, libc::F_GETFD) } != -1 {
            continue;
        }
        // The lowest number that is free, which is this one.
        // SAFETY: the name ends with a zero byte.
        if unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) } == -1 {
            return Err(std::io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Runs the command with these arguments, the first of which is its name, and returns its exit code.
/// `program` starts a process of the same command.
#[pyfunction]
pub(crate) fn _command(py: Python<'_>, arguments: Vec<OsString>, program: Vec<OsString>) -> PyResult<u8> {
    open_standard_streams().map_err(|error| {
        PyOSError::new_err(format!("opening /dev/null in the place of a closed standard stream: {error}"))
    })?;
    Ok(exit::detached(py, || ringway_cli::run(arguments, program)))
}
