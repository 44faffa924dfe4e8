//! Copies bytes into and out of memory that other processes may write at any time.
//!
//! # Why this is no data race
//!
//! What other processes do to the mapping lies outside of this program. The library uses the common
//! model of memory that is shared between processes: each of their stores, whatever it is, counts
//! as one atomic store to each byte. Atomic accesses never race with those; they only see some
//! value, and each value is a valid `u64` or `u8`. So the condition that remains is that this
//! process itself must not access these bytes in any way that is not atomic, or that is atomic of
//! another size at the same time:
//!
//! - A consumer maps lanes for reading, and loads are all that it does there: two loads never race,
//!   of whatever sizes.
//! - A producer's mapping is its own, and all of its stores there (payloads here, commit words in
//!   [`crate::lane`]) come from the one thread that has the producer, one after the other.
//! - Mappings of the same file at other addresses of this process are other memory to the compiler,
//!   and count as another process's.
//!
//! No reference to these bytes exists but to single atomics for the moment of the access, so
//! nothing is assumed about them in between. The loads are relaxed: std allows those on read-only
//! mappings, and the order that a frame needs was established by the acquire load of its commit
//! word.
#![allow(unsafe_code, reason = "atomic access to mapped payloads")]

use crate::sync::{Ordering, PayloadByte, PayloadWord};

const WORD: usize = size_of::<u64>();

/// How many of `len` bytes from `address` come before the first whole word.
fn before_word(address: *const u8, len: usize) -> usize {
    (address.addr().wrapping_neg() & (WORD - 1)).min(len)
}

/// Copies bytes that other processes may be writing.
///
/// # Safety
/// The `to.len()` bytes from `from` must be mapped for reading, and this process must access them
/// by atomics only.
#[inline(always)]
pub(in crate::queue) unsafe fn copy_out(from: *const u8, to: &mut [u8]) {
    let (first, rest) = to.split_at_mut(before_word(from, to.len()));
    // SAFETY: these are the first of the bytes of the caller's promise.
    unsafe { load_bytes(from, first) };
    let mut at = from.wrapping_add(first.len());
    let mut words = rest.chunks_exact_mut(WORD);
    for word in &mut words {
        // SAFETY: eight of the caller's bytes, and aligned, since those before the first whole word
        // were taken away.
        let shared = unsafe { &*at.cast::<PayloadWord>() };
        word.copy_from_slice(&shared.load(Ordering::Relaxed).to_ne_bytes());
        at = at.wrapping_add(WORD);
    }
    // SAFETY: these are the last of the caller's bytes.
    unsafe { load_bytes(at, words.into_remainder()) };
}

/// # Safety
/// As [`copy_out`].
unsafe fn load_bytes(from: *const u8, to: &mut [u8]) {
    for (i, byte) in to.iter_mut().enumerate() {
        // SAFETY: one of the caller's bytes.
        *byte = unsafe { &*from.wrapping_add(i).cast::<PayloadByte>() }.load(Ordering::Relaxed);
    }
}

/// Copies bytes to memory that other processes may be writing, too.
///
/// # Safety
/// The `from.len()` bytes from `to` must be mapped for writing, and this process must access them
/// by atomics only, of other sizes than these in the same thread only.
pub(in crate::queue) unsafe fn copy_in(from: &[u8], to: *mut u8) {
    let (first, rest) = from.split_at(before_word(to, from.len()));
    // SAFETY: these are the first of the bytes of the caller's promise.
    unsafe { store_bytes(first, to) };
    let mut at = to.wrapping_add(first.len());
    let mut words = rest.chunks_exact(WORD);
    for word in &mut words {
        let value = u64::from_ne_bytes(word.try_into().expect("a chunk is a word"));
        // SAFETY: eight of the caller's bytes, and aligned, since those before the first whole word
        // were taken away.
        unsafe { &*at.cast::<PayloadWord>() }.store(value, Ordering::Relaxed);
        at = at.wrapping_add(WORD);
    }
    // SAFETY: these are the last of the caller's bytes.
    unsafe { store_bytes(words.remainder(), at) };
}

/// # Safety
/// As [`copy_in`].
unsafe fn store_bytes(from: &[u8], to: *mut u8) {
    for (i, byte) in from.iter().enumerate() {
        // SAFETY: one of the caller's bytes.
        unsafe { &*to.wrapping_add(i).cast::<PayloadByte>() }.store(*byte, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alignment_and_length_is_copied_exactly() {
        let shared: Vec<u8> = (0..64).collect();
        for start in 0..16 {
            for len in 0..40 {
                let mut copy = vec![0xff; len + 2];
                // SAFETY: no other code has these bytes, and they are read only.
                unsafe { copy_out(shared[start..].as_ptr(), &mut copy[1..=len]) };
                assert_eq!(copy[1..=len], shared[start..start + len]);
                assert_eq!((copy[0], copy[len + 1]), (0xff, 0xff));
                let mut other = vec![0xee; 64];
                // SAFETY: no other code has these bytes.
                unsafe { copy_in(&shared[..len], other.as_mut_ptr().wrapping_add(start)) };
                assert_eq!(other[start..start + len], shared[..len]);
                assert!(other[..start].iter().chain(&other[start + len..]).all(|byte| *byte == 0xee));
            }
        }
    }
}
