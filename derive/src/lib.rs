//! The derive macro of `ringway`. Use it from there: `ringway::Message`.
#![forbid(unsafe_code)]

mod attributes;
mod expand;
mod generics;
#[cfg(test)]
mod tests;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes a type fit to be a message: says what its rkyv archive looks like, so that programs whose types differ are told in
/// which field, when they open the queue.
///
/// It stands beside rkyv's derives, and reads their `#[rkyv(..)]` attributes as far as it must.
///
/// ```
/// #[derive(rkyv::Archive, rkyv::Serialize, ringway::Message)]
/// struct Tick {
///     symbol: String,
///     prices: Vec<f64>,
/// }
///
/// assert_eq!(
///     ringway::schema::Description::of::<Tick>().text(),
///     "message Tick\n  struct Tick\n    symbol: String at offset 0\n    prices: Vec<f64> at offset 8\n    \
///      size 16, alignment 4\n  size 16, alignment 4\n"
/// );
/// ```
///
/// # Attributes of the type
///
/// - `#[ringway(version = 2)]`: a number of your own, from 1 to 4294967295, for changes of meaning that leave the shape as
///   it is. Programs with different versions do not understand one another, and are told both numbers.
/// - `#[ringway(name = "Tick")]`: the name to compare, instead of the type's own. Modules and crates are never part of it.
/// - `#[ringway(archived)]`: the type is no message, but an archived type itself, written by hand (`Portable`).
/// - `#[ringway(bounds(..))]`: more bounds for a generic type.
/// - `#[ringway(crate = path)]`: where `ringway` is.
///
/// # Attributes of fields
///
/// - `#[ringway(opaque = "Uuid")]`: a field whose archive has a foreign type that does not describe itself. Only this name,
///   its size and its alignment are compared.
/// - `#[ringway(opaque = "Uuid", inline)]`: the same, and it refers to no bytes elsewhere in the message.
///
/// # What it refuses
///
/// ```compile_fail
/// // Nobody knows how it is archived.
/// #[derive(ringway::Message)]
/// struct Tick {
///     price: u64,
/// }
/// ```
///
/// ```compile_fail
/// mod foreign {
///     #[derive(rkyv::Archive, rkyv::Serialize)]
///     pub struct Price(pub u64);
/// }
/// // `Price` does not describe itself.
/// #[derive(rkyv::Archive, rkyv::Serialize, ringway::Message)]
/// struct Tick {
///     price: foreign::Price,
/// }
/// ```
///
/// ```compile_fail
/// // Unions are no archives.
/// #[derive(ringway::Message)]
/// union Either {
///     one: u32,
///     other: f32,
/// }
/// ```
#[proc_macro_derive(Message, attributes(ringway))]
pub fn derive_message(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand::expand(&input).unwrap_or_else(|error| error.to_compile_error()).into()
}
