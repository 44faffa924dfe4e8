//! Writing a large file to the disk piece by piece.
#![allow(unsafe_code, reason = "a system call that no other crate here offers")]

use std::fs::File;
use std::os::fd::AsRawFd;

/// Starts to write a part of the file to the disk, and waits for it: a flush of the whole file takes less afterwards, and the
/// caller may do something in between. It promises nothing; a failure shows in the flush.
pub(crate) fn write_back(file: &File, range: std::ops::Range<u64>) {
    let flags =
        libc::SYNC_FILE_RANGE_WAIT_BEFORE | libc::SYNC_FILE_RANGE_WRITE | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    let (at, len) = (range.start as libc::off64_t, (range.end - range.start) as libc::off64_t);
    // SAFETY: it takes no pointers.
    let _ = unsafe { libc::sync_file_range(file.as_raw_fd(), at, len, flags) };
}
