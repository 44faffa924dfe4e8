//! Handlers that the C library runs around each fork, which remove what a child must not keep of its parent.
//!
//! Three kinds of children exist, and only the first runs these handlers:
//!
//! - `fork()`: the child closes the descriptors and wipes the pages that are listed here, before
//!   any code of its own runs.
//! - `vfork()`, `posix_spawn()` (`std::process::Command`): the child holds copies of all
//!   descriptors until it executes another program, which closes them (`O_CLOEXEC`), or ends. This
//!   library can neither prevent nor detect that.
//! - `clone()` without the C library: as `fork()`, without the handlers.
//!
//! A lock ends with the *last* copy of the descriptor. So nothing here may rely on the moment at
//! which a descriptor is closed: locks are released explicitly, and whether a lock outlives its
//! descriptor is decided by the filesystem ([`super::liveness_lock`]), never by a test afterwards,
//! when a child's copy may still keep it.
#![allow(unsafe_code, reason = "handlers around forks")]

use memmap2::MmapRaw;

use crate::sync::{AtomicPtr, Ordering, PrivateWord};

/// Runs `critical` while no thread of this process forks: what it opens for a moment is not
/// inherited. Only one such section runs at a time. They do not nest.
pub(super) fn without_forks<R>(critical: impl FnOnce() -> R) -> R {
    static HANDLERS: PrivateWord = PrivateWord::new(0);
    before_fork();
    let _unlock = Unlock;
    // Within the section: no other section begins before the handlers are installed.
    if HANDLERS.swap(1, Ordering::Relaxed) == 0 {
        // SAFETY: the handlers take and release a lock, close descriptors and store zeros, all of
        // which children may do.
        unsafe { libc::pthread_atfork(Some(before_fork), Some(after_fork), Some(in_child)) };
    }
    critical()
}

/// Releases the lock, also when the section panics.
struct Unlock;

impl Drop for Unlock {
    fn drop(&mut self) {
        after_fork();
    }
}

/// The pid of the process that has a thread in the critical section, or 0. It is a pid, so that a
/// child does not wait for a thread that it does not have.
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
    // SAFETY: descriptors of the parent's that this library opened for itself alone; in this
    // process nothing uses them, since their owners, inherited too, check their fork guards first.
    // The result of close does not matter.
    TO_CLOSE.drain(|value| unsafe { _ = libc::close(value as i32 - 1) });
    TO_WIPE.each(|page| {
        // SAFETY: a whole page that is mapped for writing in this process, and never unmapped; it holds
        // atomics only, which all other threads, of which a new child has none, would access as such.
        unsafe { (page as *mut u8).write_bytes(0, PAGE) };
    });
    HOLDER.store(0, Ordering::Release);
}

/// Descriptors, plus 1, that forked children close, because they would keep a lock alive.
static TO_CLOSE: Registry = Registry::new();

/// Addresses of pages that forked children fill with zeros, where the kernel does not.
static TO_WIPE: Registry = Registry::new();

const PAGE: usize = 4096;

/// Makes forked children close this descriptor. Called within [`without_forks`], together with the open.
pub(super) fn close_in_children(descriptor: i32) {
    TO_CLOSE.add(descriptor as u64 + 1);
}

/// Undoes [`close_in_children`]: the descriptor is about to be closed here.
pub(super) fn keep_in_children(descriptor: i32) {
    TO_CLOSE.remove(descriptor as u64 + 1);
}

/// Makes forked children find zeros in an anonymous page, which is never unmapped. The kernel does
/// that, or, where it cannot (sandboxes such as gVisor and qemu-user lack `MADV_WIPEONFORK`), the
/// handler of this module: in that case, children that are made without the C library are not told
/// from their parents.
pub(super) fn wipe_in_children(page: &MmapRaw) {
    debug_assert_eq!(page.len(), PAGE);
    // SAFETY: the page is ours, private and anonymous; wiping it in children is what it is for.
    let refused = unsafe { libc::madvise(page.as_mut_ptr().cast(), page.len(), libc::MADV_WIPEONFORK) };
    if refused != 0 {
        TO_WIPE.add(page.as_mut_ptr() as u64);
    }
}

/// A list of numbers other than 0. The handlers read it without allocating or waiting for a lock.
struct Registry {
    slots: [PrivateWord; 62],
    /// The next part of the list; never freed.
    next: AtomicPtr<Registry>,
}

impl Registry {
    const fn new() -> Self {
        Self { slots: [const { PrivateWord::new(0) }; 62], next: AtomicPtr::new(std::ptr::null_mut()) }
    }

    /// All parts, this one first.
    fn parts(&self) -> impl Iterator<Item = &Self> {
        // SAFETY: null, or leaked by `add`, and not changed after that.
        std::iter::successors(Some(self), |part| unsafe { part.next.load(Ordering::Acquire).as_ref() })
    }

    fn add(&self, value: u64) {
        let exchange = |slot: &PrivateWord| {
            slot.compare_exchange(0, value, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        };
        let mut last = self;
        loop {
            for part in last.parts() {
                if part.slots.iter().any(exchange) {
                    return;
                }
                last = part;
            }
            let more = Box::into_raw(Box::new(Self::new()));
            let null = std::ptr::null_mut();
            if last.next.compare_exchange(null, more, Ordering::AcqRel, Ordering::Acquire).is_err() {
                // SAFETY: made above, and known to no other thread.
                drop(unsafe { Box::from_raw(more) });
            }
        }
    }

    fn remove(&self, value: u64) {
        let exchange = |slot: &PrivateWord| {
            slot.compare_exchange(value, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        };
        let _ = self.parts().any(|part| part.slots.iter().any(exchange));
    }

    fn each(&self, act: impl Fn(u64)) {
        let slots = self.parts().flat_map(|part| &part.slots);
        slots.map(|slot| slot.load(Ordering::Relaxed)).filter(|value| *value != 0).for_each(act);
    }

    /// Calls `act` with each number, and removes them.
    fn drain(&self, act: impl Fn(u64)) {
        let slots = self.parts().flat_map(|part| &part.slots);
        slots.map(|slot| slot.swap(0, Ordering::Relaxed)).filter(|value| *value != 0).for_each(act);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(registry: &Registry) -> Vec<u64> {
        let found = std::cell::RefCell::default();
        registry.each(|value| Vec::push(&mut found.borrow_mut(), value));
        found.into_inner()
    }

    #[test]
    fn a_registry_grows_and_reuses_its_slots() {
        let registry = Registry::new();
        (1..=200).for_each(|value| registry.add(value));
        assert_eq!(values(&registry), (1..=200).collect::<Vec<_>>());
        (1..=150).for_each(|value| registry.remove(value));
        (301..=450).for_each(|value| registry.add(value));
        assert_eq!(values(&registry).len(), 200);
        assert_eq!(registry.parts().count(), 4);
        registry.drain(drop);
        assert!(values(&registry).is_empty());
    }
}
