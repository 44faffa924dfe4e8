//! What was decoded from a message. Names are borrowed from the description.

use std::time::Duration;

/// The parts that were decoded, and the number of those that were left out.
#[derive(Debug)]
pub(crate) struct Part<T> {
    pub(super) items: Vec<T>,
    pub(super) more: u64,
}

/// A value.
#[derive(Debug)]
pub(crate) enum Value<'d> {
    /// `()`, and other values without bytes.
    Unit,
    /// An option without a value.
    None,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    /// Numbers of 128 bits, which no JSON reader accepts as numbers, and addresses: as text.
    Plain(String),
    Float32(f32),
    Float64(f64),
    Char(char),
    /// Text, and how many bytes of it were left out.
    Text(String, u64),
    /// A list of bytes.
    Bytes(Part<u8>),
    List(Part<Value<'d>>),
    /// Whether the keys are texts follows from the type, because there may be no keys.
    Map {
        entries: Part<(Value<'d>, Value<'d>)>,
        has_names: bool,
    },
    Tuple(Part<Value<'d>>),
    Struct(&'d str, Body<'d>),
    Variant(&'d str, Body<'d>),
    /// Written `start..=end`, with the sign in between.
    Range {
        start: Option<Box<Value<'d>>>,
        sign: &'static str,
        end: Option<Box<Value<'d>>>,
    },
    Duration(Duration),
    /// Bytes of a value that was not decoded, and the reason if it should have been.
    Raw {
        ty: &'d str,
        bytes: Part<u8>,
        why: Option<&'static str>,
    },
    /// The value is nested too deeply.
    Deeper,
}

/// The parts of a struct or a variant.
#[derive(Debug)]
pub(crate) enum Body<'d> {
    Empty,
    Tuple(Part<Value<'d>>),
    Fields(Part<(&'d str, Value<'d>)>),
}
