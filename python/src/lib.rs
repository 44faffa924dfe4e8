//! `ringway._core`: the native part of Ringway for Python.
//!
//! ```text
//! queue/  overflow.rs           put and get of objects
//! ring.rs  frame.rs  reservation.rs   messages in place
//! codec/                        objects to bytes and back (docs/python-format.md)
//! polled.rs                     descriptors for event loops
//! typed.rs                      messages of Rust's types
//! link/  settings.rs            an open queue in this process: handles, waits, forks, options
//! signals.rs                    handlers of signals during waits
//! exit.rs                       the GIL around waits, the interpreter's end, forks
//! errors.rs                     exceptions
//! command.rs                    the `ringway` command
//! engine/                       the library's handles; the only module that names them
//! ```
#![deny(unsafe_code)]

mod codec;
mod command;
mod engine;
mod errors;
mod exit;
mod frame;
mod link;
mod overflow;
mod polled;
mod queue;
mod reservation;
mod ring;
mod settings;
mod signals;
mod typed;

use pyo3::prelude::*;

/// The native part of Ringway for Python; use `ringway`.
///
/// It needs the GIL: a queue's handles are locked for moments with the GIL held, and no thread ever
/// waits for such a lock, so that a fork never copies a locked one.
#[pymodule(gil_used = true)]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<queue::Queue>()?;
    module.add_class::<ring::Ring>()?;
    module.add_class::<frame::Frame>()?;
    module.add_class::<reservation::Reservation>()?;
    module.add_function(wrap_pyfunction!(exit::_interpreter_exits, module)?)?;
    module.add_function(wrap_pyfunction!(command::_command, module)?)?;
    Ok(())
}
