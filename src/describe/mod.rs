//! Descriptions of message types. A queue's file carries the description of its message type, so
//! that a program with another type gets an error that names the field that differs. This module
//! handles text and numbers only: no files, and no rkyv.

mod describer;
mod difference;
mod format;
mod sha256;

pub use describer::{Describer, Fields, Structure, Variants};

pub(crate) use describer::{Described, describe};
pub(crate) use difference::Difference;
pub(crate) use format::Format;
pub(crate) use sha256::sha256;

/// Whether these bytes can be a description: lines of text without control characters for a terminal.
pub(crate) fn as_text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let printable = text.chars().all(|character| character == '\n' || is_plain(character));
    (printable && (text.is_empty() || text.ends_with('\n'))).then_some(text)
}

/// Whether a terminal displays the character as it is: it is no control character, is not
/// invisible, and does not change the writing direction.
fn is_plain(character: char) -> bool {
    let is_format = matches!(
        character,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    );
    !character.is_control() && !is_format
}

/// What the first and the last line of a description say, and the version of the type.
pub(crate) struct Frame<'t> {
    pub(crate) name: &'t str,
    pub(crate) version: u32,
    pub(crate) size: u64,
    pub(crate) align: u64,
}

/// The frame of a description; `None` if it has none.
pub(crate) fn frame_of(text: &str) -> Option<Frame<'_>> {
    let name = name_in(text)?;
    let numbers = text.lines().last()?.strip_prefix("  size ")?;
    let (size, align) = numbers.split_once(", alignment ")?;
    let (size, align): (u64, u64) = (size.parse().ok()?, align.parse().ok()?);
    let is_possible = align.is_power_of_two() && size.is_multiple_of(align);
    // A type that has a version is a struct or an enum, and defined in the second line.
    let heading = text.lines().nth(1)?;
    let heading = heading.strip_prefix("  struct ").or_else(|| heading.strip_prefix("  enum "));
    let version = heading.and_then(|heading| heading.strip_prefix(name)?.strip_prefix(" version "));
    let version = version.map_or(Some(0), |version| version.parse().ok())?;
    is_possible.then_some(Frame { name, version, size, align })
}

/// The name of the message type in a description.
pub(crate) fn name_in(text: &str) -> Option<&str> {
    text.lines().next()?.strip_prefix("message ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_has_the_name() {
        assert_eq!(name_in("message Vec<u8>\n  size 8, alignment 4\n"), Some("Vec<u8>"));
        assert_eq!(name_in("  size 8, alignment 4\n"), None);
        assert_eq!(name_in(""), None);
    }

    #[test]
    fn only_lines_of_text_are_descriptions() {
        for good in ["", "\n", "message u64\n", "message Größe\n  size 8, alignment 8\n"] {
            assert_eq!(as_text(good.as_bytes()), Some(good));
        }
        for bad in [
            &b"\xff\n"[..],
            b"message",
            b"a\0b\n",
            b"\x1b[2J\n",
            b"tab\there\n",
            b"\r\n",
            "\u{9b}\n".as_bytes(),
            "struct \u{202e}Order\n".as_bytes(),
        ] {
            assert_eq!(as_text(bad), None, "{bad:?}");
        }
    }
}
