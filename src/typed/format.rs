//! Identity of archived types: their descriptions, and rkyv's settings, which change how the same
//! type is archived.

use std::mem::{align_of, size_of};

use rkyv::Archived;

use super::Message;
use crate::describe::{Described, Describer, Format, Structure, describe};
use crate::error::SendError;
use crate::queue::{Description, Schema};

/// Versions of rkyv with the same first two numbers promise the same format. rkyv does not export
/// its version; this is the one that `Cargo.toml` requires.
const SERIES: (u8, u8) = (0, 8);

/// The rkyv format in force, probed by archiving a value.
fn format() -> Format {
    // Archiving two bytes cannot fail.
    let big_endian = rkyv::to_bytes::<rkyv::rancor::Error>(&1_u16).is_ok_and(|bytes| bytes[..] == [0, 1]);
    let unaligned = align_of::<Archived<u64>>() == 1;
    Format::new(SERIES, big_endian, unaligned, size_of::<Archived<usize>>() as u8)
}

/// The schema that is recorded for messages of type `T`.
pub(super) fn schema<T: Message>() -> Schema {
    let Described { name, text, is_inline, is_recursive } = describe::<T::Archived>();
    Schema {
        name,
        version: <T::Archived as Structure>::VERSION,
        text: text.into(),
        size: size_of::<T::Archived>() as u64,
        align: align_of::<T::Archived>() as u64,
        is_inline,
        is_recursive,
        format: format(),
    }
}

/// The type that a producer is known to be allowed to send: that of the queue, or one that was compared.
///
/// A type that borrows has no `TypeId`. The function that describes it stands for it: two types
/// that share one are described by the same code, and so have the same description.
#[derive(Clone, Copy)]
pub(super) struct Known(fn(&mut Describer));

impl Known {
    pub(super) fn of<T: Message>() -> Self {
        Self(<T::Archived as Structure>::describe)
    }

    #[inline]
    pub(super) fn is<T: Message>(self) -> bool {
        std::ptr::fn_addr_eq(self.0, <T::Archived as Structure>::describe as fn(&mut Describer))
    }

    /// `T`, if a queue of this schema holds such messages.
    #[cold]
    pub(super) fn compared<T: Message>(queue: &Schema) -> Result<Self, SendError> {
        match queue.difference(&schema::<T>()) {
            None => Ok(Self::of::<T>()),
            Some(mismatch) => Err(SendError::WrongSchema { mismatch }),
        }
    }
}

impl Description {
    /// Creates the description of messages of type `T` in this program.
    pub fn of<T: Message>() -> Self {
        Self::from_schema(&schema::<T>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_in_force_is_described() {
        assert_eq!(format().to_string(), "rkyv 0.8, little-endian, aligned, 32-bit pointers");
    }

    #[test]
    fn the_series_is_the_one_that_is_built_with() {
        let manifest = include_str!("../../Cargo.toml");
        assert!(manifest.contains(&format!("\nrkyv = \"{}.{}.", SERIES.0, SERIES.1)));
    }
}
