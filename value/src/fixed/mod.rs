//! Types whose archives all have the same layout: where their fields are.

mod check;
mod encode;
#[cfg(test)]
mod tests;

use crate::Error;
use crate::description::{Field, Shape};
use crate::types::{Id, Kind, Order, Types, Zero};

/// The maximum number of types in a table: a description may mention each type often, and in each
/// of these another.
const MAX_TYPES: usize = 10_000;
const MAX_DEPTH: usize = 64;
/// Variants of all enums, counted wherever they are.
const MAX_VARIANTS: usize = 100_000;

/// A type with a fixed layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedType {
    /// What it is.
    pub kind: FixedKind,
    /// Its bytes.
    pub size: usize,
    /// Its alignment in bytes, a power of two.
    pub align: usize,
}

/// What a type with a fixed layout is. Integers and floats have the width that the size says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FixedKind {
    /// `()` and markers: no bytes.
    Unit,
    /// One byte, 0 or 1.
    Bool,
    /// A Unicode scalar value, 4 bytes.
    Char {
        /// Whether it is big-endian.
        big_endian: bool,
    },
    /// An integer of 1, 2, 4, 8 or 16 bytes.
    Int {
        /// Whether it has a sign.
        signed: bool,
        /// Whether it is big-endian.
        big_endian: bool,
        /// Whether it is never 0.
        non_zero: bool,
    },
    /// A float of 4 or 8 bytes.
    Float {
        /// Whether it is big-endian.
        big_endian: bool,
    },
    /// Seconds (`u64`), then nanoseconds (`u32`, less than a second), then 4 bytes of padding.
    Duration,
    /// Elements that follow one another.
    Array {
        /// The type of each.
        element: Box<FixedType>,
        /// How many.
        len: usize,
    },
    /// A struct, or a tuple, which has no name. Fields without names are numbered.
    Struct {
        /// The name of the struct, without modules.
        name: Option<String>,
        /// The fields in their order.
        fields: Vec<FixedField>,
    },
    /// An enum whose variants have no fields: one byte, and padding if it is larger.
    Enum {
        /// The name of the enum, without modules.
        name: String,
        /// The variants: name, and the byte that stands for it.
        variants: Vec<(String, u8)>,
    },
}

/// A field of a struct or a tuple.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedField {
    /// Its name, or its number.
    pub name: String,
    /// Bytes from the beginning of the struct.
    pub offset: usize,
    /// Its type.
    pub ty: FixedType,
}

/// The table of a message type.
pub(super) fn fixed(types: &Types<'_>) -> Result<FixedType, Error> {
    Tables { types, left: MAX_TYPES, variants_left: MAX_VARIANTS }.of(types.root, 0)
}

struct Tables<'t, 'd> {
    types: &'t Types<'d>,
    left: usize,
    variants_left: usize,
}

impl Tables<'_, '_> {
    fn of(&mut self, id: Id, depth: usize) -> Result<FixedType, Error> {
        let types = self.types;
        let node = types.node(id);
        self.left = self.left.checked_sub(1).ok_or_else(|| Error("it has too many fields".into()))?;
        let layout = node.layout.filter(|_| depth < MAX_DEPTH);
        let layout = layout.ok_or_else(|| Error(format!("the layout of `{}` is not known", node.name)))?;
        let is_big = |order: &Order| *order == Order::Big;
        let kind = match &node.kind {
            Kind::Empty => FixedKind::Unit,
            Kind::Bool => FixedKind::Bool,
            Kind::Char(order) => FixedKind::Char { big_endian: is_big(order) },
            Kind::Float(order) => FixedKind::Float { big_endian: is_big(order) },
            Kind::Integer { signed, order, zero: zero @ (Zero::Number | Zero::Impossible) } => {
                FixedKind::Int {
                    signed: *signed,
                    big_endian: is_big(order),
                    non_zero: *zero == Zero::Impossible,
                }
            }
            Kind::Duration => FixedKind::Duration,
            Kind::Array(element, len) => {
                FixedKind::Array { element: Box::new(self.of(*element, depth + 1)?), len: *len }
            }
            Kind::Tuple(fields) => {
                let fields = fields.iter().enumerate().map(|(at, (offset, ty))| {
                    Ok(FixedField { name: at.to_string(), offset: *offset, ty: self.of(*ty, depth + 1)? })
                });
                FixedKind::Struct { name: None, fields: fields.collect::<Result<_, Error>>()? }
            }
            Kind::Defined(at) => self.defined(*at, depth)?,
            _ => return Err(Error(format!("`{}` has no fixed layout", node.name))),
        };
        Ok(FixedType { kind, size: layout.size, align: layout.align })
    }

    fn defined(&mut self, at: usize, depth: usize) -> Result<FixedKind, Error> {
        let definition = &self.types.definitions[at];
        let name = crate::short(definition.name).to_owned();
        match &definition.shape {
            Shape::Struct(fields) => {
                let field = |this: &mut Self, field: &Field<'_>| {
                    let ty = this.of(field.ty, depth + 1)?;
                    Ok(FixedField { name: field.name.to_owned(), offset: field.offset, ty })
                };
                let fields = fields.iter().map(|one| field(self, one)).collect::<Result<_, Error>>()?;
                Ok(FixedKind::Struct { name: Some(name), fields })
            }
            Shape::Enum(variants) if variants.iter().all(|variant| variant.fields.is_empty()) => {
                let left = self.variants_left.checked_sub(variants.len());
                self.variants_left = left.ok_or_else(|| Error("its enums have too many variants".into()))?;
                let variants =
                    variants.iter().map(|variant| (variant.name.to_owned(), variant.tag)).collect();
                Ok(FixedKind::Enum { name, variants })
            }
            Shape::Enum(_) => Err(Error(format!("the variants of `{name}` have fields"))),
        }
    }
}
