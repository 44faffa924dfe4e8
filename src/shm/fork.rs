//! Tells a forked child from the process that created a handle.
//!
//! A child of fork() inherits every mapping, but the kernel locks still stand for its parent: if it
//! used its parent's handles, there would be two producers on one lane. One page of private memory,
//! which the kernel wipes in the child (MADV_WIPEONFORK), tells the two apart at the price of one
//! load per operation. Where the kernel cannot do that, a handler that the C library runs in forked
//! children wipes it ([`super::children`]).
#![allow(unsafe_code, reason = "an atomic in a private page")]

use std::io;

use memmap2::{MmapOptions, MmapRaw};

use super::children::{wipe_in_children, without_forks};
use crate::sync::{AtomicPtr, Ordering, PrivateWord};

/// Detects whether it is used in the process that created it.
#[derive(Clone, Copy)]
pub(crate) struct ForkGuard {
    /// 1 in the process that mapped its page, 0 in forked children. Never unmapped. (A queue that
    /// is guarded against truncation has a word of its own, which a truncation clears too.)
    word: &'static PrivateWord,
}

impl ForkGuard {
    /// # Errors
    /// If the page cannot be mapped.
    pub(crate) fn new() -> io::Result<Self> {
        // The newest page of this process or of an ancestor: a child finds its ancestors' pages
        // wiped, and maps one of its own. A page is never made valid again, so a guard that an
        // ancestor created stays invalid here.
        static NEWEST: AtomicPtr<PrivateWord> = AtomicPtr::new(std::ptr::null_mut());
        without_forks(|| {
            // SAFETY: null, or the address of a word in a page that is never unmapped.
            let newest = unsafe { NEWEST.load(Ordering::Acquire).as_ref() };
            match newest.map(|word| Self { word }) {
                Some(guard) if guard.is_intact() => Ok(guard),
                _ => {
                    let word = map_sentinel()?;
                    NEWEST.store(std::ptr::from_ref(word).cast_mut(), Ordering::Release);
                    Ok(Self { word })
                }
            }
        })
    }

    /// A guard with a word of its own: 1 while it is intact, in a page that is wiped in children
    /// and never unmapped.
    pub(super) fn of(word: &'static PrivateWord) -> Self {
        Self { word }
    }

    /// A guard that is never intact: its user takes the cold path each time, and checks another guard there.
    pub(crate) fn never_intact() -> Self {
        static NEVER: PrivateWord = PrivateWord::new(0);
        Self { word: &NEVER }
    }

    /// False in a forked child of the process that made this, and when its word was cleared.
    #[inline(always)]
    pub(crate) fn is_intact(&self) -> bool {
        self.word.load(Ordering::Relaxed) != 0
    }
}

/// Maps a page with a word that is 1 here and 0 in forked children.
fn map_sentinel() -> io::Result<&'static PrivateWord> {
    let page = MmapRaw::from(MmapOptions::new().len(4096).map_anon()?);
    wipe_in_children(&page);
    // SAFETY: a page is larger than a word, page-aligned, and never unmapped, since its owner is
    // forgotten below.
    let word: &'static PrivateWord = unsafe { &*page.as_mut_ptr().cast::<PrivateWord>() };
    std::mem::forget(page);
    word.store(1, Ordering::Relaxed);
    Ok(word)
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
