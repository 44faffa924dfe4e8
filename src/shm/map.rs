//! Mapped sections of a file.
#![allow(unsafe_code, reason = "hands out pointers into a mapping")]

use std::fs::File;
use std::io;
use std::ptr::NonNull;
use std::sync::Arc;

use memmap2::{Advice, MmapOptions, MmapRaw};

use super::fork::ForkGuard;
use super::notice::{Notice, Notices};
use super::pages::Pages;
use super::truncation::{Tripwire, Watch};

/// How a section is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    ReadWrite,
}

/// How a process maps the sections of one queue.
#[derive(Clone)]
pub(crate) struct Manner {
    /// All pages at once: a first touch costs microseconds later.
    pub(crate) prefault: bool,
    pub(crate) huge_pages: bool,
    /// No disk is behind the file: a page that is mapped for reading can be written to as well.
    pub(crate) in_memory: bool,
    /// Against truncation.
    pub(crate) tripwire: Option<Arc<Tripwire>>,
    pub(crate) notices: Notices,
}

/// A mapped section; unmapped when dropped.
pub(crate) struct Mapping {
    /// Before the pages, so that it ends before the mapping goes.
    _watch: Option<Watch>,
    pages: Pages,
    access: Access,
    manner: Manner,
}

impl Mapping {
    /// Maps `len` bytes from `offset`, which must be a multiple of the page size, and makes them ready as the manner says.
    /// The caller has checked that the file is that long.
    pub(crate) fn new(
        file: &File,
        offset: u64,
        len: u64,
        access: Access,
        manner: &Manner,
    ) -> io::Result<Self> {
        let mapping = Self::sparse(file, offset, len, access, manner)?;
        mapping.prepare(0, mapping.pages.len());
        Ok(mapping)
    }

    /// The same, with holes, which must stay untouched until they are filled: on tmpfs even reading one fills it.
    pub(crate) fn sparse(
        file: &File,
        offset: u64,
        len: u64,
        access: Access,
        manner: &Manner,
    ) -> io::Result<Self> {
        let len = usize::try_from(len).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        let pages = Pages::map(file, offset, len, access, manner.huge_pages)?;
        let start = pages.start();
        let watch = |tripwire: &Arc<Tripwire>| tripwire.watch(start, len, access == Access::ReadWrite);
        let watch = manner.tripwire.as_ref().map(watch).transpose()?;
        Ok(Self { _watch: watch, pages, access, manner: manner.clone() })
    }

    /// Makes a part ready that is no hole any more. What does not work is noted: then its pages are mapped as they are
    /// touched.
    pub(crate) fn prepare(&self, offset: usize, len: usize) {
        let notices = &self.manner.notices;
        if self.manner.huge_pages
            && let Err(error) = self.join_pages(offset, len)
        {
            notices.add(Notice::NoHugePages { reason: error.to_string() });
        }
        if !self.manner.prefault {
            return;
        }
        let advice = match self.access {
            // In memory that is as good: the pages can be written to then without another fault.
            Access::ReadWrite if !self.manner.in_memory => libc::MADV_POPULATE_WRITE,
            Access::Read | Access::ReadWrite => libc::MADV_POPULATE_READ,
        };
        if let Err(error) = self.pages.advise(advice, offset, len) {
            notices.add(Notice::NotPrefaulted { reason: error.to_string() });
        }
    }

    /// Has the kernel put huge pages there, now.
    fn join_pages(&self, offset: usize, len: usize) -> io::Result<()> {
        /// Since Linux 6.1. Other than MADV_HUGEPAGE, which says yes and does it later, if ever, this says what came of it.
        const MADV_COLLAPSE: libc::c_int = 25;
        self.pages.advise(libc::MADV_HUGEPAGE, offset, len)?;
        self.pages.advise(MADV_COLLAPSE, offset, len)
    }

    /// The address of byte `offset`, with at least `len` bytes mapped behind it.
    ///
    /// # Panics
    /// If the section is shorter than that: the callers' offsets are constants or checked geometry.
    pub(crate) fn at(&self, offset: usize, len: usize) -> NonNull<u8> {
        let is_within = offset.checked_add(len).is_some_and(|end| end <= self.pages.len());
        assert!(is_within, "outside the mapping");
        // SAFETY: offset is at most the length of the mapping.
        unsafe { self.pages.start().add(offset) }
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
        map.advise(Advice::DontFork)?;
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
