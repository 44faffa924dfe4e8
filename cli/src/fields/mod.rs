//! Decodes the fields of messages from archived bytes, by the description of their type in a
//! queue's file.
//!
//! ```text
//! description.rs                       lines of the description: structs, enums, fields
//! types.rs  std_types.rs  layout.rs    what they say of types; std's types; offsets and sizes
//! decode.rs  pointers.rs  tables.rs    bytes to values
//! scalars.rs  address.rs  value.rs
//! show.rs  json.rs                     human-readable output, and JSON
//! outline.rs                           types as JSON
//! ```
//!
//! Description and bytes come from a file that may be corrupted or hostile: nothing in them is
//! trusted, and how much of a message is decoded is limited. What cannot be decoded is shown as
//! bytes, with the reason.

mod address;
mod decode;
mod description;
mod json;
mod layout;
mod outline;
mod pointers;
mod scalars;
mod show;
mod std_types;
mod tables;
mod types;
mod value;

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod tests;

use ringway::schema::Description;

pub(crate) use outline::{Type, outline};
pub(crate) use show::lines;
pub(crate) use value::Value;

use decode::Decoder;
use description::short;
use types::Types;

use crate::text::counted;

/// The format whose archives are decoded, as in a queue's header: rkyv 0.8, little-endian, aligned,
/// 32-bit pointers.
const FORMAT: u64 = 8 << 16 | 4 << 8 | 1;

/// The type of a queue's messages.
#[derive(Debug)]
pub(crate) struct Fields<'d> {
    types: Types<'d>,
}

impl<'d> Fields<'d> {
    /// Resolves the description in a file; `format` is the header's.
    ///
    /// # Errors
    /// Says in words why no message of this queue has fields.
    pub(crate) fn new(description: &'d Description, format: u64) -> Result<Self, String> {
        match format {
            FORMAT => Self::of(description.text()),
            0 => Err("messages are bytes, of which the file says nothing".into()),
            _ => Err(format!(
                "messages are archived as {}, which this command does not decode",
                description.format()
            )),
        }
    }

    fn of(text: &'d str) -> Result<Self, String> {
        Ok(Self { types: Types::new(text)? })
    }

    /// Decodes a message.
    ///
    /// # Errors
    /// Says why no part of it could be decoded.
    pub(crate) fn decode(&self, payload: &[u8]) -> Result<Value<'d>, String> {
        let types = &self.types;
        let name = short(types.node(types.root).name);
        match Decoder::new(types, payload).root() {
            None => {
                let needed = counted(types.layout.size as u64, "byte");
                Err(format!("a `{name}` has at least {needed}"))
            }
            Some(Value::Raw { why: Some(why), .. }) => Err(format!("`{name}`: {why}")),
            Some(Value::Raw { why: None, .. }) => Err(format!("`{name}` does not describe itself")),
            Some(value) => Ok(value),
        }
    }
}
