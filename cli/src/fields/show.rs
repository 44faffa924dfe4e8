//! Human-readable values: on one line if there is room, else with a line for each part.

use std::fmt::{self, Write};

use ringway_value::{Body, Part, Value};

use crate::text::{count, counted};

/// The maximum number of columns, if possible.
const WIDTH: usize = 100;
/// The minimum number of columns for a value, at any depth.
const NARROWEST: usize = 40;
/// The maximum length of values whose lists are wrapped like text.
const SHORT: usize = 24;

/// The lines that show a message.
pub(crate) fn lines(value: &Value<'_>) -> Vec<String> {
    let mut lines = Lines { lines: Vec::new() };
    match value {
        // Each field of the message itself has a line of its own.
        Value::Struct(name, Body::Fields(fields)) | Value::Variant(name, Body::Fields(fields)) => {
            lines.fields(0, name, fields);
        }
        other => lines.value(0, "", other),
    }
    lines.lines
}

struct Lines {
    lines: Vec<String>,
}

impl Lines {
    fn push(&mut self, indent: usize, text: impl fmt::Display) {
        self.lines.push(format!("{:indent$}{text}", ""));
    }

    fn value(&mut self, indent: usize, label: &str, value: &Value<'_>) {
        let room = WIDTH.saturating_sub(indent + label.chars().count()).max(NARROWEST);
        if let Some(text) = on_one_line(value, room) {
            return self.push(indent, format_args!("{label}{text}"));
        }
        match value {
            Value::Struct(name, Body::Fields(fields)) | Value::Variant(name, Body::Fields(fields)) => {
                self.fields(indent, &format!("{label}{name}"), fields);
            }
            Value::Struct(name, Body::Tuple(parts)) | Value::Variant(name, Body::Tuple(parts)) => {
                self.parts(indent, &format!("{label}{name}"), parts);
            }
            Value::Tuple(parts) => self.parts(indent, &format!("{label}{}", total(parts, "value")), parts),
            Value::List(parts) => self.list(indent, label, parts),
            Value::Map { entries, .. } => self.map(indent, label, entries),
            // The value has no parts.
            whole => {
                let text = on_one_line(whole, usize::MAX).unwrap_or_default();
                self.push(indent, format_args!("{label}{text}"));
            }
        }
    }

    fn fields(&mut self, indent: usize, head: &str, fields: &Part<(&str, Value<'_>)>) {
        self.push(indent, head);
        for (name, value) in &fields.items {
            self.value(indent + 2, &format!("{name}: "), value);
        }
        self.more(indent + 2, fields.more, "field");
    }

    fn parts(&mut self, indent: usize, head: &str, parts: &Part<Value<'_>>) {
        self.push(indent, head);
        for (at, value) in parts.items.iter().enumerate() {
            self.value(indent + 2, &format!("{at}: "), value);
        }
        self.more(indent + 2, parts.more, "value");
    }

    fn list(&mut self, indent: usize, label: &str, values: &Part<Value<'_>>) {
        let head = format!("{label}{}", total(values, "value"));
        let texts: Option<Vec<_>> = values.items.iter().map(|value| on_one_line(value, SHORT)).collect();
        let Some(texts) = texts else { return self.parts(indent, &head, values) };
        self.push(indent, head);
        let mut line = String::new();
        for text in texts {
            if !line.is_empty() && indent + 2 + line.len() + text.len() > WIDTH {
                self.push(indent + 2, line.trim_end());
                line.clear();
            }
            line += &text;
            line += ", ";
        }
        self.push(indent + 2, line.trim_end().trim_end_matches(','));
        self.more(indent + 2, values.more, "value");
    }

    fn map(&mut self, indent: usize, label: &str, entries: &Part<(Value<'_>, Value<'_>)>) {
        self.push(indent, format_args!("{label}{}", total(entries, "value")));
        for (key, value) in &entries.items {
            match on_one_line(key, WIDTH / 2) {
                Some(key) => self.value(indent + 2, &format!("{key}: "), value),
                None => {
                    self.value(indent + 2, "", key);
                    self.value(indent + 4, ": ", value);
                }
            }
        }
        self.more(indent + 2, entries.more, "value");
    }

    fn more(&mut self, indent: usize, more: u64, noun: &str) {
        if more > 0 {
            self.push(
                indent,
                format_args!("and {} more {noun}{}", count(more), if more == 1 { "" } else { "s" }),
            );
        }
    }
}

fn total<T>(part: &Part<T>, noun: &str) -> String {
    counted(part.more.saturating_add(part.items.len() as u64), noun)
}

/// The value on one line, if it takes at most that many bytes.
fn on_one_line(value: &Value<'_>, room: usize) -> Option<String> {
    let mut line = Line { text: String::new(), room };
    put(&mut line, value).is_ok().then_some(line.text)
}

/// Text whose writing fails at the limit.
struct Line {
    text: String,
    room: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.room = self.room.checked_sub(text.len()).ok_or(fmt::Error)?;
        self.text.push_str(text);
        Ok(())
    }
}

