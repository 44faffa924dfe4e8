//! `ringway schema`.

use std::io;
use std::path::PathBuf;

use anyhow::Result;
use ringway::inspect::{Inspector, SchemaHeader};
use ringway::schema::Description;
use ringway_value::{Type, outline};
use serde::Serialize;

use crate::ending::Outcome;

use crate::output::{Common, Paint, print_json, say};
use crate::stat::{json, shape};
use crate::text::{counted, hex};

/// Command-line arguments.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The queue
    queue: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    common: Common,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome> {
    let inspector = Inspector::open(&arguments.queue)?;
    let header = inspector.header();
    let description = match header.schema.format {
        0 => None,
        _ => Some(inspector.description()?),
    };
    let text = description.as_ref().map_or("", Description::text);
    let mut out = io::stdout().lock();
    if arguments.json {
        print_json(&mut out, &Json::new(&header.schema, text), false)?;
        return Ok(Outcome::Well);
    }
    let paint = Paint::new(arguments.common.color);
    if !arguments.common.quiet {
        say!(&mut out, "{}", paint.bold(inspector.path().display()))?;
    }
    for (name, value) in rows(&header.schema) {
        say!(&mut out, "  {name:<12} {value}")?;
    }
    say!(&mut out, "  {:<12} {}", "messages", shape(header))?;
    // The first line repeats the name of the type, the last one its size.
    let lines: Vec<&str> = text.lines().skip(1).collect();
    if let Some((_, fields)) = lines.split_last().filter(|(_, fields)| !fields.is_empty()) {
        say!(&mut out, "  fields")?;
        fields.iter().try_for_each(|line| say!(&mut out, "  {line}"))?;
    }
    Ok(Outcome::Well)
}

/// What the header says about the messages, and what the file says about their types.
#[derive(Serialize)]
struct Json<'d> {
    #[serde(flatten)]
    schema: json::Schema,
    /// The text in the file; null if messages are bytes.
    description: Option<&'d str>,
    /// The structs and enums in the description.
    types: Vec<Type<'d>>,
    /// Why the description could not be understood.
    types_error: Option<String>,
}

impl<'d> Json<'d> {
    fn new(schema: &SchemaHeader, text: &'d str) -> Self {
        let schema = json::Schema::new(schema);
        if text.is_empty() {
            return Self { schema, description: None, types: Vec::new(), types_error: None };
        }
        let (types, types_error) = match outline(text) {
            Ok(types) => (types, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        Self { schema, description: Some(text), types, types_error }
    }
}

/// What the header says about the messages.
fn rows(schema: &SchemaHeader) -> Vec<(&'static str, String)> {
    let mut rows = vec![("type", format!("`{}`", schema.name))];
    if (schema.size, schema.align) != (0, 0) {
        rows.push(("archive", format!("{}, alignment {}", counted(schema.size, "byte"), schema.align)));
    }
    rows.push(("format", format(schema.format)));
    rows.push(match schema.fingerprint {
        Some(bytes) => ("fingerprint", hex(&bytes)),
        None => ("fingerprint", "none recorded".into()),
    });
    rows
}

/// The rkyv format, in words.
fn format(bits: u64) -> String {
    if bits & 1 == 0 {
        return match bits {
            0 => "bytes, no archive".into(),
            other => format!("unknown ({other:#x})"),
        };
    }
    let endianness = if bits & 2 != 0 { "big-endian" } else { "little-endian" };
    let alignment = if bits & 4 != 0 { "unaligned" } else { "aligned" };
    format!("rkyv, {endianness}, {alignment}, {}-bit pointers", (bits >> 8 & 0xff) * 8)
}

#[cfg(test)]
mod tests {
    use super::format;

    #[test]
    fn formats_are_put_into_words() {
        assert_eq!(format(0), "bytes, no archive");
        assert_eq!(format(1 | 4 << 8), "rkyv, little-endian, aligned, 32-bit pointers");
        assert_eq!(format(1 | 2 | 4 | 8 << 8), "rkyv, big-endian, unaligned, 64-bit pointers");
        assert_eq!(format(8), "unknown (0x8)");
    }
}
