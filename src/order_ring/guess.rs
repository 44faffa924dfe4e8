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

/// A cursor of the ring.
pub(crate) trait Cursor: Copy + PartialEq {
    fn load(ring: &OrderRing) -> Self;
}

impl Cursor for Tail {
    #[inline(always)]
    fn load(ring: &OrderRing) -> Self {
        ring.tail()
    }
}

impl Cursor for Head {
    #[inline(always)]
    fn load(ring: &OrderRing) -> Self {
        ring.head()
    }
}

/// The guess at one cursor: where the next claim ([`Tail`]) or the next take ([`Head`]) begins.
pub(crate) struct CursorGuess<C> {
    cursor: Cell<C>,
    /// Whether the last move began where the guess was, and nothing has contradicted it since.
    /// Otherwise other participants move the cursor as well.
    holds: Cell<bool>,
}

impl<C: Cursor> CursorGuess<C> {
    pub(crate) fn new(ring: &OrderRing) -> Self {
        Self { cursor: Cell::new(C::load(ring)), holds: Cell::new(true) }
    }

    /// The guess, or the loaded cursor if the guess is not to be relied on.
    #[inline(always)]
    pub(super) fn cursor(&self, ring: &OrderRing) -> C {
        if self.holds.get() { self.cursor.get() } else { C::load(ring) }
    }

    /// To be called if what was found does not fit. True if it was found by a guess, so that the
    /// cursor itself must be loaded.
    #[inline(always)]
    pub(super) fn invalidate(&self) -> bool {
        self.holds.replace(false)
    }

    /// The participant has moved the cursor.
    #[inline(always)]
    pub(super) fn moved(&self, from: C, to: C) {
        self.holds.set(self.cursor.replace(to) == from);
    }
}
