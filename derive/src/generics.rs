//! The bounds under which a generic type's archive describes itself.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Field, GenericParam, Generics, WherePredicate, parse_quote};

use crate::attributes::{FieldAttributes, TypeAttributes};

/// The generics of the implementation: the type's own, and the bounds of its archive and of `Structure`.
pub(crate) fn with_bounds(input: &DeriveInput, attributes: &TypeAttributes) -> Result<Generics, Error> {
    let mut generics = input.generics.clone();
    if generics.params.is_empty() {
        return Ok(generics);
    }
    let krate = &attributes.krate;
    let archive = quote!(#krate::schema::hidden::Archive);
    let archive_with = quote!(#krate::schema::hidden::ArchiveWith);
    let structure = quote!(#krate::schema::Structure);
    let types: Vec<_> = input.generics.type_params().map(|parameter| parameter.ident.clone()).collect();
    let clause = generics.make_where_clause();
    for ty in types {
        match attributes.is_archived {
            true => clause.predicates.push(parse_quote!(#ty: #structure)),
            false => {
                clause.predicates.push(parse_quote!(#ty: #archive));
                clause.predicates.push(parse_quote!(<#ty as #archive>::Archived: #structure));
            }
        }
    }
    clause.predicates.extend(attributes.bounds.iter().cloned());
    clause.predicates.extend(attributes.archive_bounds.iter().cloned());
    if !attributes.is_archived {
        // rkyv itself requires the first bound of each pair for the archive; the compiler then
        // knows of a field's archive only the bounds that are given here.
        for field in fields(&input.data) {
            let found = FieldAttributes::of(field)?;
            if found.omit_bounds {
                continue;
            }
            let ty = &field.ty;
            let (archived, condition): (_, WherePredicate) = match &found.with {
                Some(with) => {
                    (quote!(<#with as #archive_with<#ty>>::Archived), parse_quote!(#with: #archive_with<#ty>))
                }
                None => (quote!(<#ty as #archive>::Archived), parse_quote!(#ty: #archive)),
            };
            clause.predicates.push(condition);
            if found.opaque.is_none() {
                clause.predicates.push(parse_quote!(#archived: #structure));
            }
        }
    }
    Ok(generics)
}

/// The arguments in the mention of a type: functions that mention each parameter.
pub(crate) fn arguments(input: &DeriveInput, attributes: &TypeAttributes) -> TokenStream {
    let krate = &attributes.krate;
    let describer = quote!(#krate::schema::Describer);
    let arguments = input.generics.params.iter().filter_map(|parameter| match parameter {
        GenericParam::Lifetime(_) => None,
        GenericParam::Type(ty) => {
            let ty = &ty.ident;
            Some(match attributes.is_archived {
                true => quote!(#describer::mention::<#ty>),
                false => {
                    quote!(#describer::mention::<<#ty as #krate::schema::hidden::Archive>::Archived>)
                }
            })
        }
        GenericParam::Const(constant) => {
            let constant = &constant.ident;
            Some(quote!(|describer: &mut #describer| describer.constant(#constant)))
        }
    });
    quote!(&[#(#arguments),*])
}

fn fields(data: &Data) -> Vec<&Field> {
    match data {
        Data::Struct(data) => data.fields.iter().collect(),
        Data::Enum(data) => data.variants.iter().flat_map(|variant| &variant.fields).collect(),
        Data::Union(_) => Vec::new(),
    }
}
