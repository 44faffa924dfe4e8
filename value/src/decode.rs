//! Decodes values from the bytes of an archive. The bytes are arbitrary: each access is checked,
//! and depth, values and bytes are limited, so that pointers may lead anywhere, also in circles.

use crate::description::{Field, Shape, short};
use crate::limits::{LONGEST_ADDRESS, Limits, TOO_MANY};
use crate::scalars::{scalar, unsigned};
use crate::types::{Choice, Id, Kind, Order, Types, Zero};
use crate::value::{Body, Part, Value};

/// Why the bytes are not a value of their type.
pub(super) type Failure = &'static str;

pub(super) const OUTSIDE: Failure = "it reaches beyond the message";

/// Decodes one message.
pub(super) struct Decoder<'t, 'd> {
    pub(super) types: &'t Types<'d>,
    pub(super) payload: &'t [u8],
    limits: Limits,
    values_left: usize,
    bytes_left: usize,
    heap_left: Option<usize>,
}

impl<'t, 'd> Decoder<'t, 'd> {
    pub(super) fn new(types: &'t Types<'d>, payload: &'t [u8], limits: Limits) -> Self {
        Self {
            types,
            payload,
            limits,
            values_left: limits.values,
            bytes_left: limits.bytes,
            heap_left: limits.heap,
        }
    }

