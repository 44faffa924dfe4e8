//! `ringway peek` and `ringway tail`: show messages without consuming them.

mod follow;
mod message;

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use ringway::inspect::{Inspector, Peek as Selection, Peeked, PeekedFrame, Start};
use ringway::schema::Description;
use ringway_value::MessageType;

use crate::ending::Outcome;
use crate::output::{Common, Paint, complain};
use crate::text::{counted, parse_bytes, parse_duration};
pub(crate) use follow::tail;
use message::Printer;

/// Command-line arguments.
#[derive(clap::Args)]
pub(crate) struct Peek {
    #[command(flatten)]
    what: What,
    /// Also messages that consumers hold
    #[arg(long)]
    held: bool,
}

/// Command-line arguments.
#[derive(clap::Args)]
pub(crate) struct Tail {
    #[command(flatten)]
    what: What,
    /// Show new messages as they come, until Ctrl-C; those that are consumed faster than polled are missed
    #[arg(long, short = 'f')]
    follow: bool,
    /// As --follow, and continue with another queue that gets the name, instead of ending with an
    /// error
    #[arg(long, short = 'F')]
    follow_name: bool,
    /// With --follow or --follow-name: poll every TIME
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
    /// Show at most this many bytes of each message, in hex or as text; fields of messages above 1
    /// MiB need more
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes, default_value = "256")]
    bytes: usize,
    /// How to print messages; by default as fields where the queue's file says what these are, else in hex
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Print an object for each message, on a line of its own
    #[arg(long, conflicts_with = "format")]
    json: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A line about each, and the names and values of its fields
    Fields,
    /// A line about each, and a hex dump
    Hex,
    /// One line each; what is not printable text is escaped
    Text,
}

/// The maximum length of messages that are copied for their fields, unless --bytes asks for more.
const WHOLE: usize = 1 << 20;
/// At first only a limited number of bytes is copied, of a limited number of messages at a time;
/// longer messages follow one by one. That bounds the memory, whatever lengths a file claims.
const FIRST: usize = 1 << 12;
const PORTION: usize = 1 << 14;

pub(crate) fn peek(arguments: &Peek) -> Result<Outcome> {
    let what = &arguments.what;
    let inspector = Inspector::open(&what.queue)?;
    let schema = what.schema(&inspector);
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut viewer = what.viewer(&inspector, &schema, &mut out);
    let seen = viewer.show(&Selection::new().held(arguments.held), Start::Oldest, what.count)?;
    out.flush()?;
    if seen.shown == 0 && seen.last.corruption.is_none() && !what.common.quiet {
        complain!("{}: no message waits", inspector.path().display());
    }
    seen.check(&inspector)
}

/// The description in the file; or why there is none, in words.
type Schema = Result<Description, String>;

impl What {
    fn schema(&self, inspector: &Inspector) -> Schema {
        inspector.description().map_err(|error| error.to_string())
    }

    fn viewer<'a, W: Write>(
        &'a self,
        inspector: &'a Inspector,
        schema: &'a Schema,
        out: &'a mut W,
    ) -> Viewer<'a, W> {
        let is_described = inspector.header().schema.format != 0;
        let format = self.format.unwrap_or(if is_described { Format::Fields } else { Format::Hex });
        let needs_fields = if self.json { is_described } else { format == Format::Fields };
        let fields = needs_fields.then(|| match schema {
            Ok(description) => MessageType::of_format(description, inspector.header().schema.format)
                .map_err(|error| error.to_string()),
            Err(error) => Err(error.clone()),
        });
        let is_decoded = matches!(fields, Some(Ok(_)));
        Viewer {
            what: self,
            inspector,
            out,
            bytes: if is_decoded { self.bytes.max(FIRST) } else { self.bytes },
            portion: if is_decoded { PORTION } else { usize::MAX },
            printer: Printer {
                paint: Paint::new(self.common.color),
                bytes: self.bytes,
                whole: if is_decoded { self.bytes.max(WHOLE) } else { 0 },
                form: if self.json { None } else { Some(format) },
                fields,
            },
        }
    }
}

/// Copies messages and prints them.
struct Viewer<'a, W> {
    what: &'a What,
    inspector: &'a Inspector,
    out: &'a mut W,
    printer: Printer,
    /// The maximum number of bytes that are copied per message.
    bytes: usize,
    /// The maximum number of messages that are copied at a time: all of them are in memory.
    portion: usize,
}

/// The messages that were copied.
struct Seen {
    shown: usize,
    /// How many of them do not match their checksums.
    mismatches: u64,
    /// The last result, without its messages.
    last: Peeked,
}

impl<W: Write> Viewer<'_, W> {
    fn show_newest(&mut self, count: usize) -> Result<Seen> {
        let selection = Selection::new();
        if count <= self.portion {
            return self.show(&selection, Start::Newest, count);
        }
        // First, which positions there are.
        let newest = self.inspector.peek(&selection.clone().start(Start::Newest).most(count).bytes(0))?;
        let first = newest.frames.first().map_or(newest.next, |frame| frame.position);
        self.show(&selection, Start::From(first), count)
    }

    fn show(&mut self, selection: &Selection, mut start: Start, count: usize) -> Result<Seen> {
        let (mut shown, mut gone, mut mismatches, mut left) = (0, 0, 0, count);
        loop {
            let wanted = left.min(self.portion);
            let selection = selection.clone().start(start).most(wanted).bytes(self.bytes);
            let mut last = self.inspector.peek(&selection)?;
            let found = last.frames.len() + last.gone as usize;
            gone += last.gone;
            for frame in last.frames.drain(..) {
                match self.whole(frame)? {
                    Some(frame) => {
                        mismatches += u64::from(frame.checksum_matches == Some(false));
                        self.printer.print(self.out, &frame)?;
                    }
                    None => gone += 1,
                }
                shown += 1;
            }
            left = left.saturating_sub(found);
            if found < wanted || left == 0 || last.corruption.is_some() {
                self.say_gone(gone);
                return Ok(Seen { shown, mismatches, last });
            }
            start = Start::From(last.next);
        }
    }

    /// A message with all its bytes, unless it is too long; `None` if it was consumed meanwhile. A
    /// position is never used again.
    fn whole(&self, mut frame: PeekedFrame) -> Result<Option<PeekedFrame>> {
        let whole = self.printer.whole;
        if frame.payload.len() as u64 == frame.len || frame.len > whole as u64 {
            return Ok(Some(frame));
        }
        let selection = Selection::new().held(true).start(Start::From(frame.position)).most(1).bytes(whole);
        let again = self.inspector.peek(&selection)?.frames.pop();
        Ok(again.filter(|again| (again.position, again.len) == (frame.position, frame.len)).map(|again| {
            frame.payload = again.payload;
            frame.checksum_matches = again.checksum_matches;
            frame
        }))
    }

    fn say_gone(&self, gone: u64) {
        if gone > 0 && !self.what.common.quiet {
            complain!(
                "{}: {} consumed while they were being read",
                self.what.queue.display(),
                counted(gone, "message")
            );
        }
    }
}

impl Seen {
    fn check(self, inspector: &Inspector) -> Result<Outcome> {
        if let Some(corruption) = self.last.corruption {
            return Err(corruption.into());
        }
        anyhow::ensure!(
            self.mismatches == 0,
            "{}: {} shown whose checksum does not match: bytes of it were changed in the file, by a power loss or otherwise; \
             consumers skip it",
            inspector.path().display(),
            counted(self.mismatches, "message")
        );
        Ok(Outcome::Well)
    }
}
