//! Asking for a cache line before it is needed. A hint: it changes nothing but time, and does nothing where there is none.
#![allow(unsafe_code, reason = "the processor's own hint")]

/// Asks for the line at `address`, to be written.
///
/// A locked instruction, which every claim is, waits for all stores before it. Without this the stores of one message to
/// lines that a consumer had last hold up the claim of the next.
#[inline(always)]
pub(crate) fn to_write<T: ?Sized>(address: *const T) {
    // Not the intrinsic: compilers make another instruction of it unless the target is known to have this one. Those
    // x86-64 processors that lack it take it for a no-op.
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    // SAFETY: a hint; no address makes it fault, and it changes neither memory nor flags.
    unsafe {
        std::arch::asm!(
            "prefetchw [{}]", in(reg) address.cast::<u8>(),
            options(nostack, preserves_flags, readonly)
        );
    }
    let _ = address;
}

/// Asks for the line at `address`, to be read.
#[inline(always)]
pub(crate) fn to_read<T: ?Sized>(address: *const T) {
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    // SAFETY: a hint; no address makes it fault, and it changes neither memory nor flags.
    unsafe {
        std::arch::asm!(
            "prefetcht0 [{}]", in(reg) address.cast::<u8>(),
            options(nostack, preserves_flags, readonly)
        );
    }
    let _ = address;
}
