//! The one place that names atomics, so that loom can stand in for them.
//!
//! Everything else takes `AtomicU64`, `fence` and friends from here; a test (`tests/rules.rs`) refuses
//! `std::sync::atomic` anywhere else in the library.

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, fence};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, fence};

pub(crate) use std::sync::atomic::Ordering;

/// Payload bytes in memory that other processes may write at any time, as far as one load or store
/// reaches: never loom's.
pub(crate) use std::sync::atomic::{AtomicU8 as PayloadByte, AtomicU64 as PayloadWord};

/// An atomic that only this process sees, and that no protocol between processes depends on: never loom's.
pub(crate) use std::sync::atomic::AtomicPtr;
/// An atomic word with the same restrictions as `AtomicPtr`.
pub(crate) use std::sync::atomic::AtomicU64 as PrivateWord;

/// A fence for the compiler: orders nothing between processors.
#[cfg(not(any(loom, target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) use std::sync::atomic::compiler_fence;

/// Loads with Acquire in a form that is defined on a read-only mapping too: the standard library promises
/// relaxed loads there, and nothing stronger.
#[inline(always)]
pub(crate) fn load_acquire(word: &AtomicU64) -> u64 {
    let value = word.load(Ordering::Relaxed);
    fence(Ordering::Acquire);
    value
}
