//! `ringway sync`.

use std::io;
use std::path::PathBuf;

use anyhow::Result;
use ringway::inspect::{Inspector, Survival};

use crate::Outcome;
use crate::output::{Common, say};

/// Command-line arguments.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Queues
    #[arg(required = true)]
    queues: Vec<PathBuf>,
    #[command(flatten)]
    common: Common,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome> {
    let mut out = io::stdout().lock();
    for name in &arguments.queues {
        ringway::sync(name)?;
        if arguments.common.quiet {
            continue;
        }
        let inspector = Inspector::open(name)?;
        let state = match inspector.snapshot()?.boot.survival {
            Survival::InUse => {
                "on the disk; it is in use, so that a power loss from now on leaves it in doubt"
            }
            _ => "on the disk, and sealed: it is opened without a word after a power loss",
        };
        say!(&mut out, "{}: {state}", inspector.path().display())?;
    }
    Ok(Outcome::Well)
}
