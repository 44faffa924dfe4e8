//! What a consumer that detaches in order leaves to the next one: which frames after its oldest
//! unreleased one are done with.
//!
//! `released` is one position, so it cannot say that a frame was released while an older one was in
//! flight. A consumer that detaches in order notes those frames as ranges of positions in a section
//! of the header, and the next consumer does not deliver them. (A consumer that is killed notes
//! nothing: what it had released out of order is redelivered.)
//!
//! # Why no message is lost, and none is delivered wrong
//!
//! *A range is a fact for ever.* It says that the messages at these positions were released by a
//! consumer that had them in flight. Positions are never reused, so a range that stays in the file
//! is still true, and means nothing once `released` has passed it. *No range is read that was not
//! written as a whole:* before a range is overwritten its end becomes 0, which says nothing, and
//! its new end is stored last (Release). A consumer killed in between leaves that range empty, and
//! its messages are redelivered. *Only one process writes or reads them at a time,* the one that
//! holds the consumer's lock; what it stores comes before the next one gets the lock.
//!
//! The producer does not know these ranges. The bytes of such frames are its own again only when
//! `released` has passed them, like those of any other frame, so the proofs in [`super`] stay as
//! they are.
//!
//! Ranges are not trusted: a range that does not lie within `[released, taken)` of the earlier
//! consumers, on boundaries, is ignored.

use std::collections::BTreeMap;

use super::Ref;
use crate::layout::{DoneRange, Geometry};
use crate::sync::Ordering;

/// The section of the header that holds the ranges.
pub(crate) struct Done(Ref<[DoneRange]>);

impl Done {
    pub(crate) fn new(ranges: Ref<[DoneRange]>) -> Self {
        Self(ranges)
    }

    /// The ranges within `[released, until)`: start to end. Ranges of several consumers may
    /// overlap; adjacent ones become one.
    pub(super) fn within(&self, released: u64, until: u64, geometry: &Geometry) -> BTreeMap<u64, u64> {
        let ranges = self.0.iter().map(|range| {
            // The end is loaded first: it is stored last.
            let end = range.end.load(Ordering::Acquire);
            (range.start.load(Ordering::Relaxed), end)
        });
        let is_possible = |(start, end): &(u64, u64)| {
            released <= *start
                && start < end
                && *end <= until
                && geometry.is_boundary(*start)
                && geometry.is_boundary(*end)
        };
        merged(ranges.filter(is_possible).collect())
    }

    /// Notes frames that were released: start to end, in order. Adjacent ones become one range;
    /// frames for which no range is left are redelivered.
    pub(super) fn note(&self, early: &BTreeMap<u64, u64>) {
        for (range, (start, end)) in
            self.0.iter().zip(merged(early.iter().map(|(start, end)| (*start, *end)).collect()))
        {
            range.end.store(0, Ordering::Release);
            range.start.store(start, Ordering::Release);
            range.end.store(end, Ordering::Release);
        }
    }
}

/// Joins ranges that overlap or touch.
fn merged(mut ranges: Vec<(u64, u64)>) -> BTreeMap<u64, u64> {
    ranges.sort_unstable();
    let mut merged: BTreeMap<u64, u64> = BTreeMap::new();
    for (start, end) in ranges {
        match merged.last_entry() {
            Some(mut last) if start <= *last.get() => {
                let until = end.max(*last.get());
                last.insert(until);
            }
            _ => drop(merged.insert(start, end)),
        }
    }
    merged
}
