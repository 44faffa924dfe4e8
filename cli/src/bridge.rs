//! `ringway bridge`: runs `ringway-bridge`, a program of its own, so that this one needs neither a runtime nor TLS.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::ending::Outcome;

/// The program's name.
const PROGRAM: &str = "ringway-bridge";

#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    /// Its arguments; `ringway bridge --help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Becomes the other program: the one beside this program's file, or the first in the path. Returns only if it is not
/// there, or cannot be run.
pub(crate) fn run(arguments: &Arguments) -> Result<Outcome> {
    let beside = std::env::current_exe().ok().map(|this| this.with_file_name(PROGRAM));
    let program = beside.filter(|program| program.exists()).unwrap_or_else(|| PROGRAM.into());
    let error = Command::new(&program).args(&arguments.arguments).exec();
    if error.kind() == ErrorKind::NotFound {
        bail!(
            "{PROGRAM} is not installed: it is neither beside this program nor in the path. `cargo install --path bridge` in \
             ringway's repository installs it"
        );
    }
    Err(error).with_context(|| format!("running {}", program.display()))
}
