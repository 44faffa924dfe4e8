//! Memory that forked children share with their parent.

use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

use nix::libc;

/// Zeroed words, shared with every child forked after they were made, and still there when it is killed.
pub(crate) struct Words(NonNull<[AtomicU64]>);

// SAFETY: nothing but atomics is reached through it.
unsafe impl Sync for Words {}
// SAFETY: the mapping belongs to the process, and any thread of it may unmap it.
unsafe impl Send for Words {}

impl Words {
    pub(crate) fn new(count: usize) -> Self {
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping, of no file, at no fixed address.
        let address = unsafe { libc::mmap(std::ptr::null_mut(), count * 8, protection, flags, -1, 0) };
        assert_ne!(address, libc::MAP_FAILED, "mmap: {}", std::io::Error::last_os_error());
        let first = NonNull::new(address.cast()).expect("an address");
        Self(NonNull::slice_from_raw_parts(first, count))
    }
}

impl Deref for Words {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        // SAFETY: zeroed, page-aligned words, mapped until `self` is dropped, and only accessed as atomics.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        // SAFETY: mapped in `new`, and nothing borrows from `self` any more. Children have mappings
        // of their own.
        let result = unsafe { libc::munmap(self.0.as_ptr().cast(), self.0.len() * 8) };
        assert_eq!(result, 0, "munmap: {}", std::io::Error::last_os_error());
    }
}
