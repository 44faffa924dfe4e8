//! Private memory for copies of messages.
#![allow(unsafe_code, reason = "reads pages as bytes")]

use std::cell::{Cell, RefCell};
use std::ops::Deref;

use crate::queue::copy::copy_out;

const PAGE: usize = 4096;

/// Aligned as a mapping is, so that a copy has the same place in its page as the original: then
/// everything that is aligned there is aligned here.
#[repr(C, align(4096))]
#[derive(Clone)]
struct Page([u8; PAGE]);

/// Memory for one message. It grows to the largest message so far, and is reused.
#[derive(Default)]
pub(crate) struct Buffer {
    pages: Vec<Page>,
}

impl Buffer {
    /// `len` bytes with the same place in their page as `original`.
    #[inline(always)]
    pub(crate) fn room(&mut self, original: *const u8, len: usize) -> &mut [u8] {
        let start = offset_in_page(original);
        let pages = (start + len).div_ceil(PAGE);
        if pages > self.pages.len() {
            self.grow(pages);
        }
        &mut self.all_mut()[start..start + len]
    }

    #[cold]
    fn grow(&mut self, pages: usize) {
        // Not more than is needed: that was checked against the limit.
        self.pages.reserve_exact(pages - self.pages.len());
        self.pages.resize(pages, Page([0; PAGE]));
    }

    /// The bytes that `room` returned.
    #[inline(always)]
    pub(crate) fn bytes(&self, original: *const u8, len: usize) -> &[u8] {
        &self.all()[offset_in_page(original)..][..len]
    }

    #[inline(always)]
    fn all(&self) -> &[u8] {
        // SAFETY: pages are bytes without padding, one after the other, borrowed for as long as the
        // slice is.
        unsafe { std::slice::from_raw_parts(self.pages.as_ptr().cast(), self.pages.len() * PAGE) }
    }

    #[inline(always)]
    fn all_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.pages.as_mut_ptr().cast(), self.pages.len() * PAGE) }
    }
}

#[inline(always)]
pub(crate) fn offset_in_page(address: *const u8) -> usize {
    address.addr() & (PAGE - 1)
}

/// Buffers for reuse: as many as there have been frames at a time.
#[derive(Default)]
pub(super) struct Pool {
    /// The only buffer that a consumer with one frame at a time needs; empty while it is lent.
    first: Cell<Buffer>,
    others: RefCell<Vec<Buffer>>,
}

impl Pool {
    /// Copies `len` bytes of shared memory.
    ///
    /// # Safety
    /// As [`copy_out`].
    #[inline(always)]
    pub(super) unsafe fn copy(&self, from: *const u8, len: usize) -> Copied<'_> {
        let mut buffer = self.first.take();
        if buffer.pages.is_empty() {
            buffer = self.another();
        }
        // SAFETY: the caller's promise is the same.
        unsafe { copy_out(from, buffer.room(from, len)) };
        Copied { pool: self, buffer, original: from, len }
    }

    #[cold]
    fn another(&self) -> Buffer {
        self.others.borrow_mut().pop().unwrap_or_default()
    }

    #[inline(always)]
    fn take_back(&self, buffer: Buffer) {
        let before = self.first.replace(buffer);
        if !before.pages.is_empty() {
            self.others.borrow_mut().push(before);
        }
    }
}

/// A message that no other process can change. Its buffer is returned when it is dropped.
pub(super) struct Copied<'p> {
    pool: &'p Pool,
    buffer: Buffer,
    /// Only its place in its page counts.
    original: *const u8,
    len: usize,
}

impl Deref for Copied<'_> {
    type Target = [u8];

    #[inline(always)]
    fn deref(&self) -> &[u8] {
        self.buffer.bytes(self.original, self.len)
    }
}

impl Drop for Copied<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        self.pool.take_back(std::mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_stand_where_the_original_does_and_buffers_come_again() {
        let bytes: Vec<u8> = (0..20_000).map(|i| i as u8).collect();
        let pool = Pool::default();
        for (start, len) in [(0, 10_000), (1, 0), (4095, 2), (128, 4096), (7, 12_000)] {
            let original = bytes[start..].as_ptr();
            // SAFETY: no other code has these bytes, and they are read only.
            let copy = unsafe { pool.copy(original, len) };
            assert_eq!(copy[..], bytes[start..start + len]);
            assert_eq!(offset_in_page(copy.as_ptr()), offset_in_page(original));
        }
        assert!(pool.others.borrow().is_empty(), "one at a time needs one buffer");
        // SAFETY: as above.
        let [one, two] = [0, 1].map(|start| unsafe { pool.copy(bytes[start..].as_ptr(), 3) });
        assert_eq!((&*one, &*two), (&[0, 1, 2][..], &[1, 2, 3][..]));
        drop((one, two));
        assert_eq!(pool.others.borrow().len(), 1, "two at a time need two");
    }
}
