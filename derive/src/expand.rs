//! Generates the implementation of `Structure` for the archive of a type.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::{Attribute, Data, DataEnum, DeriveInput, Error, Fields, Ident, Member, Variant};

use crate::attributes::{FieldAttributes, TypeAttributes, refuse};
use crate::generics::{arguments, with_bounds};

/// Implements `Structure` for the archived type.
pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream, Error> {
    let attributes = TypeAttributes::of(input)?;
    let archive = match (&attributes.archive, attributes.is_archived) {
        (_, true) => input.ident.clone(),
        (Some(name), false) => name.clone(),
        (None, false) => format_ident!("Archived{}", input.ident.unraw(), span = input.ident.span()),
    };
    let name = attributes.name.clone().unwrap_or_else(|| input.ident.unraw().to_string());
    let arguments = arguments(input, &attributes);
    let body = match &input.data {
        Data::Struct(data) => {
            let fields = fields(&data.fields)?;
            quote!(describer.structure::<Self, Identity>(#name, #arguments, |fields| { #fields });)
        }
        Data::Enum(data) => {
            let variants = variants(data, &tag(&input.attrs, attributes.is_archived, data)?)?;
            quote!(describer.enumeration::<Self, Identity>(#name, #arguments, |variants| { #variants });)
        }
        Data::Union(_) => {
            return Err(Error::new_spanned(
                &input.ident,
                "a union is no message: rkyv has no archive for it",
            ));
        }
    };
    let generics = with_bounds(input, &attributes)?;
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let (_, ty_generics, _) = input.generics.split_for_impl();
    let (krate, version) = (&attributes.krate, attributes.version);
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics #krate::schema::Structure for #archive #ty_generics #where_clause {
            const VERSION: u32 = #version;

            fn describe(describer: &mut #krate::schema::Describer) {
                struct Identity;
                #body
            }
        }
    })
}

/// The fields of a struct, at their offsets. The compiler infers their types from the field accesses.
fn fields(fields: &Fields) -> Result<TokenStream, Error> {
    let mut lines = TokenStream::new();
    for (field, member) in fields.iter().zip(fields.members()) {
        let name = name_of(&member);
        let offset = quote!(::core::mem::offset_of!(Self, #member));
        let access = quote!(|archive: &Self| &archive.#member);
        lines.extend(match FieldAttributes::of(field)?.opaque {
            None => quote!(fields.field(#name, #offset, #access);),
            Some((ty, inline)) => quote!(fields.opaque(#name, #offset, #ty, #inline, #access);),
        });
    }
    if lines.is_empty() {
        lines = quote!(let _ = fields;);
    }
    Ok(lines)
}

/// The variants of an enum. Each discriminant is one more than the one before, unless it is given.
fn variants(data: &DataEnum, tag: &Ident) -> Result<TokenStream, Error> {
    let mut lines = TokenStream::new();
    let mut before: Option<Ident> = None;
    for (i, variant) in data.variants.iter().enumerate() {
        refuse(&variant.attrs)?;
        let constant = format_ident!("TAG_{i}");
        let value = match (&variant.discriminant, &before) {
            (Some((_, expression)), _) => quote!(#expression),
            (None, Some(before)) => quote!(#before + 1),
            (None, None) => quote!(0),
        };
        let name = variant.ident.unraw().to_string();
        let fields = variant_fields(variant)?;
        lines.extend(quote! {
            const #constant: #tag = #value;
            variants.variant(#name, #constant as i16, |fields| { #fields });
        });
        before = Some(constant);
    }
    if lines.is_empty() {
        lines = quote!(let _ = variants;);
    }
    Ok(lines)
}

fn variant_fields(variant: &Variant) -> Result<TokenStream, Error> {
    let mut lines = TokenStream::new();
    let ident = &variant.ident;
    for (field, member) in variant.fields.iter().zip(variant.fields.members()) {
        let name = name_of(&member);
        let access = quote! {
            |archive: &Self| match archive {
                Self::#ident { #member: field, .. } => field,
                #[allow(unreachable_patterns)]
                _ => ::core::unreachable!(),
            }
        };
        lines.extend(match FieldAttributes::of(field)?.opaque {
            None => quote!(fields.next(#name, #access);),
            Some((ty, inline)) => quote!(fields.next_opaque(#name, #ty, #inline, #access);),
        });
    }
    if lines.is_empty() {
        lines = quote!(let _ = fields;);
    }
    Ok(lines)
}

fn name_of(member: &Member) -> String {
    match member {
        Member::Named(ident) => ident.unraw().to_string(),
        Member::Unnamed(index) => index.index.to_string(),
    }
}

/// The type of the tag: rkyv generates `repr(u8)` enums; enums that are their own archive declare
/// it themselves.
fn tag(attributes: &[Attribute], is_archived: bool, data: &DataEnum) -> Result<Ident, Error> {
    let mut tag = Ident::new("u8", Span::call_site());
    if !is_archived {
        return Ok(tag);
    }
    let has_fields = data.variants.iter().any(|variant| !variant.fields.is_empty());
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("repr")) {
        attribute.parse_nested_meta(|meta| match meta.path.get_ident() {
            Some(ident) if ident == "i8" || ident == "u8" => {
                tag = ident.clone();
                Ok(())
            }
            Some(ident) if ident == "C" && has_fields => {
                Err(meta
                    .error("fields of a `repr(C)` enum stand elsewhere than ringway knows: use `repr(u8)`"))
            }
            _ => meta.input.step(|cursor| Ok(((), cursor.token_tree().map_or(*cursor, |(_, rest)| rest)))),
        })?;
    }
    Ok(tag)
}
