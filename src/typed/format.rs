//! Identity of archived types: a name, and rkyv's format settings, which change how the same type is archived.

use std::mem::{align_of, size_of};

use rkyv::Archived;

use crate::queue::Schema;

const PRESENT: u64 = 1 << 0;
const BIG_ENDIAN: u64 = 1 << 1;
const UNALIGNED: u64 = 1 << 2;
/// Bytes of an archived `usize`, from bit 8.
const POINTER_SHIFT: u32 = 8;

/// The rkyv format features in force, probed from what rkyv makes of them.
pub(super) fn format_bits() -> u64 {
    // Archiving two bytes cannot fail.
    let big_endian = rkyv::to_bytes::<rkyv::rancor::Error>(&1_u16).is_ok_and(|bytes| bytes[..] == [0, 1]);
    let unaligned = align_of::<Archived<u64>>() == 1;
    let pointer = size_of::<Archived<usize>>() as u64;
    PRESENT
        | if big_endian { BIG_ENDIAN } else { 0 }
        | if unaligned { UNALIGNED } else { 0 }
        | pointer << POINTER_SHIFT
}

fn describe(bits: u64) -> String {
    if bits & PRESENT == 0 {
        return "none".into();
    }
    let endian = if bits & BIG_ENDIAN != 0 { "big" } else { "little" };
    let aligned = if bits & UNALIGNED != 0 { "unaligned" } else { "aligned" };
    format!("{endian}-endian, {aligned}, {}-bit pointers", (bits >> POINTER_SHIFT) * 8)
}

/// What is recorded for messages of type `T`.
pub(super) fn schema<T: rkyv::Archive>() -> Schema {
    Schema {
        name: without_paths(std::any::type_name::<T>()),
        size: size_of::<T::Archived>() as u64,
        align: align_of::<T::Archived>() as u64,
        format: format_bits(),
        describe_format: describe,
    }
}

/// `a::b::C<d::E>` becomes `C<E>`: the same type may live at different paths in different programs.
fn without_paths(name: &str) -> String {
    let mut short = String::new();
    let mut word = String::new();
    for character in name.chars() {
        if character.is_alphanumeric() || character == '_' {
            word.push(character);
        } else if character == ':' {
            word.clear();
        } else {
            short.push_str(&word);
            word.clear();
            short.push(character);
        }
    }
    short + &word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_do_not_count() {
        assert_eq!(without_paths("producer::Tick"), "Tick");
        assert_eq!(
            without_paths("std::collections::HashMap<alloc::string::String, (a::B, [c::D; 4])>"),
            "HashMap<String, (B, [D; 4])>"
        );
        assert_eq!(without_paths("&'static str"), "&'static str");
        assert_eq!(without_paths("u64"), "u64");
    }

    #[test]
    fn the_format_in_force_is_described() {
        assert_eq!(describe(format_bits()), "little-endian, aligned, 32-bit pointers");
    }
}