    /// Decodes the message itself, which is at the end of its bytes. `None` if there are too few
    /// bytes.
    pub(super) fn root(&mut self) -> Option<Value<'d>> {
        let at = self.payload.len().checked_sub(self.types.layout.size)?;
        Some(self.value(self.types.root, at, 0))
    }

    /// Decodes the value of a type at offset `at`.
    pub(super) fn value(&mut self, ty: Id, at: usize, depth: usize) -> Value<'d> {
        self.values_left = self.values_left.saturating_sub(1);
        if depth > self.limits.depth {
            return Value::Deeper;
        }
        self.try_value(ty, at, depth).unwrap_or_else(|why| self.raw(ty, at, Some(why)))
    }

    fn try_value(&mut self, ty: Id, at: usize, depth: usize) -> Result<Value<'d>, Failure> {
        let types = self.types;
        let node = types.node(ty);
        let size = node.layout.map_or(0, |layout| layout.size);
        let bytes = self.bytes(at, size)?;
        Ok(match &node.kind {
            Kind::String => self.string(at)?,
            Kind::CString => self.c_string(at)?,
            Kind::Vec(element) => {
                let len = self.word(at + 4)? as usize;
                let start = if len == 0 { at } else { self.target(at)? };
                self.list(*element, start, len, depth)?
            }
            Kind::Array(element, len) => self.list(*element, at, *len, depth)?,
            Kind::Tuple(fields) => Value::Tuple(self.all(fields.len(), |this, i| {
                let (offset, ty) = fields[i];
                this.value(ty, at + offset, depth + 1)
            })),
            Kind::Entry(fields) => Value::Struct(
                "Entry",
                Body::Fields(self.all(2, |this, i| {
                    let (offset, ty) = fields[i];
                    (["key", "value"][i], this.value(ty, at + offset, depth + 1))
                })),
            ),
            Kind::Choice(choice, fields) => self.choice(*choice, fields, at, depth)?,
            Kind::Range { start, sign, end } => {
                self.take_heap::<Value<'_>>(2)?;
                let mut bound = |place: &Option<(usize, Id)>| {
                    place.map(|(offset, ty)| Box::new(self.value(ty, at + offset, depth + 1)))
                };
                Value::Range { start: bound(start), sign, end: bound(end) }
            }
            Kind::Pointer { to, may_be_none } => match self.follow(at)? {
                None if *may_be_none => Value::None,
                _ => self.pointee(*to, at, depth)?,
            },
            Kind::Niche(of) => match self.is_none(*of, at)? {
                true => Value::None,
                false => self.value(*of, at, depth + 1),
            },
            Kind::Map(table, key, value) => self.map(*table, *key, *value, at, depth)?,
            Kind::Defined(definition) => self.defined(*definition, at, depth)?,
            Kind::Opaque => self.raw(ty, at, None),
            Kind::Str | Kind::CStr | Kind::Slice(_) | Kind::Unknown => {
                return Err("this version does not know the type");
            }
            plain => {
                if matches!(plain, Kind::Address(_)) {
                    self.take_heap::<u8>(LONGEST_ADDRESS)?;
                }
                scalar(plain, bytes)?
            }
        })
    }

    /// Decodes a struct or an enum.
    fn defined(&mut self, at_definition: usize, at: usize, depth: usize) -> Result<Value<'d>, Failure> {
        let types = self.types;
        let definition = &types.definitions[at_definition];
        match &definition.shape {
            Shape::Struct(fields) => {
                let name = self.name(definition.name);
                Ok(Value::Struct(name, self.body(fields, at, depth)))
            }
            Shape::Enum(variants) => {
                let tag = *self.bytes(at, 1)?.first().ok_or(OUTSIDE)?;
                let variant = variants.iter().find(|variant| variant.tag == tag);
                let variant = variant.ok_or("no variant has its tag")?;
                let name = self.name(variant.name);
                // A variant within its enum counts as one level deeper, as it is in JSON.
                Ok(Value::Variant(name, self.body(&variant.fields, at, depth + 1)))
            }
        }
    }

    /// Decodes fields whose offsets count from `at`. That they fit was checked with the
    /// description.
    fn body(&mut self, fields: &[Field<'d>], at: usize, depth: usize) -> Body<'d> {
        let Some(first) = fields.first() else { return Body::Empty };
        if first.name == "0" {
            return Body::Tuple(
                self.all(fields.len(), |this, i| this.value(fields[i].ty, at + fields[i].offset, depth + 1)),
            );
        }
        Body::Fields(self.all(fields.len(), |this, i| {
            let field = &fields[i];
            (this.name(field.name), this.value(field.ty, at + field.offset, depth + 1))
        }))
    }

    /// Decodes `count` values, or as many of them as may be shown; none if they need too much memory.
    pub(super) fn all<T>(&mut self, count: usize, mut value: impl FnMut(&mut Self, usize) -> T) -> Part<T> {
        let Ok(mut items) = self.room_for(count) else {
            return Part { items: Vec::new(), more: count as u64 };
        };
        while items.len() < count && !self.is_spent() {
            items.push(value(self, items.len()));
        }
        let more = (count - items.len()) as u64;
        Part { items, more }
    }

    /// Room for exactly `count` items, if they are all to be decoded: what is counted is what is
    /// allocated. Otherwise the room grows with what is shown.
    pub(super) fn room_for<T>(&mut self, count: usize) -> Result<Vec<T>, Failure> {
        self.take_heap::<T>(count)?;
        Ok(if self.heap_left.is_some() { Vec::with_capacity(count) } else { Vec::new() })
    }

    /// Counts the memory of `count` items.
    fn take_heap<T>(&mut self, count: usize) -> Result<(), Failure> {
        let Some(left) = self.heap_left else { return Ok(()) };
        let rest = count.checked_mul(size_of::<T>()).and_then(|wanted| left.checked_sub(wanted));
        if rest.is_none() {
            // The message is refused: nothing else of it needs to be decoded.
            self.values_left = 0;
        }
        self.heap_left = Some(rest.ok_or(TOO_MANY)?);
        Ok(())
    }

    /// Whether the limits are reached.
    pub(super) fn is_spent(&self) -> bool {
        self.values_left == 0 || self.bytes_left == 0
    }

    /// As many of `wanted` bytes as may still be shown.
    pub(super) fn spend(&mut self, wanted: usize) -> usize {
        let granted = wanted.min(self.bytes_left);
        self.bytes_left -= granted;
        granted
    }

    fn name(&mut self, name: &'d str) -> &'d str {
        let name = short(name);
        if self.limits.counts_names {
            self.spend(name.len());
        }
        name
    }

    /// Decodes a list whose elements follow one another.
    pub(super) fn list(
        &mut self,
        element: Id,
        start: usize,
        len: usize,
        depth: usize,
    ) -> Result<Value<'d>, Failure> {
        let types = self.types;
        let node = types.node(element);
        let size = node.layout.ok_or("the size of its elements is not known")?.size;
        let bytes = self.bytes(start, len.checked_mul(size).ok_or(OUTSIDE)?)?;
        if let Kind::Integer { signed: false, zero: Zero::Number, .. } = node.kind
            && size == 1
        {
            return Ok(self.byte_list(bytes));
        }
        let elements =
            self.all(len, |this, i| this.value(element, start.saturating_add(i * size), depth + 1));
        Ok(Value::List(elements))
    }

    /// Each byte counts as several: bytes are shown as numbers.
    fn byte_list(&mut self, bytes: &[u8]) -> Value<'d> {
        let shown = self.spend(bytes.len().saturating_mul(4)).div_ceil(4);
        Value::Bytes(Part { items: bytes[..shown].to_vec(), more: (bytes.len() - shown) as u64 })
    }

    /// Decodes an `Option`, a `Result` or a `Bound`.
    fn choice(
        &mut self,
        choice: Choice,
        fields: &[Option<(usize, Id)>],
        at: usize,
        depth: usize,
    ) -> Result<Value<'d>, Failure> {
        let tag = usize::from(*self.bytes(at, 1)?.first().ok_or(OUTSIDE)?);
        let names = match choice {
            Choice::Option => ["None", "Some", ""],
            Choice::Result => ["Ok", "Err", ""],
            Choice::Bound => ["Included", "Excluded", "Unbounded"],
        };
        let field = *fields.get(tag).ok_or("no variant has its tag")?;
        Ok(match (choice, field) {
            (Choice::Option, None) => Value::None,
            (Choice::Option, Some((offset, ty))) => self.value(ty, at + offset, depth + 1),
            (_, None) => Value::Variant(names[tag], Body::Empty),
            (_, Some((offset, ty))) => {
                let body = self.all(1, |this, _| this.value(ty, at + offset, depth + 2));
                Value::Variant(names[tag], Body::Tuple(body))
            }
        })
    }

    /// Whether the bytes are the value that means `None`.
    fn is_none(&self, of: Id, at: usize) -> Result<bool, Failure> {
        let node = self.types.node(of);
        let bytes = self.bytes(at, node.layout.map_or(0, |layout| layout.size))?;
        match node.kind {
            Kind::Bool => Ok(bytes.iter().all(|byte| *byte > 1)),
            Kind::Integer { zero: Zero::Impossible, .. } => Ok(bytes.iter().all(|byte| *byte == 0)),
            Kind::Float(order) if bytes.len() == 4 => {
                Ok(f32::from_bits(unsigned(bytes, order) as u32).is_nan())
            }
            Kind::Float(order) => Ok(f64::from_bits(unsigned(bytes, order) as u64).is_nan()),
            Kind::Pointer { may_be_none: false, .. } => Ok(self.follow(at)?.is_none()),
            _ => Err("this version does not know which of its values means none"),
        }
    }

    /// The bytes of a value that is not decoded.
    fn raw(&mut self, ty: Id, at: usize, why: Option<Failure>) -> Value<'d> {
        let node = self.types.node(ty);
        let size = node.layout.map_or(0, |layout| layout.size);
        let there = self.payload.get(at..).unwrap_or_default();
        let there = &there[..size.min(there.len())];
        let shown = self.spend(there.len().min(self.limits.raw));
        let bytes = Part { items: there[..shown].to_vec(), more: (there.len() - shown) as u64 };
        Value::Raw { ty: self.name(node.name), bytes, why }
    }

    /// Bytes of the message.
    pub(super) fn bytes(&self, at: usize, len: usize) -> Result<&'t [u8], Failure> {
        let end = at.checked_add(len).ok_or(OUTSIDE)?;
        self.payload.get(at..end).ok_or(OUTSIDE)
    }

    /// Decodes a length.
    pub(super) fn word(&self, at: usize) -> Result<u32, Failure> {
        let bytes = self.bytes(at, 4)?;
        Ok(unsigned(bytes, Order::Little) as u32)
    }

    /// Where a relative pointer leads; `None` if it is marked as leading nowhere.
    pub(super) fn follow(&self, at: usize) -> Result<Option<usize>, Failure> {
        match self.word(at)?.cast_signed() {
            1 => Ok(None),
            offset => {
                let to = at.checked_add_signed(offset as isize).filter(|to| *to <= self.payload.len());
                to.map(Some).ok_or("it points to a place outside of the message")
            }
        }
    }

    /// Where a relative pointer leads that must lead somewhere.
    pub(super) fn target(&self, at: usize) -> Result<usize, Failure> {
        self.follow(at)?.ok_or("it points nowhere")
    }
}
