//! Descriptions of message types, as they travel beside the messages.
//!
//! A message of a typed queue carries the first 16 hexadecimal digits of the description's SHA-256. The description itself
//! is stored once, in the stream [`STREAM`], under a subject with the same digits. docs/bridge-format.md has the details.

use std::fmt;
use std::str::FromStr;

use ringway::schema::Description;

/// The stream of descriptions.
pub const STREAM: &str = "RINGWAY_TYPES";

/// The first eight bytes of a description's SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TypeTag([u8; 8]);

impl TypeTag {
    /// The tag of a type; none for a queue of bytes.
    #[must_use]
    pub fn of(description: &Description) -> Option<Self> {
        let print = description.fingerprint();
        (!description.is_bytes()).then(|| Self(std::array::from_fn(|at| print[at])))
    }
}

impl fmt::Display for TypeTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

/// A text that is not a type's tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a type's tag: 16 lower-case hexadecimal digits are expected")]
pub struct InvalidTag;

impl FromStr for TypeTag {
    type Err = InvalidTag;

    fn from_str(text: &str) -> Result<Self, InvalidTag> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != 16 || !text.bytes().all(is_digit) {
            return Err(InvalidTag);
        }
        let number = u64::from_str_radix(text, 16).map_err(|_| InvalidTag)?;
        Ok(Self(number.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_back_and_anything_else_is_refused() {
        let tag = TypeTag::of(&Description::of::<(u32, String)>()).unwrap();
        assert_eq!(tag.to_string().parse(), Ok(tag));
        for wrong in ["", "0", "0123456789abcdeF", "0123456789abcdefg", "+123456789abcdef"] {
            assert_eq!(wrong.parse::<TypeTag>(), Err(InvalidTag), "{wrong}");
        }
    }
}
