//! The parts of a description: fields of structs and variants of enums.

use super::{Describer, Structure};

/// Collects the fields of a struct, or of a variant of an enum.
#[doc(hidden)]
pub struct Fields<'d> {
    describer: &'d mut Describer,
    /// The offset at which the next field of a variant could begin.
    end: Option<usize>,
}

impl<'d> Fields<'d> {
    pub(super) fn of_struct(describer: &'d mut Describer) -> Self {
        Self { describer, end: None }
    }

    /// Adds a field of a struct.
    pub fn field<T, F: Structure>(&mut self, name: &str, offset: usize, _: impl Fn(&T) -> &F) {
        self.put(name, offset, Describer::mention::<F>);
    }

    /// Adds a field of a struct whose type does not describe itself.
    pub fn opaque<T, F>(
        &mut self,
        name: &str,
        offset: usize,
        ty: &str,
        is_inline: bool,
        _: impl Fn(&T) -> &F,
    ) {
        self.put(name, offset, |describer| match is_inline {
            true => describer.inline::<F>(ty),
            false => describer.out_of_line::<F>(ty),
        });
    }

    /// Adds the next field of a variant.
    pub fn next<T, F: Structure>(&mut self, name: &str, _: impl Fn(&T) -> &F) {
        let offset = self.place::<F>();
        self.put(name, offset, Describer::mention::<F>);
    }

    /// Adds the next field of a variant, whose type does not describe itself.
    pub fn next_opaque<T, F>(&mut self, name: &str, ty: &str, is_inline: bool, access: impl Fn(&T) -> &F) {
        let offset = self.place::<F>();
        self.opaque(name, offset, ty, is_inline, access);
    }

    /// The offset of the next field. A variant of an enum with `repr(u8)` has the layout of a
    /// `repr(C)` struct whose first field is the tag (Rust reference, "Primitive representation of
    /// enums with fields").
    fn place<F>(&mut self) -> usize {
        let offset = self.end.unwrap_or(0).next_multiple_of(align_of::<F>());
        self.end = Some(offset + size_of::<F>());
        offset
    }

    fn put(&mut self, name: &str, offset: usize, mention: impl FnOnce(&mut Describer)) {
        self.describer.put_mention(&format!("{name}: "), mention, &format!(" at offset {offset}"));
    }
}

/// Collects the variants of an enum.
#[doc(hidden)]
pub struct Variants<'d> {
    describer: &'d mut Describer,
}

impl<'d> Variants<'d> {
    pub(super) fn new(describer: &'d mut Describer) -> Self {
        Self { describer }
    }

    /// Adds a variant. Its fields follow a tag of one byte.
    pub fn variant(&mut self, name: &str, discriminant: i16, fields: impl FnOnce(&mut Fields<'_>)) {
        self.describer.put(&format!("variant {name} = {discriminant}"));
        self.describer.indented(|describer| fields(&mut Fields { describer, end: Some(1) }));
    }
}
