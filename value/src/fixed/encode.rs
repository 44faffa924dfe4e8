//! Values to bytes.

use super::{FixedField, FixedKind, FixedType};
use crate::Error;
use crate::value::{Body, Value};

impl FixedType {
    /// Writes a message into `to`, which has as many bytes as the type; padding becomes 0.
    ///
    /// Structs are taken by the names of their fields, all of which must be there, or as tuples or
    /// lists in their order; arrays from lists, tuples and bytes; enums from variants and from
    /// texts that name one; floats from integers too.
    ///
    /// # Errors
    /// Names the field that cannot have the value. The bytes are no message then.
    ///
    /// ```
    /// use ringway::schema::Description;
    /// use ringway_value::{MessageType, Part, Value};
    ///
    /// let point = MessageType::new(&Description::of::<(i16, f64)>())?.fixed()?;
    /// let value = Value::Tuple(Part { items: vec![Value::Signed(-2), Value::Float64(0.5)], more: 0 });
    /// let mut bytes = vec![0; point.size];
    /// point.encode(&value, &mut bytes)?;
    /// assert_eq!(bytes[..2], (-2_i16).to_le_bytes());
    /// assert!(point.encode(&Value::Bool(true), &mut bytes).is_err());
    /// # Ok::<(), ringway_value::Error>(())
    /// ```
    pub fn encode(&self, value: &Value<'_>, to: &mut [u8]) -> Result<(), Error> {
        if to.len() != self.size {
            return Err(Error(format!("the message has {} bytes, not {}", self.size, to.len())));
        }
        to.fill(0);
        self.put(value, to).map_err(|(path, why)| {
            let path = path.into_iter().rev().collect::<Vec<_>>().join(".");
            Error(if path.is_empty() { why } else { format!("`{path}`: {why}") })
        })?;
        // What the value cannot be is one rule, in one place.
        self.check(to)
    }

    fn put(&self, value: &Value<'_>, to: &mut [u8]) -> Result<(), (Vec<String>, String)> {
        let fails = |why: String| Err((Vec::new(), why));
        let not = |what: &str| Err((Vec::new(), format!("the value is no {what}")));
        match (&self.kind, value) {
            (FixedKind::Unit, Value::Unit) => Ok(()),
            (FixedKind::Bool, Value::Bool(value)) => write(to, u128::from(*value), false),
            (FixedKind::Char { big_endian }, Value::Char(value)) => {
                write(to, u128::from(u32::from(*value)), *big_endian)
            }
            (FixedKind::Int { signed, big_endian, .. }, value) => match integer(value, *signed, to.len()) {
                Some(Some(number)) => write(to, number, *big_endian),
                Some(None) => fails(format!("the value does not fit into {} bits", 8 * to.len())),
                None => not("integer"),
            },
            (FixedKind::Float { big_endian }, value) => match float(value) {
                Some(number) if to.len() == 4 => {
                    write(to, u128::from((number as f32).to_bits()), *big_endian)
                }
                Some(number) => write(to, u128::from(number.to_bits()), *big_endian),
                None => not("number"),
            },
            (FixedKind::Duration, Value::Duration(time)) => {
                let Some((seconds, rest)) = to.split_at_mut_checked(8) else { return not("duration") };
                write(seconds, u128::from(time.as_secs()), false)?;
                write(rest, u128::from(time.subsec_nanos()), false)
            }
            (FixedKind::Array { element, len }, value) => put_array(element, *len, value, to),
            (FixedKind::Struct { fields, .. }, value) => put_fields(fields, value, to),
            (FixedKind::Enum { variants, .. }, Value::Variant(name, Body::Empty)) => tag(variants, name, to),
            (FixedKind::Enum { variants, .. }, Value::Text(name, 0)) => tag(variants, name, to),
            (FixedKind::Enum { name, .. }, _) => not(&format!("variant of `{name}`")),
            (FixedKind::Unit, _) => not("`()`"),
            (FixedKind::Bool, _) => not("`bool`"),
            (FixedKind::Char { .. }, _) => not("character"),
            (FixedKind::Duration, _) => not("duration"),
        }
    }
}

type Put = Result<(), (Vec<String>, String)>;

/// Writes as many bytes as there are; a duration's padding stays 0.
fn write(to: &mut [u8], number: u128, big_endian: bool) -> Put {
    let len = to.len().min(16);
    let bytes = number.to_le_bytes();
    to[..len].copy_from_slice(&bytes[..len]);
    if big_endian {
        to[..len].reverse();
    }
    Ok(())
}

