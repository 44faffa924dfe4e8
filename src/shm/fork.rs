//! Telling a forked child from the process that made a handle.
//!
//! A child of fork() inherits every mapping, but not the kernel locks' meaning: were it to use its parent's
//! handles, there would be two producers on one lane. One page of private memory, which the kernel wipes in the
//! child (MADV_WIPEONFORK), tells the two apart at the price of one load an operation.
#![allow(unsafe_code, reason = "an atomic in a private page")]

use std::io;

use memmap2::{MmapOptions, MmapRaw};

use crate::sync::{AtomicPtr, Ordering, PrivateWord};

/// Runs `critical` while no thread of this process forks: what it opens for a moment is not inherited. Also keeps two
/// such sections apart.
pub(super) fn without_forks<R>(critical: impl FnOnce() -> R) -> R {
    static HANDLERS: PrivateWord = PrivateWord::new(0);
    if HANDLERS.swap(1, Ordering::Relaxed) == 0 {
        // SAFETY: the handlers only take and give back a lock, and close descriptors.
        unsafe { libc::pthread_atfork(Some(before_fork), Some(after_fork), Some(in_child)) };
    }
    before_fork();
    let _unlock = Unlock;
    critical()
}

/// Gives the lock back also when the section panics.
struct Unlock;

impl Drop for Unlock {
    fn drop(&mut self) {
        after_fork();
    }
}

/// The process in whose critical section somebody is, or 0. A pid, so that a child does not wait for a thread that it
/// does not have.
static HOLDER: PrivateWord = PrivateWord::new(0);

extern "C" fn before_fork() {
    let own = u64::from(std::process::id());
    loop {
        let holder = HOLDER.load(Ordering::Relaxed);
        let is_free = holder != own;
        if is_free && HOLDER.compare_exchange_weak(holder, own, Ordering::Acquire, Ordering::Relaxed).is_ok()
        {
            return;
        }
        std::thread::yield_now();
    }
}

extern "C" fn after_fork() {
    HOLDER.store(0, Ordering::Release);
}

extern "C" fn in_child() {
    for slot in &INHERITABLE {
        let descriptor = slot.swap(0, Ordering::Relaxed);
        if descriptor != 0 {
            // SAFETY: the parent's lease descriptor; in this process nothing uses it, since its owner, inherited too, looks
            // at its fork guard first. What close says does not matter.
            unsafe { libc::close(descriptor as i32 - 1) };
        }
    }
    HOLDER.store(0, Ordering::Release);
}

/// Descriptors, plus 1, that forked children must close, because they keep a lock alive. Only filesystems that drop locks
/// at close need any; what finds no place here merely keeps a dead parent's lease for as long as its child lives.
static INHERITABLE: [PrivateWord; 64] = [const { PrivateWord::new(0) }; 64];

/// Has forked children close this descriptor.
pub(super) fn close_in_children(descriptor: i32) {
    let value = descriptor as u64 + 1;
    let _ = INHERITABLE
        .iter()
        .find(|slot| slot.compare_exchange(0, value, Ordering::Relaxed, Ordering::Relaxed).is_ok());
}

/// Takes that back: the descriptor is about to be closed here.
pub(super) fn keep_in_children(descriptor: i32) {
    let value = descriptor as u64 + 1;
    for slot in &INHERITABLE {
        let _ = slot.compare_exchange(value, 0, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// Remembers in which process it was made.
#[derive(Clone, Copy)]
pub(crate) struct ForkGuard {
    /// 1 in the process that mapped its page, 0 in forked children. Never unmapped. (A queue that is guarded against
    /// truncation has a word of its own, which that clears too.)
    word: &'static PrivateWord,
}

impl ForkGuard {
    /// # Errors
    /// If the page cannot be mapped.
    pub(crate) fn new() -> io::Result<Self> {
        // The newest page of this process or of an ancestor: a child finds its ancestors' pages wiped, and maps one
        // of its own. A page is never made valid again, so what an ancestor made stays invalid here.
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

    /// With a word of its own: 1 while it is intact, in a page that is wiped in children and never unmapped.
    pub(super) fn of(word: &'static PrivateWord) -> Self {
        Self { word }
    }

    /// One that is never intact: whoever has it takes its cold path each time, and asks another one there.
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

/// Has the kernel wipe an anonymous page in forked children.
pub(super) fn wipe_in_children(page: &MmapRaw) -> io::Result<()> {
    // SAFETY: the page is ours, private and anonymous; wiping it in children is what it is for.
    let refused = unsafe { libc::madvise(page.as_mut_ptr().cast(), page.len(), libc::MADV_WIPEONFORK) };
    if refused == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Maps a page with a word that is 1 here and 0 in forked children.
fn map_sentinel() -> io::Result<&'static PrivateWord> {
    let page = MmapRaw::from(MmapOptions::new().len(4096).map_anon()?);
    wipe_in_children(&page)?;
    // SAFETY: a page is larger than a word, page-aligned, and never unmapped, since its owner is forgotten below.
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
