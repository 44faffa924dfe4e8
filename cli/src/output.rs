//! Standard output, colours, and what to keep to oneself.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::ValueEnum;
use comfy_table::{Table, presets};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

/// What every command takes that prints.
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

/// Puts colours around words, or not.
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

    fn with(self, code: &str, text: impl std::fmt::Display) -> String {
        if self.is_on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }

    pub(crate) fn bold(self, text: impl std::fmt::Display) -> String {
        self.with("1", text)
    }

    pub(crate) fn dim(self, text: impl std::fmt::Display) -> String {
        self.with("2", text)
    }

    pub(crate) fn good(self, text: impl std::fmt::Display) -> String {
        self.with("32", text)
    }

    pub(crate) fn warning(self, text: impl std::fmt::Display) -> String {
        self.with("33", text)
    }

    pub(crate) fn bad(self, text: impl std::fmt::Display) -> String {
        self.with("31", text)
    }
}

/// A table without lines, whose cells may be painted.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.to_vec());
    table
}

/// Prints a table, indented.
pub(crate) fn print_table(out: &mut impl Write, table: &Table) -> Result<()> {
    for line in table.lines() {
        print(out, format_args!("  {}\n", line.trim_end()))?;
    }
    Ok(())
}

pub(crate) fn print(out: &mut impl Write, text: std::fmt::Arguments<'_>) -> Result<()> {
    out.write_fmt(text).context("writing to standard output")
}

/// One object: on many lines for a person who looks at one, on one line if there are several.
pub(crate) fn print_json(out: &mut impl Write, value: &impl Serialize, is_one_line: bool) -> Result<()> {
    let text = match is_one_line {
        true => serde_json::to_string(value)?,
        false => serde_json::to_string_pretty(value)?,
    };
    print(out, format_args!("{}\n", tame(&text)))
}

/// JSON without characters that terminals obey: serde_json leaves some of them as they are. They stand in strings only.
fn tame(json: &str) -> Cow<'_, str> {
    let is_wild = |character: char| character.is_control() && character != '\n';
    if !json.contains(is_wild) {
        return Cow::Borrowed(json);
    }
    let mut text = String::with_capacity(json.len() + 64);
    for character in json.chars() {
        match is_wild(character) {
            true => text += &format!("\\u{:04x}", u32::from(character)),
            false => text.push(character),
        }
    }
    Cow::Owned(text)
}

/// Whether whoever read our output went away: no failure of ours.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let is_broken = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    };
    error.chain().any(is_broken)
}

/// A bar on standard error for what takes longer than a second, if somebody may be looking.
pub(crate) struct Progress {
    bar: ProgressBar,
    start: Instant,
    is_wanted: bool,
}

impl Progress {
    /// `template` as indicatif has it.
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

    /// Says something above the bar.
    pub(crate) fn suspend<R>(&self, say: impl FnOnce() -> R) -> R {
        self.bar.suspend(say)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// For files, one by one.
pub(crate) const FILES: &str = "{bar:40} {pos}/{len} files";
/// For bytes of input.
pub(crate) const BYTES: &str = "{bar:40} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left";

/// For bytes of input that nobody knows the end of.
pub(crate) const STREAM: &str = "{spinner} {bytes}, {bytes_per_sec}";

/// `write!` into standard output, with the error of a person's.
macro_rules! say {
    ($out:expr, $($text:tt)*) => {
        $crate::output::print($out, format_args!("{}\n", format_args!($($text)*)))
    };
}
pub(crate) use say;

#[cfg(test)]
mod tests {
    #[test]
    fn json_is_the_same_without_control_characters() {
        let text = "plain \u{9b}2J \u{7f} \u{1b} é";
        let json = serde_json::to_string_pretty(&[text]).unwrap();
        let tame = super::tame(&json);
        assert!(tame.contains("\\u009b2J \\u007f \\u001b é") && tame.contains('\n'), "{tame}");
        assert_eq!(serde_json::from_str::<[String; 1]>(&tame).unwrap(), [text]);
    }
}
