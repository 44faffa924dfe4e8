//! Reads messages of ringway's typed queues without their Rust types: by the description of the type
//! in the queue's file.
//!
//! [`MessageType`] is what a description says. It decodes the bytes of a message to a tree of
//! [`Value`]s; and for types whose archives have a fixed layout, [`FixedType`] is the table of their
//! fields, checks bytes, and writes messages.
//!
//! ```
//! use ringway::schema::Description;
//! use ringway_value::{Body, MessageType, Value};
//!
//! # let dir = tempfile::tempdir()?;
//! # let name = dir.path().join("ticks");
//! // One process has the type ...
//! #[derive(rkyv::Archive, rkyv::Serialize, ringway::Message)]
//! struct Tick {
//!     symbol: String,
//!     price: f64,
//! }
//! // SAFETY: every process that can write this file uses ringway.
//! let queue = unsafe { ringway::spsc::Queue::<Tick>::create(&name)? };
//! queue.producer()?.send(&Tick { symbol: "RWY".into(), price: 2.5 })?;
//!
//! // ... and another has the file.
//! let description = Description::recorded(&name)?;
//! let ticks = MessageType::new(&description)?;
//! let consumer = queue.consumer()?;
//! let frame = consumer.recv()?;
//! let Value::Struct("Tick", Body::Fields(fields)) = ticks.decode_whole(frame.as_bytes())? else { panic!() };
//! assert!(matches!(&fields.items[0], ("symbol", Value::Text(text, 0)) if text == "RWY"));
//! assert!(matches!(&fields.items[1], ("price", Value::Float64(2.5))));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! ```text
//! description.rs                       lines of the description: structs, enums, fields
//! types.rs  std_types.rs  layout.rs    what they say of types; std's types; offsets and sizes
//! decode.rs  pointers.rs  tables.rs    bytes to values, within limits.rs
//! scalars.rs  address.rs  value.rs
//! fixed.rs  fixed/                     types of a fixed layout: their fields; bytes checked and written
//! json.rs  outline.rs                  values and types for serde
//! ```
//!
//! Description and bytes come from a file that may be corrupted or hostile: nothing in them is
//! trusted, and how much of a message is decoded is bounded.

#[cfg(test)]
use ringway_bound as _;

mod address;
mod decode;
mod description;
mod fixed;
#[cfg(feature = "serde")]
mod json;
mod layout;
mod limits;
#[cfg(feature = "serde")]
mod outline;
mod pointers;
mod scalars;
mod std_types;
mod tables;
mod types;
mod value;
mod whole;

use std::fmt;
use std::sync::Arc;

use ringway::schema::Description;

pub use fixed::{FixedField, FixedKind, FixedType};
#[cfg(feature = "serde")]
pub use outline::{Type, outline};
pub use value::{Body, Part, Value};

use decode::Decoder;
use description::short;
use limits::Limits;
use types::Types;

/// The format whose archives are decoded, as in a queue's header: rkyv 0.8, little-endian, aligned,
/// 32-bit pointers.
pub const FORMAT: u64 = 8 << 16 | 4 << 8 | 1;

/// Why a message cannot be decoded or written; its `Display` is a clause in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl From<String> for Error {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// The type of a queue's messages, as the queue's file describes it.
#[derive(Debug)]
pub struct MessageType {
    /// Borrows from `text`, as do the values that it decodes.
    types: Types<'static>,
    text: Arc<str>,
}

impl MessageType {
    /// Reads a description.
    ///
    /// # Errors
    /// Says why no message of this queue can be decoded: it holds bytes without a type, its archives
    /// have another format, or the description is none.
    pub fn new(description: &Description) -> Result<Self, Error> {
        Self::of_format(description, description.format_word())
    }

    /// Like [`new`](Self::new), for a format that is recorded elsewhere, such as in
    /// [`SchemaHeader::format`](ringway::inspect::SchemaHeader::format).
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn of_format(description: &Description, format: u64) -> Result<Self, Error> {
        match format {
            FORMAT => Self::parse(description.text()),
            0 => Err(Error("messages are bytes, of which the file says nothing".into())),
            _ => Err(Error(format!(
                "messages are archived as {}, which this version does not decode",
                description.format()
            ))),
        }
    }

    /// Reads the text of a description, of a queue whose archives have the [`FORMAT`].
    ///
    /// # Errors
    /// Names the line that is not a line of a description.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text: Arc<str> = text.into();
        // SAFETY: the text is in `text`'s allocation, which does not move, does not change, and lives
        // as long as the result; nothing with this lifetime is lent for longer than a borrow of the
        // result (`types`).
        let borrowed: &'static str = unsafe { &*Arc::as_ptr(&text) };
        Ok(Self { types: Types::new(borrowed)?, text })
    }

    fn types(&self) -> &Types<'_> {
        &self.types
    }

    /// The name of the type, without modules; at most 256 bytes of it.
    pub fn name(&self) -> &str {
        let types = self.types();
        short(types.node(types.root).name)
    }

    /// The text of the description.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Bytes of a message's root: the whole message, if it has no out-of-line data.
    pub fn size(&self) -> usize {
        self.types().layout.size
    }

    /// The alignment of a message's root in bytes.
    pub fn align(&self) -> usize {
        self.types().layout.align
    }

    /// The greatest alignment of any value in a message, in bytes. An archive may be copied to a
    /// place whose address is the same modulo this.
    pub fn max_align(&self) -> usize {
        self.types().max_align()
    }

    /// Decodes a message for a person to look at: some hundred values of it, 64 KiB of text. What is
    /// left out is counted, what cannot be decoded is [`Value::Raw`].
    ///
    /// # Errors
    /// Says why no part of it could be decoded.
    pub fn decode(&self, payload: &[u8]) -> Result<Value<'_>, Error> {
        self.decode_within(payload, Limits::TO_DECODE)
    }

    /// Decodes all of a message. Opaque types are [`Value::Raw`] with all their bytes.
    ///
    /// The values take at most 64 KiB of memory and 256 bytes for each byte of the message, and copies of
    /// texts and bytes at most 1 KiB and eight times its length: pointers to the same bytes and lists of
    /// values without bytes can not make a short message large.
    ///
    /// # Errors
    /// If a part of it is not a value of its type, or it is nested more deeply than 128 levels, or
    /// has more parts than bytes account for.
    pub fn decode_whole(&self, payload: &[u8]) -> Result<Value<'_>, Error> {
        let value = self.decode_within(payload, Limits::of_all(payload.len()))?;
        match whole::defect(&value) {
            Some(defect) => Err(Error(format!("`{}`: {defect}", self.name()))),
            None => Ok(value),
        }
    }

    fn decode_within(&self, payload: &[u8], limits: Limits) -> Result<Value<'_>, Error> {
        let (types, name) = (self.types(), self.name());
        match Decoder::new(types, payload, limits).root() {
            None => {
                let (size, s) = (types.layout.size, if types.layout.size == 1 { "" } else { "s" });
                Err(Error(format!("a `{name}` has at least {size} byte{s}")))
            }
            Some(Value::Raw { why: Some(why), .. }) => Err(Error(format!("`{name}`: {why}"))),
            Some(Value::Raw { why: None, .. }) => Err(Error(format!("`{name}` does not describe itself"))),
            Some(value) => Ok(value),
        }
    }

    /// The table of the fields, if all archives of the type have the same layout: numbers, `bool`,
    /// `char`, enums without fields, `Duration`, and arrays, tuples and structs of these.
    ///
    /// # Errors
    /// Names what has no fixed layout.
    pub fn fixed(&self) -> Result<FixedType, Error> {
        fixed::fixed(self.types())
    }
}
