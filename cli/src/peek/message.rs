//! Prints a message: human-readable, in one of several forms, or as JSON.

use std::io::Write;

use anyhow::Result;
use ringway::inspect::{FrameState, PeekedFrame};
use ringway_value::{MessageType, Value};
use serde::Serialize;

use super::Format;
use crate::escape::escape_bytes;
use crate::fields::lines;
use crate::output::{Paint, print, print_json, say};
use crate::text::{count, counted, hex, hex_dump, nanoseconds};

/// How messages are printed.
pub(super) struct Printer {
    pub(super) paint: Paint,
    /// `None`: as JSON.
    pub(super) form: Option<Format>,
    /// How many bytes of each message are shown, if it is not decoded.
    pub(super) bytes: usize,
    /// The maximum length of messages that are decoded.
    pub(super) whole: usize,
    /// The decoder of messages, if fields are to be shown; or why messages cannot be decoded.
    pub(super) fields: Option<Result<MessageType, String>>,
}

impl Printer {
    pub(super) fn print(&self, out: &mut impl Write, frame: &PeekedFrame) -> Result<()> {
        match self.form {
            None => print_json(out, &self.object(frame), true),
            Some(Format::Fields) => self.show_fields(out, frame),
            Some(Format::Hex) => {
                self.show_head(out, frame)?;
                self.show_hex(out, frame)
            }
            Some(Format::Text) => {
                let payload = self.payload(frame);
                let more = if (payload.len() as u64) < frame.len { "..." } else { "" };
                say!(out, "{}{more}", escape_bytes(payload))
            }
        }
    }

    /// The bytes of the message that are shown.
    fn payload<'f>(&self, frame: &'f PeekedFrame) -> &'f [u8] {
        &frame.payload[..self.bytes.min(frame.payload.len())]
    }

    fn decode(&self, frame: &PeekedFrame) -> Option<Result<Value<'_>, String>> {
        Some(match self.fields.as_ref()? {
            Err(why) => Err(why.clone()),
            Ok(_) if (frame.payload.len() as u64) < frame.len => {
                let (len, whole) = (counted(frame.len, "byte"), count(self.whole as u64));
                Err(format!(
                    "it has {len}, and no more than {whole} are read; --bytes {} reads all",
                    frame.len
                ))
            }
            Ok(fields) => fields.decode(&frame.payload).map_err(|error| error.to_string()),
        })
    }

    fn show_head(&self, out: &mut impl Write, frame: &PeekedFrame) -> Result<()> {
        let head = format!("position {}, {}, {}", frame.position, counted(frame.len, "byte"), state(frame));
        print(out, format_args!("{}", self.paint.bold(head)))?;
        if frame.redeliveries > 0 {
            print(out, format_args!(", delivered {} before", counted(frame.redeliveries, "time")))?;
        }
        if frame.checksum_matches == Some(false) {
            print(out, format_args!(", {}", self.paint.bad("its checksum does not match")))?;
        }
        if let Some(letter) = frame.dead_letter {
            print(out, format_args!(", dead letter: {letter}"))?;
        }
        say!(out, "")
    }

    fn show_fields(&self, out: &mut impl Write, frame: &PeekedFrame) -> Result<()> {
        self.show_head(out, frame)?;
        match self.decode(frame) {
            Some(Ok(value)) => lines(&value).iter().try_for_each(|line| say!(out, "  {line}")),
            Some(Err(why)) => {
                say!(out, "  {}", self.paint.warning(format!("no fields: {why}")))?;
                self.show_hex(out, frame)
            }
            None => self.show_hex(out, frame),
        }
    }

    fn show_hex(&self, out: &mut impl Write, frame: &PeekedFrame) -> Result<()> {
        let payload = self.payload(frame);
        for line in hex_dump(payload) {
            say!(out, "  {line}")?;
        }
        let more = frame.len.saturating_sub(payload.len() as u64);
        if more > 0 {
            let more = counted(more, "byte");
            say!(out, "  {}", self.paint.dim(format!("and {more} (--bytes shows more)")))?;
        }
        Ok(())
    }

    fn object(&self, frame: &PeekedFrame) -> Frame<'_> {
        let (state, held_by) = match frame.state {
            FrameState::Waiting => ("waiting", None),
            FrameState::Again => ("again", None),
            FrameState::Held(entry) => ("held", entry),
        };
        let (fields, fields_error) = match self.decode(frame) {
            Some(Ok(value)) => (Some(value), None),
            Some(Err(why)) => (None, Some(why)),
            None => (None, None),
        };
        let payload = self.payload(frame);
        Frame {
            position: frame.position,
            state,
            held_by,
            redeliveries: frame.redeliveries,
            bytes: frame.len,
            checksum_matches: frame.checksum_matches,
            payload_hex: hex(payload),
            text: String::from_utf8(payload.to_vec()).ok(),
            fields,
            fields_error,
            dead_letter: frame.dead_letter.map(|letter| Letter {
                queue: letter.queue.to_string(),
                position: letter.position,
                redeliveries: letter.redeliveries,
                last_holder: letter.last_holder,
                at_ns: nanoseconds(letter.at),
            }),
        }
    }
}

fn state(frame: &PeekedFrame) -> String {
    match frame.state {
        FrameState::Waiting => "waiting".into(),
        FrameState::Again => "redelivery".into(),
        FrameState::Held(Some(entry)) => format!("held by participant {entry}"),
        FrameState::Held(None) => "held".into(),
    }
}

/// A message as JSON.
#[derive(Serialize)]
struct Frame<'a> {
    position: u64,
    state: &'static str,
    held_by: Option<usize>,
    redeliveries: u64,
    bytes: u64,
    /// `None`: the queue has no checksums.
    checksum_matches: Option<bool>,
    payload_hex: String,
    /// The payload, if it is text.
    text: Option<String>,
    /// The decoded fields, if the queue's file describes the type.
    fields: Option<Value<'a>>,
    /// Why the message could not be decoded.
    fields_error: Option<String>,
    dead_letter: Option<Letter>,
}

#[derive(Serialize)]
struct Letter {
    queue: String,
    position: u64,
    redeliveries: u64,
    last_holder: Option<u32>,
    at_ns: u64,
}
