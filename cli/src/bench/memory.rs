//! Plain memory that worker processes share.
#![allow(unsafe_code, reason = "atomics and bytes in a mapping that only this benchmark's processes know")]

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::atomic::AtomicU64;

use anyhow::{Context, Result};
use memmap2::{MmapOptions, MmapRaw};

/// The distance between words that must not share a line: adjacent-line prefetchers fetch two.
pub(super) const APART: usize = 128;

/// A mapped file.
pub(super) struct Memory(MmapRaw);

impl Memory {
    pub(super) fn open(path: &Path, bytes: u64) -> Result<Self> {
        let open = || {
            let file = OpenOptions::new().read(true).write(true).open(path)?;
            MmapOptions::new().len(bytes as usize).populate().map_raw(&file)
        };
        Ok(Self(open().with_context(|| format!("mapping {}", path.display()))?))
    }

    /// Returns the address of these bytes.
    ///
    /// # Panics
    /// If they are not all inside the file.
    #[inline(always)]
    pub(super) fn at(&self, offset: usize, len: usize) -> *mut u8 {
        assert!(offset + len <= self.0.len());
        // SAFETY: inside the mapping, by the check above.
        unsafe { self.0.as_mut_ptr().add(offset) }
    }

    pub(super) fn word(&self, offset: usize) -> &AtomicU64 {
        assert!(offset.is_multiple_of(8));
        // SAFETY: aligned, mapped as long as `self`, and accessed only as an atomic.
        unsafe { AtomicU64::from_ptr(self.at(offset, 8).cast()) }
    }
}
