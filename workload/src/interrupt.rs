//! Ends a measurement cleanly on Ctrl-C: its processes, files and names are removed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::{fmt, io};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// The user pressed Ctrl-C, or another process asked this one to stop.
#[derive(Debug)]
pub struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted; nothing was left behind")
    }
}

impl std::error::Error for Interrupted {}

static ASKED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Installs handlers: from now on SIGINT, SIGTERM and SIGHUP do not end the process; [`check`] reports them.
///
/// # Errors
/// If the handlers cannot be set.
pub fn watch() -> io::Result<()> {
    let asked = ASKED.get_or_init(Arc::default);
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(asked))?;
    }
    Ok(())
}

/// Checks whether the measurement may continue.
///
/// # Errors
/// If one of the signals arrived since [`watch`].
pub fn check() -> Result<(), Interrupted> {
    match ASKED.get().is_some_and(|asked| asked.load(Ordering::Relaxed)) {
        true => Err(Interrupted),
        false => Ok(()),
    }
}
