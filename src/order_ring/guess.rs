//! Where a participant guesses that a cursor is: where it left it itself.
//!
//! A cursor that was just moved by a locked instruction cannot be loaded before that is done, and everything that begins with
//! it, the link's address first of all, waits as well. Who need not load it goes on meanwhile: a quarter more messages of
//! 64 bytes where nobody else moves the cursor.
//!
//! A guess decides nothing. It says which link to look at and which word the CAS must find. If that succeeds the guess was
//! right; whatever else is found is looked at again with the cursor loaded. So it is nothing but a load that came long ago,
//! which a participant that was stopped between load and CAS has as well.

use std::cell::Cell;

use super::OrderRing;
use crate::layout::order::{Head, Tail};

/// The guess at one cursor, `tail` or `head`, as a word.
pub(crate) struct CursorGuess {
    word: Cell<u64>,
    /// Whether the last move began where the guess was, and nothing has spoken against it since: otherwise others move the
    /// cursor as well.
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

    /// The guess, or the cursor if the guess is not to be relied on.
    #[inline(always)]
    pub(super) fn tail(&self, ring: &OrderRing) -> Tail {
        if self.holds.get() { Tail(self.word.get()) } else { ring.tail() }
    }

    /// As [`tail`](Self::tail).
    #[inline(always)]
    pub(super) fn head(&self, ring: &OrderRing) -> Head {
        if self.holds.get() { Head(self.word.get()) } else { ring.head() }
    }

    /// What was found does not fit. Whether it was found by a guess, so that a look at the cursor itself is due.
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
