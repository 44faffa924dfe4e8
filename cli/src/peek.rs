//! `ringway peek` and `ringway tail`: messages, without consuming them.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::ValueEnum;
use ringway::inspect::{FrameState, Inspector, Peek as Look, Peeked, PeekedFrame, Start};
use serde::Serialize;

use crate::Ending;
use crate::interrupt;
use crate::output::{Common, Paint, print, print_json, say};
use crate::text::{counted, hex, hex_dump, parse_bytes, parse_duration, uuid};

/// What may be said on the command line.
#[derive(clap::Args)]
pub(crate) struct Peek {
    #[command(flatten)]
    what: What,
    /// Also messages that somebody holds
    #[arg(long)]
    held: bool,
}

/// What may be said on the command line.
#[derive(clap::Args)]
pub(crate) struct Tail {
    #[command(flatten)]
    what: What,
    /// Go on with those that come, until Ctrl-C; those that are consumed faster than they are seen are missed
    #[arg(long, short = 'F')]
    follow: bool,
    /// With --follow: look once in so long
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "50ms")]
    interval: Duration,
}

#[derive(clap::Args)]
struct What {
    /// The queue
    queue: PathBuf,
    /// How many messages
    #[arg(long, short = 'n', value_name = "N", default_value_t = 10)]
    count: usize,
    /// No more bytes of each message than this
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes, default_value = "256")]
    bytes: usize,
    /// How to print messages
    #[arg(long, short, value_enum, default_value_t = Format::Hex)]
    format: Format,
    /// Print an object for each message, on a line of its own
    #[arg(long, conflicts_with = "format")]
    json: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A line about each, and a hex dump
    Hex,
    /// One line each; what is no printable text is escaped
    Text,
}

pub(crate) fn peek(arguments: &Peek) -> Result<Ending> {
    let what = &arguments.what;
    let inspector = Inspector::open(&what.queue)?;
    let peeked = inspector.peek(&what.look().held(arguments.held))?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    what.show(&mut out, &peeked)?;
    let is_empty = peeked.frames.is_empty() && peeked.damage.is_none();
    out.flush()?;
    if is_empty && !what.common.quiet {
        eprintln!("ringway: {}: no message waits", inspector.path().display());
    }
    what.check(peeked)
}

pub(crate) fn tail(arguments: &Tail) -> Result<Ending> {
    interrupt::watch()?;
    let what = &arguments.what;
    let inspector = Inspector::open(&what.queue)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut peeked = inspector.peek(&what.look().start(Start::Newest))?;
    loop {
        what.show(&mut out, &peeked)?;
        out.flush()?;
        if !arguments.follow || peeked.damage.is_some() {
            return what.check(peeked);
        }
        if interrupt::sleep_until(Instant::now() + arguments.interval) {
            return Ok(Ending::Interrupted);
        }
        peeked = inspector.peek(&what.look().most(1 << 16).held(true).start(Start::From(peeked.next)))?;
    }
}

impl What {
    fn look(&self) -> Look {
        Look::new().most(self.count).bytes(self.bytes)
    }

    fn show(&self, out: &mut impl Write, peeked: &Peeked) -> Result<()> {
        let paint = Paint::new(self.common.color);
        for frame in &peeked.frames {
            match (self.json, self.format) {
                (true, _) => print_json(out, &Frame::new(frame), true)?,
                (false, Format::Hex) => show_hex(out, paint, frame)?,
                (false, Format::Text) => {
                    let more = if (frame.payload.len() as u64) < frame.len { "..." } else { "" };
                    say!(out, "{}{more}", escaped(&frame.payload))?;
                }
            }
        }
        if peeked.gone > 0 && !self.common.quiet {
            eprintln!(
                "ringway: {}: {} consumed while they were looked at",
                self.queue.display(),
                counted(peeked.gone, "message")
            );
        }
        Ok(())
    }

    fn check(&self, peeked: Peeked) -> Result<Ending> {
        match peeked.damage {
            Some(damage) => Err(damage.into()),
            None => Ok(Ending::Well),
        }
    }
}

/// Text as it is, everything else in escapes, so that no message can do anything to a terminal.
fn escaped(bytes: &[u8]) -> String {
    bytes.utf8_chunks().fold(String::new(), |mut text, chunk| {
        for character in chunk.valid().chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                plain if !plain.is_control() => text.push(plain),
                control => text.extend(control.escape_default()),
            }
        }
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
        text
    })
}

fn state(frame: &PeekedFrame) -> String {
    match frame.state {
        FrameState::Waiting => "waiting".into(),
        FrameState::Again => "comes again".into(),
        FrameState::Held(Some(entry)) => format!("held by participant {entry}"),
        FrameState::Held(None) => "held".into(),
    }
}

fn show_hex(out: &mut impl Write, paint: Paint, frame: &PeekedFrame) -> Result<()> {
    let head = format!("position {}, {}, {}", frame.position, counted(frame.len, "byte"), state(frame));
    print(out, format_args!("{}", paint.bold(head)))?;
    if frame.redeliveries > 0 {
        print(out, format_args!(", handed out {} before", counted(frame.redeliveries, "time")))?;
    }
    if let Some(letter) = frame.dead_letter {
        print(out, format_args!(", dead letter: position {} of {}", letter.position, uuid(letter.queue)))?;
    }
    say!(out, "")?;
    for line in hex_dump(&frame.payload) {
        say!(out, "  {line}")?;
    }
    let more = frame.len.saturating_sub(frame.payload.len() as u64);
    if more > 0 {
        say!(out, "  {}", paint.dim(format!("and {} (--bytes shows more)", counted(more, "byte"))))?;
    }
    Ok(())
}

/// A message, for machines.
#[derive(Serialize)]
struct Frame {
    position: u64,
    state: &'static str,
    held_by: Option<usize>,
    redeliveries: u64,
    bytes: u64,
    payload_hex: String,
    /// The payload, if it is text.
    text: Option<String>,
    dead_letter: Option<Letter>,
}

#[derive(Serialize)]
struct Letter {
    queue: String,
    position: u64,
}

impl Frame {
    fn new(frame: &PeekedFrame) -> Self {
        let (state, held_by) = match frame.state {
            FrameState::Waiting => ("waiting", None),
            FrameState::Again => ("again", None),
            FrameState::Held(entry) => ("held", entry),
        };
        Self {
            position: frame.position,
            state,
            held_by,
            redeliveries: frame.redeliveries,
            bytes: frame.len,
            payload_hex: hex(&frame.payload),
            text: String::from_utf8(frame.payload.clone()).ok(),
            dead_letter: frame
                .dead_letter
                .map(|letter| Letter { queue: uuid(letter.queue), position: letter.position }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn no_message_reaches_a_terminal_as_it_is() {
        assert_eq!(escaped(b"plain \xc3\xa9"), "plain \u{e9}");
        assert_eq!(escaped(b"\x1b[2J\n\\"), "\\u{1b}[2J\\n\\\\");
        assert_eq!(escaped(b"a\xff\x80b"), "a\\xff\\x80b");
    }
}
