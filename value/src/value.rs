//! What was decoded from a message. Names are borrowed from the description.

use std::time::Duration;

/// The parts that were decoded, and the number of those that were left out.
#[derive(Clone, Debug, PartialEq)]
pub struct Part<T> {
    /// Those that were decoded.
    pub items: Vec<T>,
    /// The number of the others.
    pub more: u64,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'d> {
    /// `()`, and other values without bytes.
    Unit,
    /// An option without a value.
    None,
    /// `true` or `false`.
    Bool(bool),
    /// An integer with a sign, of up to 64 bits.
    Signed(i64),
    /// One without.
    Unsigned(u64),
    /// An integer of 128 bits with a sign.
    Signed128(i128),
    /// One without.
    Unsigned128(u128),
    /// An internet address in its usual notation, with its port if it has one.
    Address(String),
    /// A float of 4 bytes.
    Float32(f32),
    /// A float of 8 bytes.
    Float64(f64),
    /// A character.
    Char(char),
    /// Text, and how many bytes of it were left out.
    Text(String, u64),
    /// A list of bytes.
    Bytes(Part<u8>),
    /// A list, an array or a set.
    List(Part<Value<'d>>),
    /// A map.
    Map {
        /// Keys and values, in the order in which they are stored.
        entries: Part<(Value<'d>, Value<'d>)>,
        /// Whether the keys are texts, by their type: there may be no keys.
        has_names: bool,
    },
    /// A tuple.
    Tuple(Part<Value<'d>>),
    /// A struct: its name, and its fields.
    Struct(&'d str, Body<'d>),
    /// A variant of an enum, of a `Result` or of a `Bound`: its name, and its fields.
    Variant(&'d str, Body<'d>),
    /// Written `start..=end`, with the sign in between.
    Range {
        /// The lower end.
        start: Option<Box<Value<'d>>>,
        /// `..` or `..=`.
        sign: &'static str,
        /// The upper end.
        end: Option<Box<Value<'d>>>,
    },
    /// A length of time.
    Duration(Duration),
    /// Bytes of a value that was not decoded.
    Raw {
        /// The name of its type.
        ty: &'d str,
        /// Its bytes.
        bytes: Part<u8>,
        /// Why it was not decoded, if it should have been; `None`: its type does not describe itself.
        why: Option<&'static str>,
    },
    /// The value is nested too deeply.
    Deeper,
}

/// The parts of a struct or a variant.
#[derive(Clone, Debug, PartialEq)]
pub enum Body<'d> {
    /// No parts.
    Empty,
    /// Parts without names.
    Tuple(Part<Value<'d>>),
    /// Parts with names.
    Fields(Part<(&'d str, Value<'d>)>),
}
