//! The inputs that the macro refuses, and the error messages.

use syn::{DeriveInput, parse_quote};

use crate::expand::expand;

#[track_caller]
fn refused(input: DeriveInput, expected: &str) {
    let error = expand(&input).expect_err("it is wrong").to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn mistakes_are_explained() {
    refused(parse_quote! { #[ringway(version = 0)] struct A; }, "versions begin at 1");
    refused(parse_quote! { #[ringway(version = 5_000_000_000)] struct A; }, "too large");
    refused(parse_quote! { #[ringway(version = "2")] struct A; }, "expected integer literal");
    refused(parse_quote! { #[ringway(verzion = 2)] struct A; }, "expected `version`, `name`");
    refused(parse_quote! { #[ringway(name = " ")] struct A; }, "a name is not empty");
    refused(parse_quote! { #[ringway(name = "a\n  size 1")] struct A; }, "no control characters");
    refused(parse_quote! { union A { a: u8 } }, "a union is no message");
    refused(parse_quote! { #[rkyv(as = other::B)] struct A; }, "this type is archived as another one");
    refused(parse_quote! { struct A { #[ringway(inline)] a: u8 } }, "goes with `opaque");
    refused(parse_quote! { struct A { #[ringway(hidden)] a: u8 } }, "expected `opaque` or `inline`");
    refused(parse_quote! { struct A { #[ringway(opaque = "")] a: u8 } }, "a name is not empty");
    refused(parse_quote! { enum A { #[ringway(name = "B")] C } }, "variants have no `ringway` attributes");
    refused(
        parse_quote! { #[ringway(archived)] #[repr(C, u8)] enum A { B(u32) } },
        "fields of a `repr(C)` enum stand elsewhere",
    );
}

#[test]
fn names_are_those_that_rkyv_gives() {
    for (input, archive) in [
        (parse_quote! { struct Tick { a: u8 } }, "for ArchivedTick"),
        (parse_quote! { struct r#type { a: u8 } }, "for Archivedtype"),
        (parse_quote! { #[rkyv(archived = InFile)] struct Tick; }, "for InFile"),
        (
            parse_quote! { #[rkyv(compare(PartialEq), archived = InFile, derive(Debug))] struct Tick; },
            "for InFile",
        ),
        (parse_quote! { #[rkyv(remote = other::Map<A, B>, archived = InFile)] struct Tick; }, "for InFile"),
        (parse_quote! { #[rkyv(as = Tick<T>)] struct Tick<T>(T); }, "for Tick"),
        (parse_quote! { #[rkyv(as = Self)] struct Tick(u8); }, "for Tick"),
        (parse_quote! { #[ringway(archived)] enum Tick {} }, "for Tick"),
    ] {
        let input: DeriveInput = input;
        let code = expand(&input).unwrap().to_string();
        assert!(code.contains(&format!("{archive} ")), "{code}");
    }
}
