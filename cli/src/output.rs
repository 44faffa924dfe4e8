//! Standard output, colours, and progress bars.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::ValueEnum;
use comfy_table::{Table, presets};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::escape::{Painted, Style, escape, escape_json, escape_lines};

/// Arguments of every command that prints.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(crate) struct Common {
    /// Print nothing but what was asked for, and errors
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// When to use colours; `auto` is on a terminal, unless NO_COLOR is set
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Colour::Auto)]
    pub(crate) color: Colour,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    Auto,
    Always,
    Never,
}

/// Colours words, if colours are enabled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    is_on: bool,
}

impl Paint {
    pub(crate) fn new(colour: Colour) -> Self {
        // https://no-color.org: set and not empty.
        let is_unwanted = || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_dumb = || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        let is_on = match colour {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => io::stdout().is_terminal() && !is_unwanted() && !is_dumb(),
        };
        Self { is_on }
    }

    pub(crate) fn is_on(self) -> bool {
        self.is_on
    }

    fn with(self, style: Style, text: impl Display) -> Painted {
        Painted::new(self.is_on.then_some(style), text)
    }

    pub(crate) fn plain(self, text: impl Display) -> Painted {
        Painted::new(None, text)
    }

    pub(crate) fn bold(self, text: impl Display) -> Painted {
        self.with(Style::Bold, text)
    }

    pub(crate) fn dim(self, text: impl Display) -> Painted {
        self.with(Style::Dim, text)
    }

    pub(crate) fn good(self, text: impl Display) -> Painted {
        self.with(Style::Green, text)
    }

    pub(crate) fn warning(self, text: impl Display) -> Painted {
        self.with(Style::Yellow, text)
    }

    pub(crate) fn bad(self, text: impl Display) -> Painted {
        self.with(Style::Red, text)
    }
}

/// A table without lines between its cells.
pub(crate) struct Rows(Table);

impl Rows {
    pub(crate) fn new(header: &[&str]) -> Self {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(header.to_vec());
        Self(table)
    }

    /// Adds a cell; whatever it contains is printed on one line.
    pub(crate) fn add(&mut self, cells: impl IntoIterator<Item = String>) {
        self.0.add_row(cells.into_iter().map(|cell| escape(&cell).into_owned()));
    }

    /// Returns the header and a line for each row, indented.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        self.0.lines().map(|line| format!("  {}", line.trim_end()))
    }
}

/// Prints part of a line. Escape sequences other than the colours of [`Paint`] are escaped.
pub(crate) fn print(out: &mut impl Write, text: std::fmt::Arguments<'_>) -> Result<()> {
    print_raw(out, &escape_lines(text))
}

pub(crate) fn print_line(out: &mut impl Write, text: std::fmt::Arguments<'_>) -> Result<()> {
    print_raw(out, &(escape_lines(text) + "\n"))
}

/// Prints lines that are escaped already.
pub(crate) fn print_raw(out: &mut impl Write, text: &str) -> Result<()> {
    out.write_all(text.as_bytes()).context("writing to standard output")
}

/// Prints one object: on many lines if it is the only one, on one line if there are several.
pub(crate) fn print_json(out: &mut impl Write, value: &impl Serialize, is_one_line: bool) -> Result<()> {
    let text = match is_one_line {
        true => serde_json::to_string(value)?,
        false => serde_json::to_string_pretty(value)?,
    };
    print_raw(out, &escape_json(&text))?;
    print_raw(out, "\n")
}

/// Prints a message on standard error, in one line, and escaped like the output.
pub(crate) fn complain_line(text: std::fmt::Arguments<'_>) {
    // There is no way to report that this failed.
    let _ = writeln!(io::stderr(), "ringway: {}", escape_lines(text));
}

/// Whether the reader of the output has closed it: that is no failure of this command.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let is_broken = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    };
    error.chain().any(is_broken)
}

/// A progress bar on standard error for work that takes longer than a second, if standard error is
/// a terminal.
pub(crate) struct Progress {
    bar: ProgressBar,
    start: Instant,
    is_wanted: bool,
}

impl Progress {
    /// `template` is a template of indicatif.
    pub(crate) fn new(length: u64, template: &'static str, is_quiet: bool) -> Self {
        let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::hidden());
        bar.set_style(ProgressStyle::with_template(template).expect("a valid template"));
        Self { bar, start: Instant::now(), is_wanted: !is_quiet && io::stderr().is_terminal() }
    }

    pub(crate) fn inc(&mut self, amount: u64) {
        if self.is_wanted && self.start.elapsed() > Duration::from_secs(1) {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
            self.is_wanted = false;
        }
        self.bar.inc(amount);
    }

    /// Prints a message above the bar.
    pub(crate) fn suspend<R>(&self, say: impl FnOnce() -> R) -> R {
        self.bar.suspend(say)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Counts files.
pub(crate) const FILES: &str = "{bar:40} {pos}/{len} files";
/// Counts bytes of input.
pub(crate) const BYTES: &str = "{bar:40} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left";

/// Counts bytes of input whose length is not known.
pub(crate) const STREAM: &str = "{spinner} {bytes}, {bytes_per_sec}";

/// Prints a line to standard output.
macro_rules! say {
    ($out:expr, $($text:tt)*) => {
        $crate::output::print_line($out, format_args!($($text)*))
    };
}
pub(crate) use say;

/// Prints a message on standard error.
macro_rules! complain {
    ($($text:tt)*) => {
        $crate::output::complain_line(format_args!($($text)*))
    };
}
pub(crate) use complain;
