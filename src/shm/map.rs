//! Mapped sections of a file.
#![allow(unsafe_code, reason = "hands out pointers into a mapping")]

use std::fs::File;
use std::io;
use std::ptr::NonNull;
use std::sync::Arc;

use memmap2::{Advice, MmapOptions, MmapRaw};
use nix::errno::Errno;

use super::fork::ForkGuard;
use super::pages::Pages;
use super::space::{Section, reserve};
use super::truncation::{Tripwire, Watch};
use super::warning::{Warning, Warnings};

/// How a section is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    ReadWrite,
}

/// How a process maps the sections of one queue.
#[derive(Clone)]
pub(crate) struct MapOptions {
    /// Map all pages in advance: otherwise the first access to each costs microseconds.
    pub(crate) prefault: bool,
    pub(crate) huge_pages: bool,
    /// The file is in memory: a page that is mapped for reading can be written to without another fault.
    pub(crate) in_memory: bool,
    /// The guard against truncation, if there is one.
    pub(crate) tripwire: Option<Arc<Tripwire>>,
    pub(crate) warnings: Warnings,
}

/// A mapped section; unmapped when dropped.
pub(crate) struct Mapping {
    /// Declared before the pages, so that it ends before the unmapping.
    _watch: Option<Watch>,
    /// The section's offset in the file.
    offset: u64,
    pages: Pages,
    access: Access,
    map_options: MapOptions,
}

impl Mapping {
    /// Maps a section, which must begin at a multiple of the page size; no page of it is accessed.
    /// Parts that may be holes have to be made [`ready`](Self::ready) first: in memory even reading
    /// a hole takes space, and if there is none, the kernel ends the process. The caller has
    /// checked that the file is that long.
    pub(crate) fn sparse(
        file: &File,
        section: Section,
        access: Access,
        map_options: &MapOptions,
    ) -> io::Result<Self> {
        let len = usize::try_from(section.len).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        let pages = Pages::map(file, section.offset, len, access, map_options.huge_pages)?;
        let start = pages.start();
        let watch = |tripwire: &Arc<Tripwire>| tripwire.watch(start, len, access == Access::ReadWrite);
        let watch = map_options.tripwire.as_ref().map(watch).transpose()?;
        Ok(Self { _watch: watch, offset: section.offset, pages, access, map_options: map_options.clone() })
    }

    /// Gives a part of the mapping the space that it may lack, and maps its pages as `map_options`
    /// says. `is_whole`: the file is known to have no holes.
    ///
    /// # Errors
    /// [`StorageFull`](io::ErrorKind::StorageFull) if there is no space for it.
    pub(crate) fn ready(&self, file: &File, part: Section, is_whole: bool) -> io::Result<()> {
        let in_memory = self.map_options.in_memory;
        let section = Section { offset: self.offset + part.offset, len: part.len };
        // A page of a disk file that is only read takes no space.
        let is_lacking = !is_whole && (in_memory || self.access == Access::ReadWrite);
        let is_reserved = !is_lacking || (!in_memory && reserve(file, section)?);
        let (offset, len) = (part.offset as usize, part.len as usize);
        match self.prepare(offset, len, !is_reserved) {
            Err(error) if error.raw_os_error() == Some(libc::EFAULT) => {
                // An access would raise SIGBUS: there is no space, or the file has become shorter,
                // which the access itself will show.
                if is_lacking && file.metadata()?.len() >= section.offset + section.len {
                    return Err(Errno::ENOSPC.into());
                }
                self.not_prefaulted(&error);
                Ok(())
            }
            Err(error) => {
                self.not_prefaulted(&error);
                // An old kernel cannot map pages in advance; reserving their space is the next best.
                if is_reserved { Ok(()) } else { reserve(file, section).map(drop) }
            }
            Ok(()) => Ok(()),
        }
    }

    /// Maps the pages of a part without holes, as `map_options` says. A failure is a warning: then
    /// each page is mapped when it is first accessed.
    pub(crate) fn prefault(&self, offset: usize, len: usize) {
        if let Err(error) = self.prepare(offset, len, false) {
            self.not_prefaulted(&error);
        }
    }

    fn not_prefaulted(&self, error: &io::Error) {
        self.map_options.warnings.add(Warning::NotPrefaulted { reason: error.to_string() });
    }

    /// Joins pages if `map_options` says so, and maps them if it says so or `at_any_rate` is set.
    fn prepare(&self, offset: usize, len: usize, at_any_rate: bool) -> io::Result<()> {
        if self.map_options.huge_pages
            && let Err(error) = self.join_pages(offset, len)
        {
            self.map_options.warnings.add(Warning::NoHugePages { reason: error.to_string() });
        }
        if !self.map_options.prefault && !at_any_rate {
            return Ok(());
        }
        let advice = match self.access {
            // In memory, reading is enough: it takes the page's space, and the page can be written
            // to without another fault.
            Access::ReadWrite if !self.map_options.in_memory => libc::MADV_POPULATE_WRITE,
            Access::Read | Access::ReadWrite => libc::MADV_POPULATE_READ,
        };
        self.pages.advise(advice, offset, len)
    }

    /// Makes the kernel form huge pages there, before this returns.
    fn join_pages(&self, offset: usize, len: usize) -> io::Result<()> {
        /// Since Linux 6.1. MADV_HUGEPAGE reports success and acts later, if ever; this one reports
        /// its result.
        const MADV_COLLAPSE: libc::c_int = 25;
        self.pages.advise(libc::MADV_HUGEPAGE, offset, len)?;
        self.pages.advise(MADV_COLLAPSE, offset, len)
    }

    /// Writes a part to the disk and waits until it is there. `offset` is a multiple of the page size.
    pub(crate) fn flush(&self, offset: usize, len: usize) -> io::Result<()> {
        #[cfg(test)]
        super::boot::pretend::count_flush();
        self.pages.flush(offset, len)
    }

    /// The address of byte `offset`, from which on at least `len` bytes are mapped.
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

/// A page that exists only in the process that mapped it, and not in forked children.
pub(super) struct PrivatePage {
    map: Option<MmapRaw>,
    guard: ForkGuard,
}

impl PrivatePage {
    /// Maps the first page of `file`, which pins its open file description and thereby its locks.
    /// The caller keeps the process from forking until the page is exempt from that.
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
