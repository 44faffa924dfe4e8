//! A participant's guess of a cursor: the value to which it moved the cursor itself.
//!
//! A cursor that was just moved by a locked instruction cannot be loaded before that instruction is
//! done, and everything that depends on it, the slot's address first of all, waits as well. A
//! participant that need not load it continues meanwhile: a quarter more messages of 64 bytes where
//! no other participant moves the cursor.
//!
//! A guess decides nothing. It says which slot to read and which word the CAS must find. If the CAS
//! succeeds, the guess was right; anything else that is found is checked again with the cursor
//! loaded. So a guess is equivalent to a load that came long ago, which a participant that was
//! stopped between load and CAS has as well.

use std::cell::Cell;

use super::OrderRing;
use crate::layout::order::{Head, Tail};

/// The guess at one cursor, `tail` or `head`, as a word.
pub(crate) struct CursorGuess {
    word: Cell<u64>,
    /// Whether the last move began where the guess was, and nothing has contradicted it since.
    /// Otherwise other participants move the cursor as well.
    holds: Cell<bool>,
}

impl CursorGuess {
    fn new(word: u64) -> Self {
        Self { word: Cell::new(word), holds: Cell::new(true) }
    }

    pub(crate) fn at_tail(ring: &OrderRing) -> Self {
        Self::new(ring.tail().0)
    }

    pub(crate) fn at_head(ring: &OrderRing) -> Self {
        Self::new(ring.head().0)
    }

    /// The guess, or the loaded cursor if the guess is not to be relied on.
    #[inline(always)]
    pub(super) fn tail(&self, ring: &OrderRing) -> Tail {
        if self.holds.get() { Tail(self.word.get()) } else { ring.tail() }
    }

    /// The counterpart of [`tail`](Self::tail) for `head`.
    #[inline(always)]
    pub(super) fn head(&self, ring: &OrderRing) -> Head {
        if self.holds.get() { Head(self.word.get()) } else { ring.head() }
    }

    /// To be called if what was found does not fit. True if it was found by a guess, so that the
    /// cursor itself must be loaded.
    #[inline(always)]
    pub(super) fn invalidate(&self) -> bool {
        self.holds.replace(false)
    }

    /// The participant has moved the cursor.
    #[inline(always)]
    pub(super) fn moved(&self, from: u64, to: u64) {
        self.holds.set(self.word.replace(to) == from);
    }
}