/// The bits of an integer of `len` bytes; `Some(None)` if it does not fit, `None` if the value is
/// not an integer.
fn integer(value: &Value<'_>, signed: bool, len: usize) -> Option<Option<u128>> {
    let (number, is_negative) = match value {
        Value::Signed(number) => (i128::from(*number).cast_unsigned(), *number < 0),
        Value::Unsigned(number) => (u128::from(*number), false),
        Value::Signed128(number) => (number.cast_unsigned(), *number < 0),
        Value::Unsigned128(number) => (*number, false),
        _ => return None,
    };
    let bits = 8 * len as u32;
    let fits = match (signed, is_negative) {
        (false, true) => false,
        (true, true) => number.cast_signed() >> (bits.clamp(1, 128) - 1) == -1,
        (true, false) => number.checked_shr(bits.saturating_sub(1)).unwrap_or(0) == 0,
        (false, false) => number.checked_shr(bits).unwrap_or(0) == 0,
    };
    Some(fits.then_some(number))
}

fn float(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Float32(number) => Some(f64::from(*number)),
        Value::Float64(number) => Some(*number),
        Value::Signed(number) => Some(*number as f64),
        Value::Unsigned(number) => Some(*number as f64),
        _ => None,
    }
}

fn tag(variants: &[(String, u8)], name: &str, to: &mut [u8]) -> Put {
    match (variants.iter().find(|(variant, _)| variant == name), to.first_mut()) {
        (Some((_, tag)), Some(to)) => {
            *to = *tag;
            Ok(())
        }
        _ => Err((Vec::new(), format!("there is no variant `{name}`"))),
    }
}

fn put_array(element: &FixedType, len: usize, value: &Value<'_>, to: &mut [u8]) -> Put {
    let wrong = |found: usize| Err((Vec::new(), format!("it has {len} elements, not {found}")));
    match value {
        Value::List(values) | Value::Tuple(values) if values.more == 0 => {
            if values.items.len() != len {
                return wrong(values.items.len());
            }
            for (at, value) in values.items.iter().enumerate() {
                put_at(element, &at.to_string(), at.saturating_mul(element.size), value, to)?;
            }
            Ok(())
        }
        Value::Bytes(bytes) if bytes.more == 0 => {
            if bytes.items.len() != len {
                return wrong(bytes.items.len());
            }
            for (at, byte) in bytes.items.iter().enumerate() {
                let value = Value::Unsigned((*byte).into());
                put_at(element, &at.to_string(), at.saturating_mul(element.size), &value, to)?;
            }
            Ok(())
        }
        _ => Err((Vec::new(), "the value is no list".into())),
    }
}

fn put_fields(fields: &[FixedField], value: &Value<'_>, to: &mut [u8]) -> Put {
    let values: Vec<&Value<'_>> = match value {
        Value::Struct(_, Body::Fields(found)) | Value::Variant(_, Body::Fields(found)) => {
            if let Some((name, _)) =
                found.items.iter().find(|(name, _)| !fields.iter().any(|field| field.name == *name))
            {
                return Err((Vec::new(), format!("there is no field `{name}`")));
            }
            let find = |field: &FixedField| {
                let found = found.items.iter().find(|(name, _)| *name == field.name);
                found.map(|(_, value)| value).ok_or((vec![field.name.clone()], "it has no value".into()))
            };
            fields.iter().map(find).collect::<Result<_, _>>()?
        }
        Value::Tuple(values) | Value::List(values) | Value::Struct(_, Body::Tuple(values)) => {
            values.items.iter().collect()
        }
        Value::Unit | Value::Struct(_, Body::Empty) => Vec::new(),
        _ => return Err((Vec::new(), "the value has no fields".into())),
    };
    if values.len() != fields.len() {
        return Err((Vec::new(), format!("it has {} fields, not {}", fields.len(), values.len())));
    }
    fields
        .iter()
        .zip(values)
        .try_for_each(|(field, value)| put_at(&field.ty, &field.name, field.offset, value, to))
}

fn put_at(ty: &FixedType, name: &str, offset: usize, value: &Value<'_>, to: &mut [u8]) -> Put {
    let part = offset.checked_add(ty.size).and_then(|end| to.get_mut(offset..end));
    let part = part.ok_or_else(|| (vec![name.to_owned()], "it reaches beyond the message".to_owned()))?;
    ty.put(value, part).map_err(|(mut path, why)| {
        path.push(name.to_owned());
        (path, why)
    })
}
