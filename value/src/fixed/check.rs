//! Whether bytes are a message of the type.

use super::{FixedKind, FixedType};
use crate::Error;
use crate::scalars::unsigned;
use crate::types::Order;

impl FixedType {
    /// Checks that these bytes are a valid message of the type: its size, and in every field a value
    /// that the field can have. Padding may be anything.
    ///
    /// # Errors
    /// Names the field that has a value which it cannot have.
    pub fn check(&self, bytes: &[u8]) -> Result<(), Error> {
        if bytes.len() != self.size {
            return Err(Error(format!("the message has {} bytes, not {}", self.size, bytes.len())));
        }
        self.check_at(bytes).map_err(|(path, why)| {
            let path = path.into_iter().rev().collect::<Vec<_>>().join(".");
            Error(if path.is_empty() { why.into() } else { format!("`{path}`: {why}") })
        })
    }

    /// The failure, and the names of the fields that lead to it, innermost first.
    fn check_at(&self, bytes: &[u8]) -> Result<(), (Vec<String>, &'static str)> {
        let fails = |why| Err((Vec::new(), why));
        let number = |big_endian| unsigned(bytes, order(big_endian));
        let within = |name: &dyn Fn() -> String, ty: &Self, offset: usize| {
            let end = offset.checked_add(ty.size);
            let part = end.and_then(|end| bytes.get(offset..end));
            let part = part.ok_or((vec![name()], "it reaches beyond the message"))?;
            ty.check_at(part).map_err(|(mut path, why)| {
                path.push(name());
                (path, why)
            })
        };
        match &self.kind {
            FixedKind::Unit | FixedKind::Float { .. } | FixedKind::Int { non_zero: false, .. } => Ok(()),
            FixedKind::Bool if number(false) > 1 => fails("it is neither true nor false"),
            FixedKind::Bool => Ok(()),
            FixedKind::Char { big_endian } => match char::from_u32(number(*big_endian) as u32) {
                Some(_) => Ok(()),
                None => fails("it is no character"),
            },
            FixedKind::Int { .. } if bytes.iter().all(|byte| *byte == 0) => {
                fails("it is zero, which it cannot be")
            }
            FixedKind::Int { .. } => Ok(()),
            FixedKind::Duration => match bytes.get(8..12).map(|nanos| unsigned(nanos, Order::Little)) {
                Some(nanos) if nanos < 1_000_000_000 => Ok(()),
                _ => fails("it has more than a second of nanoseconds"),
            },
            FixedKind::Array { element, .. } if element.size == 0 => Ok(()),
            FixedKind::Array { element, len } => {
                let whole = element.size.checked_mul(*len) == Some(bytes.len());
                if !whole {
                    return fails("it reaches beyond the message");
                }
                (0..*len).try_for_each(|at| within(&|| at.to_string(), element, at * element.size))
            }
            FixedKind::Struct { fields, .. } => {
                fields.iter().try_for_each(|field| within(&|| field.name.clone(), &field.ty, field.offset))
            }
            FixedKind::Enum { variants, .. } => match bytes.first() {
                Some(tag) if variants.iter().any(|(_, variant)| variant == tag) => Ok(()),
                _ => fails("no variant has its tag"),
            },
        }
    }
}

pub(super) fn order(big_endian: bool) -> Order {
    if big_endian { Order::Big } else { Order::Little }
}
