//! An asymmetric barrier: one side orders only the compiler, the other makes every processor that
//! runs the first side execute a fence (Linux `membarrier(2)`, the GLOBAL_EXPEDITED pair of
//! commands, which reaches registered processes).

#[cfg(not(loom))]
mod kernel {
    #![allow(unsafe_code, reason = "membarrier has no wrapper")]

    // From linux/membarrier.h.
    const GLOBAL_EXPEDITED: libc::c_long = 1 << 1;
    const REGISTER_GLOBAL_EXPEDITED: libc::c_long = 1 << 2;

    fn membarrier(command: libc::c_long) -> bool {
        const NO_FLAGS: libc::c_long = 0;
        // SAFETY: membarrier reads and writes no memory of the caller.
        let done = unsafe { libc::syscall(libc::SYS_membarrier, command, NO_FLAGS, NO_FLAGS) };
        done == 0
    }

    /// The cheap side: what is read through the returned reference is read after everything that
    /// was stored before, as far as the compiler is concerned.
    ///
    /// A compiler fence would do, but it also makes the compiler forget what it has in registers,
    /// which costs a nanosecond a message.
    #[inline(always)]
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    pub(crate) fn light<T>(word: &T) -> &T {
        let mut address = std::ptr::from_ref(word);
        // SAFETY: no instruction at all. That the block is said to read memory keeps earlier stores
        // before it; that the address comes out of it keeps reads through the address after it.
        unsafe {
            std::arch::asm!("/* {0} */", inout(reg) address, options(readonly, nostack, preserves_flags));
        }
        // SAFETY: the address that went in, unchanged.
        unsafe { &*address }
    }

    /// The cheap side, on other processors.
    #[inline(always)]
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    pub(crate) fn light<T>(word: &T) -> &T {
        crate::sync::compiler_fence(crate::sync::Ordering::SeqCst);
        word
    }

    /// The expensive side. False if the kernel refuses: then this is no barrier for any other
    /// thread.
    pub(crate) fn heavy() -> bool {
        membarrier(GLOBAL_EXPEDITED)
    }

    /// Lets the heavy barriers of other processes reach this one. Repeated calls are cheap.
    pub(crate) fn register() -> bool {
        membarrier(REGISTER_GLOBAL_EXPEDITED)
    }
}

/// loom knows no asymmetric barriers: both sides fence there. `model/` shows that the light side
/// need not.
#[cfg(loom)]
mod kernel {
    use std::cell::Cell;

    use crate::sync::{Ordering, fence};

    thread_local! {
        /// Simulates a kernel without membarrier. A model runs in one thread.
        static IS_REFUSED: Cell<bool> = const { Cell::new(false) };
    }

    pub(crate) fn refuse() {
        IS_REFUSED.set(true);
    }

    pub(crate) fn light<T>(word: &T) -> &T {
        if !IS_REFUSED.get() {
            fence(Ordering::SeqCst);
        }
        word
    }

    pub(crate) fn heavy() -> bool {
        let is_refused = IS_REFUSED.get();
        if !is_refused {
            fence(Ordering::SeqCst);
        }
        !is_refused
    }

    pub(crate) fn register() -> bool {
        !IS_REFUSED.get()
    }
}

#[cfg(all(test, loom))]
pub(super) use kernel::refuse;
pub(crate) use kernel::{heavy, light, register};
