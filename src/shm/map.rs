//! Mapped sections of a file.
#![allow(unsafe_code, reason = "hands out pointers into a mapping")]

use std::fs::File;
use std::io;
use std::ptr::NonNull;

use memmap2::{MmapOptions, MmapRaw};

use super::fork::ForkGuard;

/// How a section is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    ReadWrite,
}

/// A mapped section; unmapped when dropped.
pub(crate) struct Mapping {
    raw: MmapRaw,
}

impl Mapping {
    /// Maps `len` bytes from `offset`, which must be a multiple of the page size. The caller has checked that the
    /// file is that long. All pages are populated now: a first touch costs microseconds later.
    pub(crate) fn new(file: &File, offset: u64, len: u64, access: Access) -> io::Result<Self> {
        Self::with(MmapOptions::new().populate(), file, offset, len, access)
    }

    /// The same, with holes, which must stay untouched until they are filled: on tmpfs even reading one fills it.
    pub(crate) fn sparse(file: &File, offset: u64, len: u64, access: Access) -> io::Result<Self> {
        Self::with(&mut MmapOptions::new(), file, offset, len, access)
    }

    fn with(
        options: &mut MmapOptions,
        file: &File,
        offset: u64,
        len: u64,
        access: Access,
    ) -> io::Result<Self> {
        let len = usize::try_from(len).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        options.offset(offset).len(len);
        let raw = match access {
            Access::Read => options.map_raw_read_only(file)?,
            Access::ReadWrite => options.map_raw(file)?,
        };
        Ok(Self { raw })
    }

    /// Populates a part that is no hole any more. Should that fail, its pages are populated one by one as they are touched.
    pub(crate) fn populate(&self, offset: usize, len: usize) {
        let _ = self.raw.advise_range(memmap2::Advice::PopulateRead, offset, len);
    }

    /// The address of byte `offset`, with at least `len` bytes mapped behind it.
    ///
    /// # Panics
    /// If the section is shorter than that: the callers' offsets are constants or checked geometry.
    pub(crate) fn at(&self, offset: usize, len: usize) -> NonNull<u8> {
        assert!(offset.checked_add(len).is_some_and(|end| end <= self.raw.len()), "outside the mapping");
        // SAFETY: offset is at most the length of the mapping.
        let address = unsafe { self.raw.as_mut_ptr().add(offset) };
        NonNull::new(address).expect("a mapping is not at address 0")
    }
}

/// A page that exists only in the process that mapped it: a forked child does not have it.
pub(super) struct PrivatePage {
    map: Option<MmapRaw>,
    guard: ForkGuard,
}

impl PrivatePage {
    /// Maps the first page of `file`, which pins its open file description and thereby its locks. The caller keeps the
    /// process from forking before the page is exempt from that.
    pub(super) fn pin(file: &File, guard: ForkGuard) -> io::Result<Self> {
        let map = MmapOptions::new().len(4096).map_raw_read_only(file)?;
        map.advise(memmap2::Advice::DontFork)?;
        Ok(Self { map: Some(map), guard })
    }
}

impl Drop for PrivatePage {
    fn drop(&mut self) {
        if !self.guard.is_intact() {
            // In a forked child the page is a hole, and the address may belong to something else by now.
            std::mem::forget(self.map.take());
        }
    }
}
