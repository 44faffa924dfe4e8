//! `ringway completions` and `ringway man`: generated from the definitions of the commands, so that
//! they are never out of date.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man as Page;

use crate::Cli;
use crate::ending::Outcome;

#[derive(clap::Args)]
pub(crate) struct Completions {
    /// The shell; for bash: ringway completions bash > ~/.local/share/bash-completion/completions/ringway
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(clap::Args)]
pub(crate) struct Man {
    /// Write ringway.1 and a page for every command into this directory
    #[arg(long, value_name = "DIRECTORY")]
    out: Option<PathBuf>,
}

pub(crate) fn completions(arguments: &Completions) -> Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "ringway", &mut script);
    io::stdout().write_all(&script).context("writing to standard output")?;
    Ok(Outcome::Well)
}

pub(crate) fn man(arguments: &Man) -> Result<Outcome> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    match &arguments.out {
        None => io::stdout().write_all(&page(command)?).context("writing to standard output")?,
        Some(directory) => write_all(&command, directory)?,
    }
    Ok(Outcome::Well)
}

fn write_all(command: &Command, directory: &Path) -> Result<()> {
    let write = |name: String, command: Command| {
        let path = directory.join(name);
        let page = page(command)?;
        std::fs::write(&path, page).with_context(|| {
            format!("{}: the man page cannot be written; does the directory exist?", path.display())
        })
    };
    write("ringway.1".into(), command.clone())?;
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        let name = format!("ringway-{}", sub.get_name());
        // The names of commands are leaked: they live as long as the program, and there are a
        // dozen.
        let static_name: &'static str = name.clone().leak();
        write(format!("{name}.1"), sub.clone().name(static_name))?;
    }
    Ok(())
}

fn page(command: Command) -> Result<Vec<u8>> {
    let mut page = Vec::new();
    Page::new(command).render(&mut page).context("making the man page")?;
    Ok(page)
}
