//! The copies of a lossy consumer's messages.
#![allow(unsafe_code, reason = "copies bytes that other processes may be writing")]

use std::cell::{Cell, RefCell};

use crate::queue::copy::copy_out;
use crate::queue::untrusted::Buffer;

/// Buffers for reuse: as many as there have been frames at a time.
#[derive(Default)]
pub(super) struct Copies {
    buffers: RefCell<Vec<Buffer>>,
    /// Numbers of buffers that are not in use.
    unused: RefCell<Vec<usize>>,
    /// One more of them, or none: all that a consumer with one frame at a time needs.
    spare: Cell<Option<usize>>,
}

impl Copies {
    /// Copies `len` bytes of shared memory; returns the number of the copy.
    ///
    /// # Safety
    /// As [`copy_out`].
    #[inline(always)]
    pub(super) unsafe fn copy(&self, from: *const u8, len: usize) -> usize {
        let copy = self.spare.take().unwrap_or_else(|| self.another());
        let mut buffers = self.buffers.borrow_mut();
        // SAFETY: the caller's promise is the same.
        unsafe { copy_out(from, buffers[copy].room(from, len)) };
        copy
    }

    #[cold]
    fn another(&self) -> usize {
        self.unused.borrow_mut().pop().unwrap_or_else(|| {
            let mut buffers = self.buffers.borrow_mut();
            buffers.push(Buffer::default());
            buffers.len() - 1
        })
    }

    /// The copy's bytes, which stay where they are until it is given back: a buffer's memory does
    /// not move with the buffer.
    #[inline(always)]
    pub(super) fn bytes(&self, copy: usize, original: *const u8, len: usize) -> *const u8 {
        self.buffers.borrow()[copy].bytes(original, len).as_ptr()
    }

    /// Gives back a copy.
    #[inline(always)]
    pub(super) fn release(&self, copy: usize) {
        if let Some(other) = self.spare.replace(Some(copy)) {
            self.unused.borrow_mut().push(other);
        }
    }

    /// Gives back all copies.
    pub(super) fn release_all(&self) {
        self.spare.set(None);
        *self.unused.borrow_mut() = (0..self.buffers.borrow().len()).collect();
    }
}
