//! Maps pages of a file at an address that is suitable for huge pages.
//!
//! memmap2 maps wherever the kernel likes; pages of 2 MiB need an address that differs from the
//! offset in the file by a multiple of that.
#![allow(unsafe_code, reason = "maps and unmaps")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;

use super::map::Access;

/// Bytes of a huge page on the most common machines; others may have no huge pages of this size.
const HUGE: usize = 2 << 20;

/// Unmapped when dropped.
pub(super) struct Pages {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: a mapping belongs to the whole process; the callers prove what threads do with its bytes.
unsafe impl Send for Pages {}
// SAFETY: as above.
unsafe impl Sync for Pages {}

impl Pages {
    /// Maps `len` bytes from `offset`, which is a multiple of the page size; if `is_huge`, at an
    /// address that is suitable for huge pages.
    pub(super) fn map(
        file: &File,
        offset: u64,
        len: usize,
        access: Access,
        is_huge: bool,
    ) -> io::Result<Self> {
        let protection = match access {
            Access::Read => libc::PROT_READ,
            Access::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
        };
        let offset =
            libc::off_t::try_from(offset).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        let place = if is_huge { Some(Self::reserve(len, offset as usize % HUGE)?) } else { None };
        let (address, flags) = match &place {
            Some((_, address)) => (address.as_ptr().cast(), libc::MAP_SHARED | libc::MAP_FIXED),
            None => (std::ptr::null_mut(), libc::MAP_SHARED),
        };
        // SAFETY: at any free address, or within the reservation, which nothing else uses; the rest
        // of it is unmapped below.
        let start = unsafe { libc::mmap(address, len, protection, flags, file.as_raw_fd(), offset) };
        let pages = Self::new(start, len)?;
        if let Some((reservation, _)) = place {
            reservation.leave(&pages);
        }
        Ok(pages)
    }

    /// Reserves an address range for `len` bytes whose start is `past` bytes after a multiple of
    /// `HUGE`. Returns the reservation and that start.
    fn reserve(len: usize, past: usize) -> io::Result<(Self, NonNull<u8>)> {
        let all = len.checked_add(2 * HUGE).ok_or(io::ErrorKind::OutOfMemory)?;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping at no fixed address.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), all, libc::PROT_NONE, flags, -1, 0) };
        let reservation = Self::new(start, all)?;
        let ahead = (past + HUGE - start as usize % HUGE) % HUGE;
        // SAFETY: less than HUGE, and the reservation has more than HUGE beyond `len`.
        let address = unsafe { reservation.start.add(ahead) };
        Ok((reservation, address))
    }

    fn new(start: *mut libc::c_void, len: usize) -> io::Result<Self> {
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { start: NonNull::new(start.cast()).expect("a mapping is not at address 0"), len })
    }

    /// Unmaps the parts of the reservation around `inner`.
    fn leave(self, inner: &Self) {
        let before = inner.start.as_ptr() as usize - self.start.as_ptr() as usize;
        // Up to a page boundary: the rest of its last page belongs to `inner`.
        let end = before + inner.len.next_multiple_of(page_size());
        let (front, back) = ((0, before), (end, self.len - end));
        for (from, len) in [front, back].into_iter().filter(|(_, len)| *len > 0) {
            // SAFETY: within the reservation.
            let start = unsafe { self.start.add(from) };
            // SAFETY: nothing else is mapped there. Should it fail, addresses without memory are lost.
            let _ = unsafe { libc::munmap(start.as_ptr().cast(), len) };
        }
        // All of it is unmapped, or belongs to `inner`.
        std::mem::forget(self);
    }

    pub(super) fn start(&self) -> NonNull<u8> {
        self.start
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Writes a part to the disk and waits until it is there. `offset` is a multiple of the page size.
    ///
    /// # Panics
    /// If it is not within the mapping.
    pub(super) fn flush(&self, offset: usize, len: usize) -> io::Result<()> {
        assert!(offset.checked_add(len).is_some_and(|end| end <= self.len), "outside the mapping");
        // SAFETY: within the mapping.
        let start = unsafe { self.start.add(offset) };
        // SAFETY: mapped; nothing in the pages changes.
        let refused = unsafe { libc::msync(start.as_ptr().cast(), len, libc::MS_SYNC) };
        if refused == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Calls `madvise` on a part.
    ///
    /// # Panics
    /// If it is not within the mapping.
    pub(super) fn advise(&self, advice: libc::c_int, offset: usize, len: usize) -> io::Result<()> {
        assert!(offset.checked_add(len).is_some_and(|end| end <= self.len), "outside the mapping");
        // SAFETY: within the mapping.
        let start = unsafe { self.start.add(offset) };
        // SAFETY: mapped; none of the advices that callers pass changes the contents of the pages.
        let refused = unsafe { libc::madvise(start.as_ptr().cast(), len, advice) };
        if refused == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: mapped by `map`, and not used any more. Nothing can be done about a failure.
        let _ = unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

pub(super) fn page_size() -> usize {
    // SAFETY: it takes no pointers.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).expect("Linux knows its page size")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mappings_of(start: usize, end: usize) -> usize {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let range = |line: &str| {
            let (from, rest) = line.split_once('-').unwrap();
            let (to, _) = rest.split_once(' ').unwrap();
            let number = |text| usize::from_str_radix(text, 16).unwrap();
            number(from) < end && number(to) > start
        };
        maps.lines().filter(|line| range(line)).count()
    }

    #[test]
    fn huge_pages_can_be_where_they_are_wanted() {
        let file = tempfile::tempfile_in("/dev/shm").unwrap();
        file.set_len(16 << 20).unwrap();
        for (offset, len) in [(0, 4 << 20), (8192, 5 << 20), (4096, 100), (3 << 20, 1 << 20)] {
            let pages = Pages::map(&file, offset, len, Access::ReadWrite, true).unwrap();
            let start = pages.start().as_ptr() as usize;
            assert_eq!(start % HUGE, offset as usize % HUGE);
            assert_eq!(mappings_of(start, start + len), 1, "one mapping, of the file");
            // SAFETY: mapped, and nothing else uses the file.
            unsafe { pages.start().write(7) };
            pages.advise(libc::MADV_NORMAL, 0, len).unwrap();
        }
    }

    #[test]
    fn what_cannot_be_mapped_is_an_error() {
        let file = tempfile::tempfile().unwrap();
        for is_huge in [false, true] {
            assert!(Pages::map(&file, 0, 0, Access::Read, is_huge).is_err());
            assert!(Pages::map(&file, 1, 4096, Access::Read, is_huge).is_err());
            assert!(Pages::map(&file, 0, usize::MAX, Access::Read, is_huge).is_err());
        }
    }
}
