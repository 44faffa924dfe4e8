//! Where tests kill a participant: between any two stores that other participants can tell apart.
//! Outside of tests a crash point is empty.

#[cfg(not(test))]
#[inline(always)]
pub(super) fn crash_point() {}

#[cfg(test)]
pub(super) use armed::{any_order, crash_point, until_crash};

#[cfg(test)]
mod armed {
    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    #[cfg(loom)]
    use crate::sync::{AtomicU64, Ordering};
    #[cfg(loom)]
    use loom::thread_local;
    #[cfg(not(loom))]
    use std::thread_local;

    thread_local! {
        #[allow(clippy::missing_const_for_thread_local, reason = "loom's macro knows no `const`")]
        /// Crash points left until the simulated death; 0 disables it.
        static LEFT: Cell<u32> = Cell::new(0);
    }

    struct Crashed;

    #[cfg(loom)]
    loom::lazy_static! {
        static ref STEPS: AtomicU64 = AtomicU64::new(0);
    }

    /// Makes loom try every order of these points. Without this, loom overlooks some: it compares a
    /// store only with the last access to the word, so that a load is not tried after the store of
    /// another thread that has loaded the word itself in between. This orders nothing that the code
    /// does not order: it is relaxed, and the first one comes before there are threads.
    pub(in crate::order_ring) fn any_order() {
        #[cfg(loom)]
        STEPS.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts down to the simulated death. A death is an unwinding that stores nothing: no shared
    /// word is touched in a destructor.
    pub(in crate::order_ring) fn crash_point() {
        any_order();
        let left = LEFT.with(Cell::get);
        if left != 0 {
            LEFT.with(|cell| cell.set(left - 1));
        }
        if left == 1 {
            resume_unwind(Box::new(Crashed));
        }
    }

    /// Runs `act`, which is killed at its crash point number `at`, counted from 1: then there is no
    /// result.
    pub(in crate::order_ring) fn until_crash<R>(at: u32, act: impl FnOnce() -> R) -> Option<R> {
        LEFT.with(|cell| cell.set(at));
        let result = catch_unwind(AssertUnwindSafe(act));
        LEFT.with(|cell| cell.set(0));
        match result {
            Ok(result) => Some(result),
            Err(cause) if cause.is::<Crashed>() => None,
            Err(cause) => resume_unwind(cause),
        }
    }
}
