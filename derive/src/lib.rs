//! The derive macro of `ringway`. Use it from there: `ringway::Message`.
#![forbid(unsafe_code)]

#[cfg(test)]
use ringway_bound as _;

mod attributes;
mod expand;
mod generics;
#[cfg(test)]
mod tests;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes a type usable as a message: describes its rkyv archive, so that a program whose type
/// differs gets an error that names the field, when it opens the queue.
///
/// It is used together with rkyv's derives, and reads those of their `#[rkyv(..)]` attributes that
/// affect the archive.
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
/// - `#[ringway(version = 2)]`: a number of your own, from 1 to 4294967295, for changes of meaning
///   that leave the archive as it is. A program cannot open a queue of another version; the error
///   names both numbers.
/// - `#[ringway(name = "Tick")]`: the name to compare, instead of the type's own. Modules and
///   crates are never part of it.
/// - `#[ringway(archived)]`: the type is no message, but itself an archived type, written by hand
///   (`Portable`).
/// - `#[ringway(bounds(..))]`: more bounds for a generic type.
/// - `#[ringway(crate = path)]`: the path of the crate `ringway`.
///
/// # Attributes of fields
///
/// - `#[ringway(opaque = "Uuid")]`: a field whose archive has a foreign type that does not describe
///   itself. Only this name, its size and its alignment are compared.
/// - `#[ringway(opaque = "Uuid", inline)]`: the same, and it refers to no bytes elsewhere in the message.
///
/// # What it refuses
///
/// ```compile_fail
/// // It has no rkyv archive.
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
