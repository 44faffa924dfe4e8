//! Telling a forked child from the process that made a handle.
//!
//! A child of fork() inherits every mapping, but not the kernel locks' meaning: were it to use its parent's
//! handles, there would be two producers on one lane. One page of private memory, which the kernel wipes in the
//! child (MADV_WIPEONFORK), tells the two apart at the price of one load an operation.
#![allow(unsafe_code, reason = "an atomic in a private page")]

use std::io;
use std::sync::{Mutex, PoisonError};

use memmap2::{MmapOptions, MmapRaw};

use crate::sync::{Ordering, PrivateWord};

/// A page with a word that is 1 in the process that mapped it and 0 in its forked children. Never unmapped.
struct Sentinel(MmapRaw);

impl Sentinel {
    fn map() -> io::Result<&'static Self> {
        let page = MmapRaw::from(MmapOptions::new().len(4096).map_anon()?);
        // SAFETY: the page is ours, private and anonymous; wiping it in children is what it is for.
        let refused = unsafe { libc::madvise(page.as_mut_ptr().cast(), page.len(), libc::MADV_WIPEONFORK) };
        if refused != 0 {
            return Err(io::Error::last_os_error());
        }
        let sentinel: &'static Self = Box::leak(Box::new(Self(page)));
        sentinel.word().store(1, Ordering::Relaxed);
        Ok(sentinel)
    }

    fn word(&self) -> &'static PrivateWord {
        // SAFETY: a page is larger than a word, page-aligned, and mapped for as long as the process lives, since
        // every Sentinel is leaked.
        unsafe { &*self.0.as_mut_ptr().cast::<PrivateWord>() }
    }
}

/// Remembers in which process it was made.
#[derive(Clone, Copy)]
pub(crate) struct ForkGuard {
    word: &'static PrivateWord,
}

impl ForkGuard {
    /// # Errors
    /// If the page cannot be mapped.
    pub(crate) fn new() -> io::Result<Self> {
        // The newest page of this process or of an ancestor: a child finds its ancestors' pages wiped, and maps one
        // of its own. A page is never made valid again, so what an ancestor made stays invalid here.
        static NEWEST: Mutex<Option<ForkGuard>> = Mutex::new(None);
        let mut newest = NEWEST.lock().unwrap_or_else(PoisonError::into_inner);
        match *newest {
            Some(guard) if guard.is_intact() => Ok(guard),
            _ => {
                let guard = Self { word: Sentinel::map()?.word() };
                *newest = Some(guard);
                Ok(guard)
            }
        }
    }

    /// False in a forked child of the process that made this.
    #[inline(always)]
    pub(crate) fn is_intact(&self) -> bool {
        self.word.load(Ordering::Relaxed) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forked_child_is_noticed() {
        let guard = ForkGuard::new().unwrap();
        assert!(guard.is_intact());
        // SAFETY: the child calls nothing but the guard and _exit.
        match unsafe { nix::unistd::fork() }.unwrap() {
            nix::unistd::ForkResult::Child => {
                let code = i32::from(guard.is_intact());
                // SAFETY: ends the child without running the parent's exit handlers.
                unsafe { nix::libc::_exit(code) }
            }
            nix::unistd::ForkResult::Parent { child } => {
                let status = nix::sys::wait::waitpid(child, None).unwrap();
                assert_eq!(status, nix::sys::wait::WaitStatus::Exited(child, 0));
            }
        }
        assert!(guard.is_intact());
    }
}
