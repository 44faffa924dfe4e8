//! Parses `#[ringway(..)]`, and the parts of `#[rkyv(..)]` that matter here.

use proc_macro2::Delimiter;
use syn::meta::ParseNestedMeta;
use syn::punctuated::Punctuated;
use syn::{
    Attribute, DeriveInput, Error, Field, Ident, LitInt, LitStr, Path, Token, Type, WherePredicate,
    parenthesized, parse_quote,
};

/// A list of bounds, as written in an attribute.
type Bounds = Vec<WherePredicate>;

/// Attributes of a type.
pub(crate) struct TypeAttributes {
    pub(crate) version: u32,
    pub(crate) name: Option<String>,
    /// The type is its own archive.
    pub(crate) is_archived: bool,
    pub(crate) bounds: Bounds,
    pub(crate) krate: Path,
    /// The name of its archive.
    pub(crate) archive: Option<Ident>,
    pub(crate) archive_bounds: Bounds,
}

impl TypeAttributes {
    pub(crate) fn of(input: &DeriveInput) -> Result<Self, Error> {
        let mut found = Self {
            version: 0,
            name: None,
            is_archived: false,
            bounds: Vec::new(),
            krate: parse_quote!(::ringway),
            archive: None,
            archive_bounds: Vec::new(),
        };
        for attribute in &input.attrs {
            if attribute.path().is_ident("ringway") {
                attribute.parse_nested_meta(|meta| found.read(&meta))?;
            } else if attribute.path().is_ident("rkyv") {
                attribute.parse_nested_meta(|meta| found.read_rkyv(&meta, &input.ident))?;
            }
        }
        Ok(found)
    }

    fn read(&mut self, meta: &ParseNestedMeta<'_>) -> Result<(), Error> {
        if meta.path.is_ident("version") {
            let number: LitInt = meta.value()?.parse()?;
            self.version = number.base10_parse()?;
            if self.version == 0 {
                return Err(Error::new(number.span(), "versions begin at 1: 0 means that there is none"));
            }
        } else if meta.path.is_ident("name") {
            self.name = Some(name(&meta.value()?.parse()?)?);
        } else if meta.path.is_ident("archived") {
            self.is_archived = true;
        } else if meta.path.is_ident("bounds") {
            self.bounds = bounds(meta)?;
        } else if meta.path.is_ident("crate") {
            self.krate = meta.value()?.call(Path::parse_mod_style)?;
        } else {
            return Err(meta.error("expected `version`, `name`, `archived`, `bounds` or `crate`"));
        }
        Ok(())
    }

    fn read_rkyv(&mut self, meta: &ParseNestedMeta<'_>, ident: &Ident) -> Result<(), Error> {
        if meta.path.is_ident("archived") {
            self.archive = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("archive_bounds") {
            self.archive_bounds = bounds(meta)?;
        } else if meta.path.is_ident("as") {
            let ty: Type = meta.value()?.parse()?;
            self.is_archived = matches!(&ty, Type::Path(path)
                if path.path.segments.last().is_some_and(|last| last.ident == "Self" || last.ident == *ident));
            if !self.is_archived {
                return Err(Error::new_spanned(
                    ty,
                    "this type is archived as another one: derive `ringway::Message` on that, with \
                     `#[ringway(archived)]`, and not here",
                ));
            }
        } else {
            skip(meta)?;
        }
        Ok(())
    }
}

/// Attributes of a field.
#[derive(Default)]
pub(crate) struct FieldAttributes {
    /// The name for a type that does not describe itself, and whether it is inline.
    pub(crate) opaque: Option<(String, bool)>,
    pub(crate) with: Option<Type>,
    pub(crate) omit_bounds: bool,
}

impl FieldAttributes {
    pub(crate) fn of(field: &Field) -> Result<Self, Error> {
        let mut found = Self::default();
        let mut is_inline = None;
        for attribute in &field.attrs {
            if attribute.path().is_ident("ringway") {
                attribute.parse_nested_meta(|meta| {
                    if meta.path.is_ident("opaque") {
                        found.opaque = Some((name(&meta.value()?.parse()?)?, false));
                    } else if meta.path.is_ident("inline") {
                        is_inline = Some(meta.path);
                    } else {
                        return Err(meta.error("expected `opaque` or `inline`"));
                    }
                    Ok(())
                })?;
            } else if attribute.path().is_ident("rkyv") {
                attribute.parse_nested_meta(|meta| found.read_rkyv(&meta))?;
            }
        }
        match (&mut found.opaque, is_inline) {
            (Some(opaque), Some(_)) => opaque.1 = true,
            (None, Some(path)) => {
                return Err(Error::new_spanned(path, "`inline` goes with `opaque = \"name\"`"));
            }
            (_, None) => {}
        }
        Ok(found)
    }

    fn read_rkyv(&mut self, meta: &ParseNestedMeta<'_>) -> Result<(), Error> {
        if meta.path.is_ident("with") {
            self.with = Some(meta.value()?.parse()?);
        } else if meta.path.is_ident("omit_bounds") {
            self.omit_bounds = true;
        } else {
            skip(meta)?;
        }
        Ok(())
    }
}

/// Refuses `#[ringway(..)]` on variants, which have no such attributes.
pub(crate) fn refuse(attributes: &[Attribute]) -> Result<(), Error> {
    match attributes.iter().find(|attribute| attribute.path().is_ident("ringway")) {
        None => Ok(()),
        Some(found) => Err(Error::new_spanned(found, "variants have no `ringway` attributes")),
    }
}

fn name(literal: &LitStr) -> Result<String, Error> {
    let name = literal.value();
    if name.trim().is_empty() || name.chars().any(char::is_control) {
        return Err(Error::new(literal.span(), "a name is not empty and has no control characters"));
    }
    Ok(name)
}

fn bounds(meta: &ParseNestedMeta<'_>) -> Result<Bounds, Error> {
    let content;
    parenthesized!(content in meta.input);
    let bounds: Punctuated<WherePredicate, Token![,]> = Punctuated::parse_terminated(&content)?;
    Ok(bounds.into_iter().collect())
}

/// Skips an attribute of rkyv's that has no effect here. rkyv checks it.
fn skip(meta: &ParseNestedMeta<'_>) -> Result<(), Error> {
    if meta.input.peek(Token![=]) {
        // Names and paths are types as well.
        return meta.value()?.parse::<Type>().map(|_| ());
    }
    // A list in parentheses, or nothing.
    meta.input
        .step(|cursor| Ok(((), cursor.group(Delimiter::Parenthesis).map_or(*cursor, |(.., rest)| rest))))
}
