//! Sizes, alignments and offsets in archives. All sums are checked, because the numbers are
//! arbitrary.

/// Size and alignment of a type's archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) size: usize,
    pub(super) align: usize,
}

/// A relative pointer, and a length: `i32` and `u32`.
pub(super) const WORD: Layout = Layout { size: 4, align: 4 };

impl Layout {
    pub(super) const EMPTY: Self = Self { size: 0, align: 1 };

    /// `None` if no type has this layout.
    pub(super) fn new(size: usize, align: usize) -> Option<Self> {
        let is_possible = align.is_power_of_two() && size.is_multiple_of(align);
        is_possible.then_some(Self { size, align })
    }

    /// `count` words: relative pointers and lengths.
    pub(super) const fn words(count: usize) -> Self {
        Self { size: WORD.size * count, align: WORD.align }
    }

    pub(super) fn array(self, count: usize) -> Option<Self> {
        Some(Self { size: self.size.checked_mul(count)?, align: self.align })
    }

    /// A `repr(C)` struct whose fields begin at `start`: their offsets, and the layout of the
    /// whole.
    pub(super) fn fields(start: usize, fields: &[Self]) -> Option<(Vec<usize>, Self)> {
        let mut offsets = Vec::with_capacity(fields.len());
        let (mut end, mut align) = (start, 1);
        for field in fields {
            let offset = end.checked_next_multiple_of(field.align)?;
            offsets.push(offset);
            end = offset.checked_add(field.size)?;
            align = align.max(field.align);
        }
        Some((offsets, Self { size: end.checked_next_multiple_of(align)?, align }))
    }

    /// A `repr(u8)` enum whose variants have one field, or none: the offset of each field, and the
    /// layout of the whole.
    pub(super) fn choice(variants: &[Option<Self>]) -> Option<(Vec<usize>, Self)> {
        let mut offsets = Vec::with_capacity(variants.len());
        let mut whole = Self { size: 1, align: 1 };
        for variant in variants {
            let (places, layout) = Self::fields(1, variant.as_slice())?;
            offsets.push(places.first().copied().unwrap_or(1));
            whole = Self { size: whole.size.max(layout.size), align: whole.align.max(layout.align) };
        }
        whole.size = whole.size.checked_next_multiple_of(whole.align)?;
        Some((offsets, whole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::new(size, align).unwrap()
    }

    #[test]
    fn fields_stand_as_the_compiler_puts_them() {
        #[repr(C)]
        struct Mixed(u8, u32, u16);
        let fields = [layout(1, 1), layout(4, 4), layout(2, 2)];
        let (offsets, whole) = Layout::fields(0, &fields).unwrap();
        assert_eq!(offsets, [std::mem::offset_of!(Mixed, 0), std::mem::offset_of!(Mixed, 1), 8]);
        assert_eq!(whole, layout(size_of::<Mixed>(), align_of::<Mixed>()));

        #[repr(u8)]
        #[allow(dead_code)]
        enum Choice {
            Nothing,
            Small([u8; 9]),
            Large(u64),
        }
        let (offsets, whole) = Layout::choice(&[None, Some(layout(9, 1)), Some(layout(8, 8))]).unwrap();
        assert_eq!(offsets[1..], [1, 8]);
        assert_eq!(whole, layout(size_of::<Choice>(), align_of::<Choice>()));
    }

    #[test]
    fn what_is_too_large_is_no_layout() {
        assert!(Layout::new(8, 3).is_none() && Layout::new(6, 4).is_none() && Layout::new(0, 0).is_none());
        assert!(layout(8, 8).array(usize::MAX).is_none());
        let huge = Layout { size: usize::MAX - 7, align: 8 };
        assert!(Layout::fields(1, &[huge]).is_none() && Layout::choice(&[Some(huge)]).is_none());
    }
}
