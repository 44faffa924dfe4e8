//! References to words in shared memory that keep the memory mapped.
#![allow(unsafe_code, reason = "turns pointers that the caller vouches for into references")]

use std::any::Any;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

/// The owner that keeps the memory mapped.
pub(crate) type KeepMapped = Arc<dyn Any + Send + Sync>;

/// A reference to shared words that keeps their memory alive.
pub(crate) struct Ref<T: ?Sized> {
    words: NonNull<T>,
    keep: KeepMapped,
}

// SAFETY: a Ref is a shared reference with an owner beside it; &T is Send and Sync when T is Sync,
// and the owner is Send and Sync by its type.
unsafe impl<T: Sync + ?Sized> Send for Ref<T> {}
// SAFETY: as for `Send`.
unsafe impl<T: Sync + ?Sized> Sync for Ref<T> {}

impl<T: Sync + Send + ?Sized + 'static> Ref<T> {
    /// # Safety
    /// `words` must be aligned and valid for shared access as a `T` for as long as `keep` lives.
    pub(crate) unsafe fn new(words: NonNull<T>, keep: KeepMapped) -> Self {
        Self { words, keep }
    }

    /// References words on the heap: for one process only.
    pub(crate) fn on_heap(words: Arc<T>) -> Self
    where
        T: Sized,
    {
        Self { words: NonNull::from(&*words), keep: words }
    }
}

#[cfg(test)]
impl<T: Sync + Send + 'static> Ref<[T]> {
    /// References several words on the heap.
    pub(crate) fn slice_on_heap(words: Arc<Vec<T>>) -> Self {
        Self { words: NonNull::from(&words[..]), keep: words }
    }
}

impl<T: ?Sized> Clone for Ref<T> {
    fn clone(&self) -> Self {
        Self { words: self.words, keep: Arc::clone(&self.keep) }
    }
}

impl<T: ?Sized> Deref for Ref<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: valid while `keep` lives, by the contract of `new`; `self` holds it.
        unsafe { self.words.as_ref() }
    }
}
