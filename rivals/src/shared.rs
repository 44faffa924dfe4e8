//! Memory that a measurement's workers share, threads or processes.
#![allow(unsafe_code, reason = "a shared mapping")]

use std::num::NonZeroUsize;
use std::ops::Deref;
use std::ptr::NonNull;

use anyhow::{Context, Result};
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// What may lie in shared memory.
///
/// # Safety
/// Good when zeroed, of atomics only (and padding), and refers to nothing.
pub(crate) unsafe trait Words: Sync {}

// SAFETY: as words that are.
unsafe impl<T: Words> Words for crossbeam_utils::CachePadded<T> {}
// SAFETY: as words that are.
unsafe impl<T: Words, const N: usize> Words for [T; N] {}
// SAFETY: an atomic, good when zeroed.
unsafe impl Words for std::sync::atomic::AtomicU64 {}
// SAFETY: an atomic, good when zeroed.
unsafe impl Words for std::sync::atomic::AtomicU8 {}

/// Zeroed words, in memory that children share; freed with the last of them.
pub(crate) struct Shared<T>(NonNull<T>);

// SAFETY: words are Sync, and all that can be had is a shared reference.
unsafe impl<T: Words> Sync for Shared<T> {}
// SAFETY: as above; whichever thread drops it unmaps it.
unsafe impl<T: Words> Send for Shared<T> {}

impl<T: Words> Shared<T> {
    pub(crate) fn new() -> Result<Self> {
        let len = NonZeroUsize::new(size_of::<T>()).context("there are words")?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping, wherever the kernel likes.
        let memory = unsafe { mmap_anonymous(None, len, protection, MapFlags::MAP_SHARED) };
        Ok(Self(memory.context("mapping memory for the workers")?.cast()))
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: mapped as long as `self`, page-aligned, zeroed at first, which is good by the
        // contract of `Words`; never used as anything else.
        unsafe { self.0.as_ref() }
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // SAFETY: this mapping, to which no reference is left.
        let result = unsafe { munmap(self.0.cast(), size_of::<T>()) };
        debug_assert!(result.is_ok(), "what was mapped can be unmapped");
    }
}
