//! The settings of rkyv that change how the same type is archived, in one number.

use std::fmt;

const PRESENT: u64 = 1 << 0;
const BIG_ENDIAN: u64 = 1 << 1;
const UNALIGNED: u64 = 1 << 2;
/// Bytes of an archived `usize`, from bit 8.
const POINTER_SHIFT: u32 = 8;
/// From bit 16: the series of rkyv's versions that promise the same format, major version times 256
/// plus minor version.
const SERIES_SHIFT: u32 = 16;

/// A format as it is stored in the header; 0 for messages that are not archives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Format(pub(crate) u64);

impl Format {
    pub(crate) const NONE: Self = Self(0);

    pub(crate) const fn new(series: (u8, u8), big_endian: bool, unaligned: bool, pointer: u8) -> Self {
        let series = (series.0 as u64) << 8 | series.1 as u64;
        Self(
            PRESENT
                | if big_endian { BIG_ENDIAN } else { 0 }
                | if unaligned { UNALIGNED } else { 0 }
                | (pointer as u64) << POINTER_SHIFT
                | series << SERIES_SHIFT,
        )
    }

    /// Whether messages are archives.
    pub(crate) fn is_some(self) -> bool {
        self.0 & PRESENT != 0
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.0;
        if !self.is_some() {
            return if bits == 0 { f.write_str("none") } else { write!(f, "unknown ({bits:#x})") };
        }
        let endian = if bits & BIG_ENDIAN != 0 { "big" } else { "little" };
        let aligned = if bits & UNALIGNED != 0 { "unaligned" } else { "aligned" };
        let (major, minor) = (bits >> (SERIES_SHIFT + 8) & 0xff, bits >> SERIES_SHIFT & 0xff);
        let pointer = (bits >> POINTER_SHIFT & 0xff) * 8;
        write!(f, "rkyv {major}.{minor}, {endian}-endian, {aligned}, {pointer}-bit pointers")?;
        let known = PRESENT | BIG_ENDIAN | UNALIGNED | 0xff << POINTER_SHIFT | 0xffff << SERIES_SHIFT;
        if bits & !known != 0 {
            write!(f, ", unknown bits {:#x}", bits & !known)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_in_words() {
        let format = Format::new((0, 8), false, false, 4);
        assert_eq!(format.to_string(), "rkyv 0.8, little-endian, aligned, 32-bit pointers");
        let format = Format::new((1, 0), true, true, 8);
        assert_eq!(format.to_string(), "rkyv 1.0, big-endian, unaligned, 64-bit pointers");
        assert_eq!(Format::NONE.to_string(), "none");
        assert_eq!(Format(2).to_string(), "unknown (0x2)");
        assert!(Format(u64::MAX).to_string().ends_with("unknown bits 0xffffffff000000f8"));
    }

    #[test]
    fn every_setting_counts() {
        let base = Format::new((0, 8), false, false, 4);
        for other in [
            Format::new((0, 7), false, false, 4),
            Format::new((8, 0), false, false, 4),
            Format::new((0, 8), true, false, 4),
            Format::new((0, 8), false, true, 4),
            Format::new((0, 8), false, false, 8),
        ] {
            assert_ne!(base, other);
            assert_ne!(base.to_string(), other.to_string());
        }
    }
}
