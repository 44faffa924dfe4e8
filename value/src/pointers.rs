//! Decodes what is elsewhere in the message: texts, and the targets of pointers.

use crate::decode::{Decoder, Failure};
use crate::types::{Id, Kind};
use crate::value::{Part, Value};

/// The size of an archived string without out-of-line bytes.
const INLINE: usize = 8;

impl<'d> Decoder<'_, 'd> {
    /// Decodes a `String`. Short ones are stored in its own eight bytes, and end with 0xff if there
    /// is room. The first byte of long ones begins with the bits 10, with which no text begins; the
    /// length is spread around these bits.
    pub(super) fn string(&mut self, at: usize) -> Result<Value<'d>, Failure> {
        let bytes = self.bytes(at, INLINE)?;
        if bytes[0] & 0xc0 != 0x80 {
            let len = bytes.iter().position(|byte| *byte == 0xff).unwrap_or(INLINE);
            return self.text(&bytes[..len]);
        }
        let word = self.word(at)?;
        let len = word & 0x3f | (word & !0xff) >> 2;
        if len as usize <= INLINE {
            return Err("it is too short for a text that stands elsewhere");
        }
        // The offset is relative to the string, not to the offset itself.
        let offset = self.word(at + 4)?.cast_signed();
        let start =
            at.checked_add_signed(offset as isize).ok_or("it points to a place outside of the message")?;
        let bytes = self.bytes(start, len as usize)?;
        self.text(bytes)
    }

    /// Decodes a `CString`: a pointer, and the length including the final 0.
    pub(super) fn c_string(&mut self, at: usize) -> Result<Value<'d>, Failure> {
        let len = self.word(at + 4)? as usize;
        let [bytes @ .., 0] = self.bytes(self.target(at)?, len)? else {
            return Err("it does not end with 0");
        };
        self.text(bytes)
    }

    /// Decodes the target of the pointer at `at`, if it has one.
    pub(super) fn pointee(&mut self, to: Id, at: usize, depth: usize) -> Result<Value<'d>, Failure> {
        let types = self.types;
        match types.node(to).kind {
            Kind::Str => {
                let len = self.word(at + 4)? as usize;
                if len == 0 {
                    return self.text(&[]);
                }
                let bytes = self.bytes(self.target(at)?, len)?;
                self.text(bytes)
            }
            Kind::CStr => self.c_string(at),
            Kind::Slice(element) => {
                let len = self.word(at + 4)? as usize;
                let start = if len == 0 { at } else { self.target(at)? };
                self.list(element, start, len, depth)
            }
            _ => {
                let target = self.target(at)?;
                Ok(self.value(to, target, depth + 1))
            }
        }
    }

    /// Decodes text, as much as may be shown. Bytes that are not text are shown as bytes.
    fn text(&mut self, bytes: &[u8]) -> Result<Value<'d>, Failure> {
        let shown = &bytes[..self.spend(bytes.len())];
        let is_cut = shown.len() < bytes.len();
        let text = match str::from_utf8(shown) {
            Ok(text) => text,
            // A character that is incomplete because the bytes were cut off.
            Err(error) if is_cut && error.error_len().is_none() => {
                str::from_utf8(&shown[..error.valid_up_to()]).unwrap_or_default()
            }
            Err(_) => {
                let more = (bytes.len() - shown.len()) as u64;
                return Ok(Value::Bytes(Part { items: shown.to_vec(), more }));
            }
        };
        Ok(Value::Text(text.to_owned(), (bytes.len() - text.len()) as u64))
    }
}
