//! The ranges that earlier SPSC consumers recorded as done, although they lie after a message that
//! is redelivered (`crate::lane::done`).

use std::mem::{offset_of, size_of};

use super::source::Source;
use super::spsc::At;
use crate::error::InspectError;
use crate::layout::{DONE_OFFSET, DONE_RANGES, DoneRange};

/// Ranges of positions, start to end. They may overlap.
pub(super) struct Done(Vec<(u64, u64)>);

impl Done {
    /// Reads the ranges that are meaningful with these cursors.
    pub(super) fn read(source: &Source, at: At) -> Result<Self, InspectError> {
        let until = at.taken.max(at.redelivered.0);
        let words = source.words(DONE_OFFSET as u64, DONE_RANGES * size_of::<DoneRange>())?;
        let ranges = (0..DONE_RANGES).map(|index| {
            let range = index * size_of::<DoneRange>();
            (words.at(range + offset_of!(DoneRange, start)), words.at(range + offset_of!(DoneRange, end)))
        });
        let says_something =
            |(start, end): &(u64, u64)| at.released <= *start && start < end && *end <= until;
        Ok(Self(ranges.filter(says_something).collect()))
    }

    /// Whether the frame that begins at `position` is done.
    pub(super) fn covers(&self, position: u64) -> bool {
        self.0.iter().any(|(start, end)| (*start..*end).contains(&position))
    }

    /// The number of positions of a range that are done.
    pub(super) fn count(&self, from: u64, to: u64) -> u64 {
        let mut ranges = self.0.clone();
        ranges.sort_unstable();
        let mut next = from;
        let mut count = 0;
        for (start, end) in ranges {
            let (start, end) = (start.max(next), end.min(to));
            count += end.saturating_sub(start);
            next = next.max(end);
        }
        count
    }
}
