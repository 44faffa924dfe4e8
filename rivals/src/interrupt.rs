//! Ctrl-C ends the run in order: processes, files and names go.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

/// The user pressed Ctrl-C, or somebody asked this to stop.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("interrupted; nothing was left behind")
    }
}

impl std::error::Error for Interrupted {}

static ASKED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From now on these signals are heard by [`check`].
pub(crate) fn watch() -> Result<()> {
    let asked = ASKED.get_or_init(Arc::default);
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        signal_hook::flag::register(signal as i32, Arc::clone(asked))
            .context("registering a signal handler")?;
    }
    Ok(())
}

pub(crate) fn check() -> Result<()> {
    let asked = ASKED.get().is_some_and(|asked| asked.load(Ordering::Relaxed));
    if asked { Err(Interrupted.into()) } else { Ok(()) }
}
