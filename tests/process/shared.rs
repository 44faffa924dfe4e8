//! Memory that forked children share with their parent.

use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};

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
        all().push(SharedWords { first, count });
        Self(NonNull::slice_from_raw_parts(first, count))
    }

    /// Copies all words that this process shares with others into `copy`, in the same order each time. Done
    /// by one copy for each mapping, since it is called after each instruction of a traced process: a loop
    /// over the words took most of the time in debug builds. The other processes must be stopped.
    #[allow(dead_code, reason = "for tests that look at every change")]
    pub(crate) fn copy_all(copy: &mut Vec<u64>) {
        let all = all();
        let count = all.iter().map(|words| words.count).sum();
        if copy.len() != count {
            copy.resize(count, 0);
        }
        let mut rest = &mut copy[..];
        for words in all.iter() {
            let (into, behind) = std::mem::take(&mut rest).split_at_mut(words.count);
            // SAFETY: mapped until its `Words` is dropped, which takes it off the list; both are `count`
            // words long, and do not overlap. No process writes: the others are stopped.
            unsafe {
                words.first.as_ptr().cast::<u64>().copy_to_nonoverlapping(into.as_mut_ptr(), words.count)
            };
            rest = behind;
        }
    }
}

/// The mapping of a [`Words`] of this process.
struct SharedWords {
    first: NonNull<AtomicU64>,
    count: usize,
}

// SAFETY: an address and a number; what is there are atomics.
unsafe impl Send for SharedWords {}

fn all() -> MutexGuard<'static, Vec<SharedWords>> {
    static ALL: Mutex<Vec<SharedWords>> = Mutex::new(Vec::new());
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
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
        all().retain(|words| words.first != self.0.cast());
        // SAFETY: mapped in `new`, and nothing borrows from `self` any more. Children have mappings
        // of their own.
        let result = unsafe { libc::munmap(self.0.as_ptr().cast(), self.0.len() * 8) };
        assert_eq!(result, 0, "munmap: {}", std::io::Error::last_os_error());
    }
}