/// `Debug` escapes what a terminal would obey or hide.
fn put(out: &mut Line, value: &Value<'_>) -> fmt::Result {
    match value {
        Value::Unit => out.write_str("()"),
        Value::None => out.write_str("none"),
        Value::Bool(value) => write!(out, "{value}"),
        Value::Signed(number) => write!(out, "{number}"),
        Value::Unsigned(number) => write!(out, "{number}"),
        Value::Signed128(number) => write!(out, "{number}"),
        Value::Unsigned128(number) => write!(out, "{number}"),
        Value::Address(text) => out.write_str(text),
        Value::Float32(number) => write!(out, "{number:?}"),
        Value::Float64(number) => write!(out, "{number:?}"),
        Value::Char(character) => write!(out, "{character:?}"),
        Value::Text(text, more) => {
            write!(out, "{text:?}")?;
            put_more_bytes(out, *more)
        }
        Value::Bytes(bytes) => {
            write!(out, "b\"{}\"", bytes.items.escape_ascii())?;
            put_more_bytes(out, bytes.more)
        }
        Value::List(values) => put_parts(out, ["[", "]"], values, put),
        Value::Tuple(values) => put_parts(out, ["(", ")"], values, put),
        Value::Map { entries, .. } => put_parts(out, ["{", "}"], entries, |out, (key, value)| {
            put(out, key)?;
            out.write_str(": ")?;
            put(out, value)
        }),
        Value::Struct(name, body) | Value::Variant(name, body) => {
            out.write_str(name)?;
            match body {
                Body::Empty => Ok(()),
                Body::Tuple(values) => put_parts(out, ["(", ")"], values, put),
                Body::Fields(fields) => put_parts(out, [" { ", " }"], fields, |out, (name, value)| {
                    write!(out, "{name}: ")?;
                    put(out, value)
                }),
            }
        }
        Value::Range { start, sign, end } => {
            start.iter().try_for_each(|start| put(out, start))?;
            out.write_str(sign)?;
            end.iter().try_for_each(|end| put(out, end))
        }
        Value::Duration(duration) => write!(out, "{duration:?}"),
        Value::Raw { ty, bytes, why } => {
            write!(out, "<{ty}:")?;
            bytes.items.iter().try_for_each(|byte| write!(out, " {byte:02x}"))?;
            put_more_bytes(out, bytes.more)?;
            why.iter().try_for_each(|why| write!(out, " ({why})"))?;
            out.write_str(">")
        }
        Value::Deeper => out.write_str("<nested too deeply>"),
    }
}

fn put_parts<T>(
    out: &mut Line,
    brackets: [&str; 2],
    parts: &Part<T>,
    each: impl Fn(&mut Line, &T) -> fmt::Result,
) -> fmt::Result {
    out.write_str(brackets[0])?;
    for (at, part) in parts.items.iter().enumerate() {
        if at > 0 {
            out.write_str(", ")?;
        }
        each(out, part)?;
    }
    if parts.more > 0 {
        let comma = if parts.items.is_empty() { "" } else { ", " };
        write!(out, "{comma}and {} more", count(parts.more))?;
    }
    out.write_str(brackets[1])
}

fn put_more_bytes(out: &mut Line, more: u64) -> fmt::Result {
    if more > 0 { write!(out, " and {}", counted(more, "more byte")) } else { Ok(()) }
}
