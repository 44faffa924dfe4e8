//! Values as JSON, as serde would write the original: structs are objects, enums `"Variant"` or
//! `{"Variant": ..}`, `None` is null. What serde has no form for is an object with a name that no
//! field can have: `$more` is the number of values that were left out, `$hex` contains the bytes of
//! what was not decoded.

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use crate::value::{Body, Part, Value};

/// Writes the members of an object, in this order.
macro_rules! object {
    ($to:expr, $($name:expr => $value:expr),*) => {{
        let mut map = $to.serialize_map(None)?;
        $(map.serialize_entry($name, $value)?;)*
        map.end()
    }};
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Unit | Self::None => to.serialize_unit(),
            Self::Bool(value) => to.serialize_bool(*value),
            Self::Signed(number) => to.serialize_i64(*number),
            Self::Unsigned(number) => to.serialize_u64(*number),
            // No JSON reader accepts such numbers as numbers.
            Self::Signed128(number) => to.collect_str(number),
            Self::Unsigned128(number) => to.collect_str(number),
            Self::Address(text) => to.serialize_str(text),
            Self::Float32(number) if number.is_finite() => to.serialize_f32(*number),
            Self::Float64(number) if number.is_finite() => to.serialize_f64(*number),
            Self::Float32(number) => to.collect_str(number),
            Self::Float64(number) => to.collect_str(number),
            Self::Char(character) => to.serialize_char(*character),
            Self::Text(text, 0) => to.serialize_str(text),
            Self::Text(text, more) => object!(to, "$text" => text, "$more" => more),
            Self::Bytes(bytes) => sequence(to, bytes),
            Self::List(values) | Self::Tuple(values) => sequence(to, values),
            Self::Map { entries, has_names } => map(to, entries, *has_names),
            Self::Struct(_, body) => body.serialize(to),
            Self::Variant(name, Body::Empty) => to.serialize_str(name),
            Self::Variant(name, body) => object!(to, name => body),
            Self::Range { start, end, .. } => {
                let ends = [("start", start), ("end", end)];
                to.collect_map(ends.into_iter().filter_map(|(name, end)| Some((name, end.as_ref()?))))
            }
            Self::Duration(time) => {
                object!(to, "secs" => &time.as_secs(), "nanos" => &time.subsec_nanos())
            }
            Self::Raw { ty, bytes, why } => {
                let hex: String = bytes.items.iter().map(|byte| format!("{byte:02x}")).collect();
                object!(to, "$type" => ty, "$hex" => &hex, "$more" => &bytes.more, "$error" => why)
            }
            Self::Deeper => object!(to, "$error" => "nested too deeply"),
        }
    }
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Empty => to.serialize_unit(),
            // A wrapper is written as its content.
            Self::Tuple(Part { items, more: 0 }) if items.len() == 1 => items[0].serialize(to),
            Self::Tuple(values) => sequence(to, values),
            Self::Fields(fields) => {
                let mut map = to.serialize_map(None)?;
                for (name, value) in &fields.items {
                    map.serialize_entry(name, value)?;
                }
                if fields.more > 0 {
                    map.serialize_entry("$more", &fields.more)?;
                }
                map.end()
            }
        }
    }
}

/// The number of elements that were left out of a list, as its last element.
#[derive(Serialize)]
struct More {
    #[serde(rename = "$more")]
    more: u64,
}

fn sequence<S: Serializer, T: Serialize>(to: S, part: &Part<T>) -> Result<S::Ok, S::Error> {
    let mut sequence = to.serialize_seq(None)?;
    for item in &part.items {
        sequence.serialize_element(item)?;
    }
    if part.more > 0 {
        sequence.serialize_element(&More { more: part.more })?;
    }
    sequence.end()
}

/// Writes an object if all keys are texts, else a list of pairs.
fn map<S: Serializer>(
    to: S,
    entries: &Part<(Value<'_>, Value<'_>)>,
    has_names: bool,
) -> Result<S::Ok, S::Error> {
    // A key that should be a text may be cut off, or not decoded.
    let are_whole = entries.items.iter().all(|(key, _)| matches!(key, Value::Text(_, 0)));
    if !has_names || !are_whole {
        return sequence(to, entries);
    }
    let mut map = to.serialize_map(None)?;
    for (key, value) in &entries.items {
        map.serialize_entry(key, value)?;
    }
    if entries.more > 0 {
        map.serialize_entry("$more", &entries.more)?;
    }
    map.end()
}
