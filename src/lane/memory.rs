//! Access to a lane's bytes for the protocol code.
//!
//! Protocol code sees words and offsets, never addresses, so that loom can run it on memory of its own.
#![allow(unsafe_code, reason = "turns offsets, checked here, into references and pointers")]

use std::ptr::NonNull;
#[cfg(any(test, loom))]
use std::sync::Arc;

use crate::shared_ref::KeepMapped;
use crate::sync::AtomicU64;

/// The ring of a lane: commit words and payload bytes, addressed by offset.
#[derive(Clone)]
pub(crate) struct LaneMemory {
    /// First payload byte of index 0; its commit word is in the eight bytes before.
    ring: NonNull<u8>,
    len: usize,
    #[cfg(loom)]
    model: Arc<model::Model>,
    _keep: KeepMapped,
}

// SAFETY: the pointer is to shared memory that `_keep` (Send + Sync) keeps mapped; every access
// through it is an atomic, or is granted to one side at a time by the lane protocol.
unsafe impl Send for LaneMemory {}
// SAFETY: as above; it has no state of its own.
unsafe impl Sync for LaneMemory {}

impl LaneMemory {
    /// # Safety
    /// The `len` bytes from `ring` (with commit words: the `len + 8` bytes from `ring - 8`) must
    /// stay mapped and readable while `keep` lives, `ring` must be 8-aligned, and writable if the
    /// value is given to a writer. Other accesses to these bytes must follow the lane protocol, or
    /// that of the order ring.
    pub(crate) unsafe fn new(ring: NonNull<u8>, len: usize, keep: KeepMapped) -> Self {
        Self {
            ring,
            len,
            #[cfg(loom)]
            model: Arc::new(model::Model::new(len)),
            _keep: keep,
        }
    }

    /// The commit word of the frame at ring offset `offset`.
    #[cfg(not(loom))]
    #[inline(always)]
    pub(crate) fn word(&self, offset: usize) -> &AtomicU64 {
        debug_assert!(offset <= self.len && offset.is_multiple_of(8));
        // SAFETY: offset <= len, so the word, which ends where the payload begins, lies inside the
        // mapped range of the contract of `new`.
        let word = unsafe { self.ring.offset(offset as isize - 8) };
        // SAFETY: aligned (ring and offset are multiples of 8) and mapped while `self` lives. These
        // eight bytes are accessed non-atomically only by the writer while they are inside its own
        // unpublished frame.
        unsafe { word.cast::<AtomicU64>().as_ref() }
    }

    /// The payload bytes at ring offset `offset`. Reading or writing through the pointer needs the
    /// right to do so under the lane protocol.
    #[inline(always)]
    pub(crate) fn payload(&self, offset: usize) -> *mut u8 {
        debug_assert!(offset <= self.len);
        // SAFETY: offset <= len: inside the mapped range, or one past its end.
        unsafe { self.ring.add(offset).as_ptr() }
    }

    /// Tells a model that the caller reads these payload bytes.
    #[inline(always)]
    pub(crate) fn note_read(&self, _offset: usize, _len: usize) {
        #[cfg(loom)]
        self.model.note(_offset, _len, model::Access::Read);
    }

    /// Tells a model that the caller writes these payload bytes.
    #[inline(always)]
    pub(crate) fn note_write(&self, _offset: usize, _len: usize) {
        #[cfg(loom)]
        self.model.note(_offset, _len, model::Access::Write);
    }
}

/// Zeroed words on the heap, in place of a mapping.
#[cfg(test)]
struct Heap(Box<[std::cell::UnsafeCell<u128>]>);

// SAFETY: a Heap is only ever kept alive; its memory is accessed through a LaneMemory, under the
// lane protocol.
#[cfg(test)]
unsafe impl Send for Heap {}
// SAFETY: as above.
#[cfg(test)]
unsafe impl Sync for Heap {}

#[cfg(test)]
impl LaneMemory {
    /// Zeroed memory on the heap: for models and unit tests.
    pub(crate) fn on_heap(len: usize) -> Self {
        let heap = Heap((0..len / 16 + 2).map(|_| std::cell::UnsafeCell::new(0)).collect());
        let ring = NonNull::new(heap.0[1].get().cast::<u8>()).expect("an address");
        Self {
            ring,
            len,
            #[cfg(loom)]
            model: Arc::new(model::Model::new(len)),
            _keep: Arc::new(heap),
        }
    }
}

/// The lane's memory as loom sees it: an atomic for every possible commit word, and a tracked cell
/// for every eight bytes of payload. In the file they are the same bytes; zeroing a word therefore
/// also counts as a write to the payload cell there.
#[cfg(loom)]
mod model {
    use super::*;
    use loom::cell::UnsafeCell;

    pub(super) enum Access {
        Read,
        Write,
    }

    pub(super) struct Model {
        pub(super) words: Vec<AtomicU64>,
        cells: Vec<UnsafeCell<()>>,
    }

    // SAFETY: loom runs one thread at a time and checks the accesses to the cells itself.
    unsafe impl Send for Model {}
    // SAFETY: as above.
    unsafe impl Sync for Model {}

    impl Model {
        pub(super) fn new(len: usize) -> Self {
            Self {
                words: (0..len / 8 + 1).map(|_| AtomicU64::new(0)).collect(),
                cells: (0..len / 8 + 2).map(|_| UnsafeCell::new(())).collect(),
            }
        }

        pub(super) fn note(&self, offset: usize, len: usize, access: Access) {
            // Cell i covers the word of index 8 * i; payload byte b lies in cell b / 8 + 1.
            for cell in &self.cells[offset / 8 + 1..(offset + len).div_ceil(8) + 1] {
                match access {
                    Access::Read => cell.with(|_| ()),
                    Access::Write => cell.with_mut(|_| ()),
                }
            }
        }

        pub(super) fn note_word(&self, offset: usize) {
            self.cells[offset / 8].with_mut(|_| ());
        }
    }
}

#[cfg(loom)]
impl LaneMemory {
    pub(crate) fn word(&self, offset: usize) -> &AtomicU64 {
        &self.model.words[offset / 8]
    }
}

impl LaneMemory {
    /// Zeroes the commit word at `offset`, which must be the caller's to write.
    #[inline(always)]
    pub(crate) fn clear_word(&self, offset: usize) {
        #[cfg(loom)]
        self.model.note_word(offset);
        self.word(offset).store(crate::layout::commit::NONE, crate::sync::Ordering::Relaxed);
    }
}
