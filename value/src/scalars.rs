//! Decodes numbers and other values without parts, from exactly their bytes.

use std::time::Duration;

use crate::address::address;
use crate::decode::{Failure, OUTSIDE};
use crate::types::{Kind, Order, Zero};
use crate::value::Value;

/// Decodes a value of a type without parts.
pub(super) fn scalar<'d>(kind: &Kind, bytes: &[u8]) -> Result<Value<'d>, Failure> {
    match kind {
        Kind::Empty => Ok(Value::Unit),
        Kind::Bool => match bytes {
            [0] => Ok(Value::Bool(false)),
            [1] => Ok(Value::Bool(true)),
            _ => Err("it is neither true nor false"),
        },
        Kind::Char(order) => {
            let character = char::from_u32(unsigned(bytes, *order) as u32);
            character.map(Value::Char).ok_or("it is no character")
        }
        Kind::Float(order) if bytes.len() == 4 => {
            Ok(Value::Float32(f32::from_bits(unsigned(bytes, *order) as u32)))
        }
        Kind::Float(order) => Ok(Value::Float64(f64::from_bits(unsigned(bytes, *order) as u64))),
        Kind::Integer { signed, order, zero } => integer(bytes, *signed, *order, *zero),
        Kind::Duration => duration(bytes),
        Kind::Address(kind) => address(*kind, bytes).map(Value::Address),
        _ => Err("it has parts"),
    }
}

/// Decodes a number of at most 16 bytes.
pub(super) fn unsigned(bytes: &[u8], order: Order) -> u128 {
    let add = |number: u128, byte: &u8| number << 8 | u128::from(*byte);
    match order {
        Order::Little => bytes.iter().rev().fold(0, add),
        Order::Big => bytes.iter().fold(0, add),
    }
}

fn integer<'d>(bytes: &[u8], signed: bool, order: Order, zero: Zero) -> Result<Value<'d>, Failure> {
    let number = unsigned(bytes, order);
    if number == 0 {
        match zero {
            Zero::Number => {}
            Zero::Impossible => return Err("it is zero, which it cannot be"),
            Zero::None => return Ok(Value::None),
        }
    }
    let spare = 128 - 8 * bytes.len() as u32;
    let extended = (number << spare).cast_signed() >> spare;
    Ok(match (bytes.len(), signed) {
        (16, true) => Value::Signed128(extended),
        (16, false) => Value::Unsigned128(number),
        (_, true) => Value::Signed(extended as i64),
        (_, false) => Value::Unsigned(number as u64),
    })
}

fn duration<'d>(bytes: &[u8]) -> Result<Value<'d>, Failure> {
    let (seconds, rest) = bytes.split_at_checked(8).ok_or(OUTSIDE)?;
    let nanoseconds = unsigned(rest.get(..4).ok_or(OUTSIDE)?, Order::Little) as u32;
    if nanoseconds >= 1_000_000_000 {
        return Err("it has more than a second of nanoseconds");
    }
    Ok(Value::Duration(Duration::new(unsigned(seconds, Order::Little) as u64, nanoseconds)))
}
