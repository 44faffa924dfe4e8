//! The `ringway` command, which the wheel installs as well.

use std::ffi::OsString;

use pyo3::prelude::*;

use crate::exit;

/// Runs the command with these arguments, the first of which is its name, and returns its exit code.
/// `program` starts a process of the same command.
#[pyfunction]
pub(crate) fn _command(py: Python<'_>, arguments: Vec<OsString>, program: Vec<OsString>) -> u8 {
    exit::detached(py, || ringway_cli::run(arguments, program))
}
