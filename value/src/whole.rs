//! Whether a value is all of what was to be decoded.

use crate::limits::TOO_MANY;
use crate::value::{Body, Part, Value};

/// What is missing or wrong, in words; `None` if nothing is. Recursion is as deep as the value,
/// which the decoder limits.
pub(super) fn defect(value: &Value<'_>) -> Option<String> {
    match value {
        Value::Deeper => Some("it is nested too deeply".into()),
        Value::Raw { ty, why: Some(why), .. } => Some(format!("of a value of type `{ty}`: {why}")),
        Value::Raw { bytes, .. } | Value::Bytes(bytes) => left_out(bytes.more),
        Value::Text(_, more) => left_out(*more),
        Value::List(values) | Value::Tuple(values) => of_part(values, defect),
        Value::Map { entries, .. } => of_part(entries, |(key, value)| defect(key).or_else(|| defect(value))),
        Value::Struct(_, body) | Value::Variant(_, body) => match body {
            Body::Empty => None,
            Body::Tuple(values) => of_part(values, defect),
            Body::Fields(fields) => of_part(fields, |(_, value)| defect(value)),
        },
        Value::Range { start, end, .. } => [start, end].into_iter().flatten().find_map(|end| defect(end)),
        _ => None,
    }
}

fn of_part<T>(part: &Part<T>, defect: impl Fn(&T) -> Option<String>) -> Option<String> {
    left_out(part.more).or_else(|| part.items.iter().find_map(defect))
}

fn left_out(more: u64) -> Option<String> {
    (more > 0).then(|| TOO_MANY.into())
}
